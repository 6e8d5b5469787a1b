"""What may be set in learning from separated scenes, and the presets."""

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

# What may stand among the separators without having learnt anything.
RANDOM = ("random-separator", "random-filter", "random-equaliser")
HEARD: dict[str, float] = {"sample_rate": SAMPLE_RATE, **FRONT_END._asdict()}


class ModelConfig(Settings):
    """The encoder and its two heads."""

    encoder: Literal["cnn14", "small"] = Field(
        "cnn14", description="CNN14 of PANNs, or a strided one for CPUs"
    )
    width: Size = Field(32, description="channels of the small encoder's first layer")
    embedding: Size = Field(128, description="size of the embedding h")
    head: Size = Field(512, description="width of both heads' hidden layer")
    projection: Size = Field(128, description="size of what similarity is measured in")


class ViewsConfig(Settings):
    """How the two views of a clip are made (section 2 of the paper)."""

    pair: Literal["mixture-mixture", "mixture-channel", "channel-channel"] = Field(
        "mixture-channel", description="what the two views are"
    )
    separators: Names = Field(
        ("separator-scenes",),
        description="separation checkpoints, or random-separator, random-filter, random-equaliser; "
        "one is drawn for each example",
    )
    random_pool: PositiveInt = Field(
        1_000, description="how many random separators or filters there are; a batch draws one"
    )
    frames: int = Field(96, ge=32, description="frames of a patch, 10 ms each")
    proximity: PositiveFloat | None = Field(
        None, description="most seconds between the two patches, or none for the whole clip"
    )
    specaugment: bool = Field(True, description="mask and warp the patches")
    freq_masks: NonNegativeInt = Field(2, description="masks along frequency")
    freq_width: NonNegativeInt = Field(10, description="most bands a mask hides")
    time_masks: NonNegativeInt = Field(2, description="masks along time")
    time_width: NonNegativeInt = Field(16, description="most frames a mask hides")
    warp: NonNegativeInt = Field(4, description="most frames that time is warped by")


class ObjectiveConfig(Settings):
    """What is minimised: similarity maximisation, coincidence prediction, or both."""

    similarity: NonNegativeFloat = Field(1.0, description="weight of similarity maximisation")
    coincidence: NonNegativeFloat = Field(1.0, description="weight of coincidence prediction")
    temperature: PositiveFloat = Field(0.1, description="temperature of the similarities")

    @model_validator(mode="after")
    def _something(self) -> "ObjectiveConfig":
        if not (self.similarity or self.coincidence):
            raise ValueError("one of objective.similarity and objective.coincidence must weigh")
        return self


class DataConfig(Settings):
    """What it is trained on."""

    store: str = Field("data/scenes", description="folder of a feature store with its audio")
    factor: str = Field("label", description="label column of the probe; never trained on")


class ContrastiveConfig(RunConfig):
    """One training run of an encoder."""

    system: Literal["contrastive"] = "contrastive"
    model: ModelConfig = ModelConfig()
    views: ViewsConfig = ViewsConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    data: DataConfig = DataConfig()
    # Kept with the weights, which are of no use to another front end; not to be chosen.
    front_end: dict[str, float] = HEARD
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

    @field_validator("front_end")
    @classmethod
    def _the_same(cls, value: dict[str, float]) -> dict[str, float]:
        for name in {**HEARD, **value}:
            if value.get(name) != HEARD.get(name):
                raise ValueError(f"its {name} should be {HEARD.get(name)}")
        return value

    def stage(self, step: int) -> str:
        """There is one stage, named after the objectives."""
        names = [name for name in ("similarity", "coincidence") if getattr(self.objective, name)]
        return " and ".join(names)

    def shortened(self, steps: int) -> dict[str, Any]:
        """Changes that leave so many steps."""
        return {"training.steps": steps}


# Values laid over the defaults. What the paper's slides do not tell (temperature, batch size,
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
