"""Settings of learning from separated scenes, and the presets."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from core.audio.clip import SAMPLE_RATE
from core.audio.scene_mel import FRONT_END
from core.training.config import RunConfig, Settings, Size, TrainingConfig, listed

Names = Annotated[tuple[str, ...], BeforeValidator(listed)]

SMALLEST_BATCH = 2  # clips: both proxy tasks need negatives, which are other clips of the batch

MOST_SOUNDS = 5  # in a scene that encoders are scored on, see `core.contrastive.mixed`

# Processors that may be named among the separators; they need no checkpoint.
RANDOM = ("random-separator", "random-filter", "random-equaliser")
FRONT_END_SETTINGS: dict[str, float] = {"sample_rate": SAMPLE_RATE, **FRONT_END._asdict()}


class ModelConfig(Settings):
    """The encoder and its two heads."""

    encoder: Literal["cnn14", "small"] = Field(
        "cnn14", description="CNN14 of PANNs, or a small strided CNN for CPUs"
    )
    width: Size = Field(32, description="channels of the small encoder's first layer")
    embedding: Size = Field(128, description="size of the embedding h")
    head: Size = Field(512, description="width of both heads' hidden layer")
    projection: Size = Field(
        128, description="size of the projection that similarity is measured in"
    )


class ViewsConfig(Settings):
    """How the two views of a clip are made (section 2 of the paper)."""

    pair: Literal["mixture-mixture", "mixture-channel", "channel-channel"] = Field(
        "mixture-channel", description="the two views of a clip"
    )
    separators: Names = Field(
        ("separator-scenes",),
        description="separation checkpoints, or random-separator, random-filter, random-equaliser; "
        "one is drawn per example",
    )
    random_pool: PositiveInt = Field(
        1_000, description="number of random separators or filters; each batch draws one"
    )
    frames: int = Field(96, ge=32, description="frames per patch, 10 ms each")
    proximity: PositiveFloat | None = Field(
        None,
        description="maximum seconds between the two patches, or none for anywhere in the clip",
    )
    mix: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of patches to which another clip is added, as augmentation",
    )
    mix_below: NonNegativeFloat = Field(
        10.0, description="most dB by which an added clip is quieter than the patch; 0 at least"
    )
    specaugment: bool = Field(True, description="mask and warp the patches (SpecAugment)")
    freq_masks: NonNegativeInt = Field(2, description="frequency masks per patch")
    freq_width: NonNegativeInt = Field(10, description="maximum bands per mask")
    time_masks: NonNegativeInt = Field(2, description="time masks per patch")
    time_width: NonNegativeInt = Field(16, description="maximum frames per mask")
    warp: NonNegativeInt = Field(4, description="maximum time warp, in frames")


class ObjectiveConfig(Settings):
    """The objective: similarity maximisation, coincidence prediction, or both."""

    similarity: NonNegativeFloat = Field(1.0, description="weight of similarity maximisation")
    coincidence: NonNegativeFloat = Field(1.0, description="weight of coincidence prediction")
    temperature: PositiveFloat = Field(0.1, description="temperature of the similarities")

    @model_validator(mode="after")
    def _something(self) -> "ObjectiveConfig":
        if not (self.similarity or self.coincidence):
            raise ValueError("objective.similarity or objective.coincidence must be above 0")
        return self


class DataConfig(Settings):
    """The training data."""

    store: str = Field("data/scenes", description="folder of a feature store with its audio")
    factor: str = Field("label", description="label column for the probe; never used for training")


class ContrastiveConfig(RunConfig):
    """One training run of an encoder."""

    system: Literal["contrastive"] = "contrastive"
    model: ModelConfig = ModelConfig()
    views: ViewsConfig = ViewsConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    data: DataConfig = DataConfig()
    # Saved with the weights, which only work with this front end; not meant to be changed.
    front_end: dict[str, float] = FRONT_END_SETTINGS
    training: TrainingConfig = TrainingConfig(
        steps=100_000,
        batch_size=128,
        learning_rate=1e-3,
        schedule="cosine",
        warmup_steps=1_000,
        validate_every=1_000,
        patience=None,
        checkpoint_every=1_000,
    )

    @model_validator(mode="after")
    def _several(self) -> "ContrastiveConfig":
        if self.training.batch_size < SMALLEST_BATCH:
            raise ValueError(
                "a clip is distinguished from the others of its batch: training.batch_size must be "
                f"{SMALLEST_BATCH} or more"
            )
        return self

    @field_validator("front_end")
    @classmethod
    def _the_same(cls, value: dict[str, float]) -> dict[str, float]:
        for name in {**FRONT_END_SETTINGS, **value}:
            if value.get(name) != FRONT_END_SETTINGS.get(name):
                raise ValueError(f"its {name} should be {FRONT_END_SETTINGS.get(name)}")
        return value

    def stage(self, step: int) -> str:
        """There is one stage, named after the objectives."""
        names = [name for name in ("similarity", "coincidence") if getattr(self.objective, name)]
        return " and ".join(names)

    def shortened(self, steps: int) -> dict[str, Any]:
        """Changes that shorten training to so many steps."""
        return {"training.steps": steps}


# Values laid over the defaults. What the paper's slides leave open (temperature, batch size,
# optimiser, head widths, masks) is a choice of this project.
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "small": {
        "model": {"encoder": "small"},
        "training": {
            "steps": 2_400,
            "batch_size": 64,
            "warmup_steps": 100,
            "validate_every": 200,
            "checkpoint_every": 200,
        },
    },
    "tiny": {
        "model": {"encoder": "small", "width": 16, "head": 128},
        "training": {
            "steps": 200,
            "batch_size": 32,
            "warmup_steps": 20,
            "validate_every": 50,
            "checkpoint_every": 50,
        },
    },
}
