"""Settings of TS-DSAE and its baselines, and the presets."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from core.training.config import RunConfig, Settings, Size, TrainingConfig

Variant = Literal[
    "dsae", "dsae-f", "ts-dsae-no-swaps", "ts-dsae", "ts-dsae-players",
    "fhvae", "r-wae", "c-dsvae", "s3-vae",
]  # fmt: skip
RELATED = ("fhvae", "r-wae", "c-dsvae", "s3-vae")  # methods of others, see core.dsae.related


class ModelConfig(Settings):
    """Sizes and forms of the networks (section 4 of the paper)."""

    global_encoder: Literal["framewise", "pooling"] = Field(
        "framewise",
        description="an MLP on each frame and a mean, or strided convolutions, mean and deviation",
    )
    posterior: Literal["factorised", "full", "context"] = Field(
        "factorised",
        description="q(z_t|x_t), q(z_t|x_1:T, v) by a bidirectional LSTM, or q(z_t) given two "
        "frames on each side",
    )
    decoder: Literal["framewise", "recurrent", "convolutional", "film"] = Field(
        "framewise",
        description="an MLP on each frame, the enriched bidirectional LSTM, an MLP on each "
        "frame and its neighbours, or residual blocks that v scales and shifts (FiLM)",
    )
    v_size: Size = Field(16, description="size of the global latent v")
    z_size: Size = Field(16, description="size of each local latent z")
    z_levels: int = Field(
        0, ge=0, description="values to which each dimension of z is quantised, or 0 for none"
    )
    hidden: Size = Field(64, description="width of encoders and decoder")
    floor: float = Field(
        -40.0, description="lower limit of the log-mels; digital silence is at -36"
    )
    prior_hidden: Size = Field(32, description="width of the transition prior's LSTM")
    decorrelate: bool = Field(
        False,
        description="remove from z the part of its clip mean that v predicts linearly; this leaves "
        "less of the instrument in z",
    )
    equaliser: int = Field(
        0,
        ge=0,
        le=80,
        description="cosines of an equaliser that completes v, computed from the reconstruction; "
        "needs the film decoder",
    )
    adversary: bool = Field(
        False, description="a network that predicts v from z, which objective.adversary needs"
    )
    ridge: PositiveFloat = Field(
        0.01,
        description="ridge of that regression: dimensions of v with a variance below this have "
        "little effect",
    )


class ObjectiveConfig(Settings):
    """Which model is trained, and the weight of each loss term."""

    variant: Variant = Field(
        "ts-dsae",
        description="the baselines DSAE, DSAE-f, TS-DSAE without swap terms, TS-DSAE, "
        "TS-DSAE for players, which uses the settings from other_excerpt on, or a related method: "
        "FHVAE, R-WAE, C-DSVAE, S3-VAE",
    )
    reduction: Literal["mean", "elbo"] = Field(
        "mean", description="means as in the authors' code, or sums as in equation 2"
    )
    stage1_steps: int = Field(
        5_700, ge=0, description="steps of constrained training, or of players without swaps"
    )
    kl_z: NonNegativeFloat = Field(1.0, description="weight of the local KL")
    kl_v: NonNegativeFloat = Field(1.0, description="weight of the global KL")
    z_gswap: NonNegativeFloat = Field(1.0, description="weight: z unchanged by a global swap")
    v_gswap: NonNegativeFloat = Field(1.0, description="weight: v follows a global swap")
    v_lswap: NonNegativeFloat = Field(1.0, description="weight: v unchanged by a local swap")
    z_lswap: NonNegativeFloat = Field(1.0, description="weight: z follows a local swap")
    other_excerpt: bool = Field(
        True, description="v from another excerpt of the player than the one that is rebuilt"
    )
    similarity: NonNegativeFloat = Field(
        0.1, description="weight of NT-Xent between two excerpts' v"
    )
    temperature: PositiveFloat = Field(0.2, description="temperature of NT-Xent")
    perturb: float = Field(
        0.95, ge=0, le=1, description="share of clips whose timbre is changed before z is computed"
    )
    same_phrase: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of clips whose z is computed from another player's rendition of the "
        "phrase, where the corpus has one",
    )
    same_dynamics: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of those renditions that are brought to the clip's loudness, frame by "
        "frame",
    )
    new_player: float = Field(
        0.7, ge=0, le=1, description="share of players that are filtered once more as a whole"
    )
    prior: Literal["recurrent", "standard"] = Field(
        "standard", description="p(z) of training: the transition prior, or N(0, I)"
    )
    kl_z_swaps: NonNegativeFloat | None = Field(
        None, description="weight of the local KL from the stage of swaps on, or none: kl_z"
    )
    back_translation: NonNegativeFloat = Field(
        1.0, description="weight: a swap, encoded again, gives the clip back with its own v"
    )
    adversary: NonNegativeFloat = Field(
        0.0, description="weight against predicting v from the mean and deviation of z"
    )
    prior_steps: int = Field(
        0, ge=0, description="last steps, in which the transition prior alone is fitted"
    )
    segment: PositiveInt = Field(20, description="frames of FHVAE's segments")
    sequence_variance: PositiveFloat = Field(
        0.25, description="variance of FHVAE's v of a segment around the clip's mean"
    )
    discriminative: NonNegativeFloat = Field(
        10.0, description="weight: the clip is recognised by the v of its segments (FHVAE)"
    )
    mmd_v: NonNegativeFloat = Field(1.0, description="weight: v follows its prior (R-WAE)")
    mmd_z: NonNegativeFloat = Field(1.0, description="weight: z follows its prior (R-WAE)")
    contrast: NonNegativeFloat = Field(
        0.1, description="weight: contrastive estimates of I(v; x) and I(z; x) (C-DSVAE)"
    )
    information: NonNegativeFloat = Field(
        0.1, description="weight: I(v; z) of the batch is small (C-DSVAE, S3-VAE)"
    )
    triplet: NonNegativeFloat = Field(
        0.1, description="weight: the v of a clip's halves is alike, those of clips not (S3-VAE)"
    )
    margin: PositiveFloat = Field(1.0, description="by how much, as a distance")
    dynamics: NonNegativeFloat = Field(
        0.1, description="weight: loudness follows from z linearly (S3-VAE)"
    )


class DataConfig(Settings):
    """The training data."""

    store: str = Field("data/dmelodies", description="folder of a feature store")
    crop: PositiveInt | None = Field(
        None, description="frames of a random crop for each training clip, or none for all"
    )
    other_crop: PositiveInt | None = Field(
        None, description="frames of the other excerpt that players are trained with"
    )
    factor: str = Field("instrument", description="label column that v should represent")


class DsaeConfig(RunConfig):
    """One training run of a disentangled sequential autoencoder."""

    system: Literal["dsae"] = "dsae"
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()

    def stage(self, step: int) -> str:
        """`constrained`, then `informed`; the plain DSAE and related methods have one, `joint`.

        For players: `excerpts`, `swaps` with the terms of swaps, and `prior`.
        """
        if self.objective.variant in ("dsae", *RELATED):
            return "joint"
        if self.objective.variant == "ts-dsae-players":
            if step >= self.training.steps - self.objective.prior_steps:
                return "prior"
            return "excerpts" if step < self.objective.stage1_steps else "swaps"
        return "constrained" if step < self.objective.stage1_steps else "informed"

    def shortened(self, steps: int) -> dict[str, Any]:
        """Changes that shorten each stage this config reaches to so many steps."""
        last_step = self.training.steps - 1
        some = (0, self.objective.stage1_steps, last_step)
        reached = {self.stage(min(step, last_step)) for step in some}
        first = steps if {"constrained", "excerpts"} & reached else 0
        last = steps if "prior" in reached else 0
        return {
            "training.steps": steps * len(reached),
            "objective.stage1_steps": first,
            "objective.prior_steps": last,
        }


_PLAYERS: dict[str, Any] = {
    "model": {
        "global_encoder": "pooling",
        "posterior": "context",
        "decoder": "film",
        "v_size": 32,
        "z_size": 16,
        "hidden": 256,
        "floor": -6.0,
        "equaliser": 24,
    },
    "objective": {
        "variant": "ts-dsae-players",
        "stage1_steps": 12_000,
        "same_phrase": 0.7,
        "kl_z": 0.5,
        "kl_z_swaps": 2.0,
        "kl_v": 0.02,
        "z_gswap": 0.5,
        "v_gswap": 3.0,
        "prior_steps": 500,
    },
    "data": {"store": "data/players", "crop": 80, "other_crop": 128},
    "training": {
        "steps": 62_000,
        "batch_size": 16,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup_steps": 200,
        "gradient_clip": 5.0,
        "precision": "bf16",
        "validate_every": 6_000,
        "patience": None,
    },
}

# Values laid over the defaults, which are the paper's for dMelodies: 4,000 epochs of 19 steps,
# C = 300 epochs.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    # Whole clips in small batches: the most updates for the time, since a step costs what its
    # frames cost. Crops are cheaper still, but learn a worse prior and score lower.
    "quick": {
        "objective": {"stage1_steps": 600},
        "training": {
            "steps": 5_000,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "validate_every": 500,
            "patience": None,
        },
    },
    # The paper's for URMP, whose 2,079 training clips make epochs of 17 steps.
    "urmp": {
        "objective": {"stage1_steps": 5_100},
        "data": {"store": "data/urmp"},
        "training": {"steps": 68_000, "validate_every": 17},
    },
    # Beyond the paper: checkpoints/results/plus.toml says what each part contributes.
    "ts-dsae-plus": {
        "model": {"hidden": 96, "decoder": "convolutional", "decorrelate": True},
        "objective": {"stage1_steps": 600},
        "training": {
            "steps": 6_000,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "validate_every": 2_000,
            "patience": None,
        },
    },
    # For the corpus of many instruments: wider, with silence clipped, two seconds of each clip at a
    # time. A larger z or more steps reconstruct better, but leave more of the instrument in z.
    "instruments": {
        "model": {"hidden": 256, "floor": -12.0},
        "objective": {"stage1_steps": 1_000},
        "data": {"store": "data/instruments", "crop": 125},
        "training": {
            "steps": 8_000,
            "batch_size": 8,
            "learning_rate": 2e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "validate_every": 1_000,
            "patience": None,
        },
    },
    # The same corpus with z decorrelated from v, and trained longer, since
    # more steps then leave no more of the instrument in z. Not with the convolutional decoder: on
    # this corpus z carries more with it, and fewer swaps are recognised as the other instrument.
    "instruments-plus": {
        "model": {"hidden": 256, "floor": -12.0, "decorrelate": True, "ridge": 0.1},
        "objective": {"stage1_steps": 1_500},
        "data": {"store": "data/instruments", "crop": 125},
        "training": {
            "steps": 12_000,
            "batch_size": 8,
            "learning_rate": 2e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "validate_every": 6_000,
            "patience": None,
        },
    },
    # The lab's own model, for a corpus of players. checkpoints/results/players.toml takes each part
    # out once, in a short form: 4,000 steps, 2,000 of them before the swaps.
    "players": _PLAYERS,
}


def preset(name: str) -> dict[str, Any]:
    """Values of a preset by name. Raises RavelError naming the presets if there is none."""
    from core.errors import RavelError

    if name not in PRESETS:
        raise RavelError(f"There is no preset called {name!r}: choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
