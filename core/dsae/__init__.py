"""TS-DSAE and its baselines: one global latent and a sequence of local latents of a sound."""

from core.dsae.charts import CHARTS, HEADLINE
from core.dsae.config import PRESETS, DsaeConfig
from core.registry import Page, System, register

SYSTEM = register(
    System(
        name="dsae",
        title="TS-DSAE and its baselines",
        summary="**TS-DSAE** learns a global latent and a sequence of local latents of a sound.",
        noun="dsae",
        purpose="swapping",
        config=DsaeConfig,
        presets=PRESETS,
        network_path="core.dsae.model:Dsae",
        load_path="core.dsae.latents:load",
        task_path="core.dsae.task:DsaeTask",
        evaluate_path="core.dsae.evaluation.report:evaluate",
        card_path="core.dsae.card",
        maps_path="core.dsae.maps",
        variant="objective.variant",
        charts=CHARTS,
        headline=HEADLINE,
        page=Page("swap", "Play it on Swap", ":material/swap_horiz:"),
        default_scores=("f1_pre", "f1_global", "f1_local"),
        needs_audio=False,
        fine_tuning={"objective.stage1_steps": 0},
        provides={
            "rebuild": "core.dsae.samples:rebuild_by_name",
            "swapped_clips": "core.dsae.samples:swap_by_name",
        },
    )
)
