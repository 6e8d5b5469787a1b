"""Vocoders: log-mels to sound."""

from core.registry import System, register
from core.vocoder.charts import CHARTS, HEADLINE
from core.vocoder.config import PRESETS, VocoderConfig

SYSTEM = register(
    System(
        name="vocoder",
        title="Vocoder: log-mels to sound",
        summary="The **vocoder** learns to turn log-mels into sound.",
        noun="vocoder",
        purpose="playing",
        config=VocoderConfig,
        presets=PRESETS,
        network_path="core.vocoder.vocode:network",
        load_path="core.vocoder.vocode:load",
        task_path="core.vocoder.task:VocoderTask",
        evaluate_path="core.vocoder.report:evaluate",
        card_path="core.vocoder.card",
        charts=CHARTS,
        headline=HEADLINE,
        task_needs=("rebuild",),
        evaluate_needs=("swapped_clips",),
    )
)
