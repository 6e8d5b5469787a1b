"""Encoders of sound scenes, trained without labels on views made by a separator."""

from core.contrastive.charts import CHARTS, HEADLINE
from core.contrastive.config import PRESETS, ContrastiveConfig
from core.registry import Page, System, register

SYSTEM = register(
    System(
        name="contrastive",
        title="Encoder of separated scenes",
        summary="The **encoder** learns embeddings of sound from separated scenes, without labels.",
        noun="encoder",
        purpose="embeddings",
        config=ContrastiveConfig,
        presets=PRESETS,
        network_path="core.contrastive.model:Contrastive",
        load_path="core.contrastive.embed:load",
        task_path="core.contrastive.task:ContrastiveTask",
        evaluate_path="core.contrastive.report:evaluate",
        card_path="core.contrastive.card",
        maps_path="core.contrastive.maps",
        charts=CHARTS,
        headline=HEADLINE,
        page=Page("find", "Search with it on Find", ":material/search:", parameter="encoder"),
        default_scores=("map", "qbe_map"),
        task_needs=("load_separator", "untrained_separator"),
    )
)
