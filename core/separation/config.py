"""Settings of a MixIT separator, and the presets."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from core.training.config import RunConfig, Settings, Size, TrainingConfig


class ModelConfig(Settings):
    """Sizes and forms of TDCN++."""

    channels: int = Field(2, ge=2, le=16, description="output channels, M")
    transform: Literal["learned", "stft"] = Field(
        "learned", description="a learned basis, or masks on the short-time Fourier transform"
    )
    window: Size = Field(40, description="samples of an analysis frame")
    hop: Size = Field(20, description="samples between frames; a smaller hop makes training slower")
    basis: Size = Field(256, description="learned basis functions, N (not for stft)")
    bottleneck: Size = Field(256, description="width between blocks, B")
    hidden: Size = Field(512, description="width inside a block, H")
    blocks: int = Field(
        8, ge=1, le=32, description="blocks per repeat, with dilations 1, 2, 4, ..., X"
    )
    repeats: int = Field(4, ge=1, le=32, description="repeats, R")
    skips: bool = Field(True, description="long residual connections between repeats")
    consistency: Literal["learned", "energy", "uniform", "none"] = Field(
        "learned",
        description="how the residual (mixture minus sum of channels) is shared among channels",
    )

    @model_validator(mode="after")
    def _covered(self) -> "ModelConfig":
        if self.hop > self.window:
            raise ValueError(f"model.hop must not be above model.window, which is {self.window}")
        if self.transform == "stft" and self.hop > self.window // 2:
            raise ValueError(f"with stft, model.hop must not be above half of {self.window}")
        return self


class ObjectiveConfig(Settings):
    """The objective."""

    method: Literal["mixit", "pit", "self-remixing", "remixit"] = Field(
        "mixit",
        description="mixture invariant; permutation invariant with the two clips as sources; or, "
        "from a trained separator on, self-remixing or remixit",
    )
    start: str = Field(
        "", description="checkpoint whose weights training begins with; required for remixing"
    )
    teacher_decay: float = Field(
        0.8,
        ge=0,
        le=1,
        description="share of its own weights that the teacher of remixing keeps at an update, the "
        "rest being the student's: 1 for a fixed teacher",
    )
    teacher_every: PositiveInt = Field(250, description="steps between updates of the teacher")
    snr_max: PositiveFloat = Field(
        30.0, description="SNR in dB above which the loss stops improving"
    )
    sparsity: NonNegativeFloat = Field(
        0.0, description="weight of the channels' sparsity (L1/L2): those not needed stay empty"
    )
    covariance: NonNegativeFloat = Field(
        0.0, description="weight of the covariance between channels"
    )

    @model_validator(mode="after")
    def _fitting(self) -> "ObjectiveConfig":
        if self.method != "mixit" and (self.sparsity or self.covariance):
            raise ValueError(
                "objective.sparsity and objective.covariance apply to mixit only: leave them 0 for "
                f"{self.method}"
            )
        if self.remixes and not self.start:
            raise ValueError(
                f"{self.method} begins with a trained separator: name it in objective.start"
            )
        return self

    @property
    def remixes(self) -> bool:
        """Whether a student learns from a teacher's remixed channels."""
        return self.method in ("self-remixing", "remixit")


class DataConfig(Settings):
    """The clips that mixtures of mixtures are made of."""

    store: str = Field("data/scenes", description="folder of a feature store with its audio")
    seconds: PositiveFloat = Field(10.0, description="length of the random excerpts")
    level_spread: NonNegativeFloat = Field(
        2.5, description="range in dB of each clip's random gain, up or down"
    )
    single: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of training examples that are one clip by itself, to be kept whole in "
        "one channel (mixit and pit)",
    )
    factor: str = Field("label", description="label column that names the sources in samples")


class SeparationConfig(RunConfig):
    """One training run of a separator."""

    system: Literal["separation"] = "separation"
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig(
        steps=1_700_000,
        batch_size=3,
        learning_rate=1e-4,
        schedule="exponential",  # half as large after two million steps
        half_life=2_000_000,
        validate_every=5_000,
        patience=None,
        checkpoint_every=5_000,
        log_every=50,
        snapshots=(0, 500, 5_000, 1_700_000),
    )

    @model_validator(mode="after")
    def _several(self) -> "SeparationConfig":
        if self.objective.remixes and self.training.batch_size < 2:
            raise ValueError(
                "remixing exchanges channels between mixtures: training.batch_size must be 2 or "
                "more, and at least model.channels is better"
            )
        if self.objective.remixes and self.data.single:
            raise ValueError(
                "remixing learns from mixtures alone: leave data.single 0 for "
                f"{self.objective.method}"
            )
        return self

    def stage(self, step: int) -> str:
        """There is one stage, named after the objective."""
        return self.objective.method

    def shortened(self, steps: int) -> dict[str, Any]:
        """Changes that shorten training to so many steps."""
        return {"training.steps": steps, "training.snapshots": ()}


# Values laid over the defaults: the released recipe, and the paper's last step.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    # For two CPU cores: a step costs what its frames cost, so the hop is 8 ms instead of 1.25.
    "small": {
        "model": {
            "window": 256,
            "hop": 128,
            "bottleneck": 96,
            "hidden": 192,
            "blocks": 6,
            "repeats": 2,
        },
        "data": {"seconds": 2.5},
        "training": {
            "steps": 28_000,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "gradient_clip": 5.0,
            "validate_every": 500,
            "checkpoint_every": 500,
            "snapshots": (0, 500, 5_000, 28_000),
        },
    },
    # For scenes, at the cost of `small`: after 3,000 steps 5.1 dB of improvement in place of 3.7.
    "scenes": {
        "model": {
            "transform": "stft",
            "window": 512,
            "hop": 256,
            "bottleneck": 128,
            "hidden": 256,
            "blocks": 6,
            "repeats": 3,
        },
        "data": {"seconds": 2.5, "single": 0.1},
        "training": {
            "steps": 50_000,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "gradient_clip": 5.0,
            "validate_every": 1_000,
            "checkpoint_every": 500,
            "snapshots": (0, 500, 5_000, 50_000),
        },
    },
    # For instruments playing together: windows of 16 ms cannot resolve their partials.
    "duets": {
        "model": {
            "transform": "stft",
            "window": 1024,
            "hop": 256,
            "bottleneck": 128,
            "hidden": 256,
            "blocks": 6,
            "repeats": 2,
        },
        "data": {"store": "data/duets", "seconds": 2.5, "factor": "instrument"},
        "training": {
            "steps": 12_000,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "gradient_clip": 5.0,
            "validate_every": 500,
            "checkpoint_every": 500,
            "snapshots": (0, 500, 5_000, 12_000),
        },
    },
    # For tests and a first look: trains in a minute.
    "tiny": {
        "model": {
            "window": 256,
            "hop": 128,
            "basis": 128,
            "bottleneck": 48,
            "hidden": 96,
            "blocks": 5,
            "repeats": 1,
        },
        "data": {"seconds": 1.0},
        "training": {
            "steps": 300,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "schedule": "cosine",
            "warmup_steps": 20,
            "gradient_clip": 5.0,
            "validate_every": 100,
            "checkpoint_every": 100,
            "log_every": 10,
            "snapshots": (0, 100),
        },
    },
}
