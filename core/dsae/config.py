"""Settings of TS-DSAE and its baselines, and the presets."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from core.training.config import RunConfig, Settings, Size, TrainingConfig

Variant = Literal["dsae", "dsae-f", "ts-dsae-no-swaps", "ts-dsae"]


class ModelConfig(Settings):
    """Sizes and forms of the networks (section 4 of the paper)."""

    posterior: Literal["factorised", "full"] = Field(
        "factorised", description="q(z_t|x_t), or q(z_t|x_1:T, v) by a bidirectional LSTM"
    )
    decoder: Literal["framewise", "recurrent", "convolutional"] = Field(
        "framewise",
        description="an MLP on each frame, the enriched bidirectional LSTM, or an MLP on each "
        "frame and its neighbours",
    )
    v_size: Size = Field(16, description="size of the global latent v")
    z_size: Size = Field(16, description="size of each local latent z")
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
    ridge: PositiveFloat = Field(
        0.01,
        description="ridge of that regression: dimensions of v with a variance below this have "
        "little effect",
    )


class ObjectiveConfig(Settings):
    """Which of the four models is trained, and the weight of each loss term."""

    variant: Variant = Field(
        "ts-dsae", description="the baselines DSAE, DSAE-f, TS-DSAE without swap terms, or TS-DSAE"
    )
    reduction: Literal["mean", "elbo"] = Field(
        "mean", description="means as in the authors' code, or sums as in equation 2"
    )
    stage1_steps: int = Field(5_700, ge=0, description="steps of constrained training")
    kl_z: NonNegativeFloat = Field(1.0, description="weight of the local KL")
    kl_v: NonNegativeFloat = Field(1.0, description="weight of the global KL")
    z_gswap: NonNegativeFloat = Field(1.0, description="weight: z unchanged by a global swap")
    v_gswap: NonNegativeFloat = Field(1.0, description="weight: v follows a global swap")
    v_lswap: NonNegativeFloat = Field(1.0, description="weight: v unchanged by a local swap")
    z_lswap: NonNegativeFloat = Field(1.0, description="weight: z follows a local swap")


class DataConfig(Settings):
    """The training data."""

    store: str = Field("data/dmelodies", description="folder of a feature store")
    crop: PositiveInt | None = Field(
        None, description="frames of a random crop for each training clip, or none for all"
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
        """`constrained`, then `informed`; the plain DSAE has one stage, `joint`."""
        if self.objective.variant == "dsae":
            return "joint"
        return "constrained" if step < self.objective.stage1_steps else "informed"

    def shortened(self, steps: int) -> dict[str, Any]:
        """Changes that shorten each stage this config reaches to so many steps."""
        reached = {self.stage(0), self.stage(self.training.steps - 1)}
        first = steps if "constrained" in reached else 0
        return {"training.steps": steps * len(reached), "objective.stage1_steps": first}


# Values laid over the defaults, which are the paper's: 4,000 epochs of 19 steps, C = 300 epochs.
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
    # The lab's own model: the same corpus with z decorrelated from v, and trained longer, since
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
}


def preset(name: str) -> dict[str, Any]:
    """Values of a preset by name. Raises RavelError naming the presets if there is none."""
    from core.errors import RavelError

    if name not in PRESETS:
        raise RavelError(f"There is no preset called {name!r}: choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
