"""Separators: TDCN++ trained by MixIT on mixtures of mixtures."""

from core.registry import Page, System, register
from core.separation.charts import CHARTS, HEADLINE
from core.separation.config import PRESETS, SeparationConfig

SYSTEM = register(
    System(
        name="separation",
        title="MixIT separator (TDCN++)",
        summary="**MixIT** learns to separate mixtures from mixtures alone.",
        noun="separator",
        purpose="separating",
        config=SeparationConfig,
        presets=PRESETS,
        network_path="core.separation.model:Separator",
        load_path="core.separation.separate:load",
        task_path="core.separation.task:SeparationTask",
        evaluate_path="core.separation.report:evaluate",
        card_path="core.separation.card",
        variant="objective.method",
        charts=CHARTS,
        headline=HEADLINE,
        page=Page("separate", "Play it on Separate", ":material/call_split:"),
        provides={
            "load_separator": "core.separation.separate:load",
            "untrained_separator": "core.separation.separate:untrained_small",
        },
    )
)
