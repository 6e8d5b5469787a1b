"""Settings of a vocoder, and the presets."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveInt, model_validator

from core.training.config import RunConfig, Settings, Size, TrainingConfig, listed

ROUNDS = 10  # of Griffin-Lim after the network, to reduce what remains of the log-mel error
Names = Annotated[tuple[str, ...], BeforeValidator(listed)]


class ModelConfig(Settings):
    """Sizes of the network."""

    width: Size = Field(256, description="channels between blocks")
    hidden: Size = Field(768, description="width inside a block")
    blocks: int = Field(8, ge=1, le=32, description="number of ConvNeXt blocks")
    kernel: int = Field(7, ge=1, le=31, description="kernel size in frames, an odd number")

    @model_validator(mode="after")
    def _odd(self) -> "ModelConfig":
        if self.kernel % 2 == 0:
            raise ValueError(f"model.kernel must be odd, and {self.kernel} is not")
        return self


class ObjectiveConfig(Settings):
    """The weight of each loss term."""

    magnitude: NonNegativeFloat = Field(1.0, description="weight: log magnitudes")
    convergence: NonNegativeFloat = Field(1.0, description="weight: spectral convergence")
    advance: NonNegativeFloat = Field(2.0, description="weight: phase from frame to frame")
    delay: NonNegativeFloat = Field(1.0, description="weight: phase from bin to bin")
    noise_share: float = Field(
        0.1, ge=0, lt=1, description="final share of the steps that train only the noise head"
    )


class DataConfig(Settings):
    """The training data."""

    store: str = Field("data/duets", description="folder of a feature store with its audio")
    more: Names = Field((), description="folders of more feature stores with audio, or none")
    crop: PositiveInt = Field(64, description="frames of the random excerpt taken from each clip")
    quietest: NonNegativeFloat = Field(
        12.0, description="maximum random attenuation of an excerpt, in dB"
    )
    models: Names = Field(
        (),
        description="MODEL=STORE, ...: also train on the reconstructions that these disentangling "
        "checkpoints make of clips of these stores; or none",
    )
    rebuilt: float = Field(
        0.3, ge=0, le=1, description="share of these clips' excerpts that use a reconstruction"
    )
    rebuilt_clips: PositiveInt = Field(800, description="clips that each model reconstructs")

    @model_validator(mode="after")
    def _check_models(self) -> "DataConfig":
        for entry in self.models:
            name, _, store = entry.rpartition("=")
            if not name or store not in (self.store, *self.more):
                raise ValueError(
                    "data.models holds MODEL=STORE, a store being one of data.store and data.more; "
                    f"{entry!r} is not that"
                )
        return self

    def models_of(self, store: str) -> list[str]:
        """The checkpoints that rebuild clips of a store."""
        pairs = [entry.rpartition("=") for entry in self.models]
        return [name for name, _, of in pairs if of == store]


class VocoderConfig(RunConfig):
    """One training run of a vocoder."""

    system: Literal["vocoder"] = "vocoder"
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig(
        steps=200_000,
        batch_size=16,
        learning_rate=1e-3,
        schedule="cosine",
        warmup_steps=200,
        gradient_clip=1.0,
        validate_every=1_000,
        patience=None,
        checkpoint_every=1_000,
        log_every=50,
    )

    def stage(self, step: int) -> str:
        """`spectra`, then `noise`, which trains the noise head alone."""
        return "spectra" if step < self.spectra_steps else "noise"

    @property
    def spectra_steps(self) -> int:
        """The number of steps in the first stage."""
        return self.training.steps - round(self.objective.noise_share * self.training.steps)

    def shortened(self, steps: int) -> dict[str, Any]:
        """Changes that shorten each stage this config reaches to so many steps."""
        both = self.spectra_steps < self.training.steps
        return {
            "training.steps": 2 * steps if both else steps,
            "objective.noise_share": 0.5 if both else 0.0,
            "training.snapshots": (),
        }


# Values laid over the defaults, which are for a GPU.
PRESETS: dict[str, dict[str, Any]] = {
    "base": {},
    # For one CPU core: an hour and a half.
    "small": {
        "model": {"hidden": 512, "blocks": 6},
        "data": {
            "more": ("data/dmelodies", "data/scenes"),
            "models": (
                "ts-dsae-instruments=data/duets",
                "ts-dsae-dmelodies=data/dmelodies",
            ),
        },
        "training": {
            "steps": 20_000,
            "batch_size": 8,
            "learning_rate": 1.5e-3,
            "precision": "bf16",
            "validate_every": 2_000,
            "log_every": 100,
        },
    },
}
