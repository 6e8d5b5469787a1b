"""A system of its own, beside those of Ravel: a linear layer that learns to sum numbers.

Registered as a person's own package is: RAVEL_SYSTEMS=tests.core.toy.
"""

from typing import Any, Literal

from pydantic import Field

from core.registry import Chart, Figure, System, register
from core.training.config import RunConfig, Settings, TrainingConfig


class ModelConfig(Settings):
    size: int = Field(3, ge=1, description="numbers of a clip")


class DataConfig(Settings):
    store: str = Field("data/none", description="the name of what it is trained on")


class ToyConfig(RunConfig):
    system: Literal["toy"] = "toy"
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig(
        steps=20, batch_size=8, learning_rate=0.05, validate_every=5, checkpoint_every=5,
        log_every=1, patience=None,
    )  # fmt: skip

    def stage(self, step: int) -> str:
        return "only"

    def shortened(self, steps: int) -> dict[str, Any]:
        return {"training.steps": steps}


LOSS = "Squared error."

SYSTEM = register(
    System(
        name="toy",
        title="A toy",
        summary="The **toy** learns sums.",
        noun="toy",
        purpose="summing",
        config=ToyConfig,
        presets={"paper": {}, "long": {"training": {"steps": 40}}},
        network_path="tests.core.toy.work:network",
        load_path="tests.core.toy.work:load",
        task_path="tests.core.toy.work:ToyTask",
        evaluate_path="tests.core.toy.work:evaluate",
        card_path="tests.core.toy.work",
        charts=(Chart("Toy loss", ("train loss", "validation criterion as validation"), LOSS),),
        headline=(Figure("Toy error", "validation criterion", "{:.3g}", LOSS),),
    )
)
