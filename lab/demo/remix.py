"""The tab 'Remix a duet': separate, give a channel another instrument, mix again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.audio.clip import Clip
from lab.demo import models, parts
from lab.demo.examples import MIXTURES, answers, path_of, read_example
from lab.demo.models import HEADROOM

CHANNELS = 2
KEEP, RESULTS = "As it is", "remix-results"
LEAD = (
    "Choose a recording of two instruments that play one note at a time. **The duet is separated, "
    "and another instrument plays one of its channels, or both.** Then all is mixed again."
)


def tab() -> None:
    """Draw the tab, and bind its events."""
    duet = next(example for example in MIXTURES if example.model == models.DUETS)
    gr.Markdown(LEAD)
    offered = models.instruments()
    if not offered or models.DUETS not in models.names("separation"):
        gr.Markdown("The models for this tab do not ship.")
        return
    drawn = parts.draw("Duet", _picture(read_example(duet.file, "remix"), duet.model))
    mixture = parts.sound_input("Duet", "remix", path_of(duet.file), drawn, results=RESULTS)
    players = []
    with gr.Row():
        for number in range(1, CHANNELS + 1):
            players.append(
                gr.Dropdown(
                    [(KEEP, ""), *((name.capitalize(), name) for name in offered)],
                    value="" if number == 1 else offered[0],
                    label=f"Channel {number} is played by",
                    filterable=False,
                    min_width=280,
                )
            )
    button = gr.Button("Remix", variant="primary")
    with parts.results(RESULTS):
        remixed = parts.sound_output("remix", None, "Remix", "The remix appears here.")
        with gr.Row():
            channels = []
            for number in range(1, CHANNELS + 1):
                with gr.Column(min_width=300):
                    text = "The channel appears here."
                    channels.append(
                        parts.sound_output(f"channel-{number}", None, f"Channel {number}", text)
                    )
    shown = [*remixed, *(component for channel in channels for component in channel)]
    given = [mixture.sound, mixture.start, *players]
    call: dict[str, Any] = {"api_visibility": "private", **parts.MODEL_CALL}
    parts.mark_new(button.click(remix_duet, given, shown, **call), RESULTS)
    parts.mark_old([player.input for player in players], RESULTS)


def _picture(mixture: Clip, model: str) -> models.Rendering:
    """The duet's picture, as it ships where it does."""
    found = answers.separate(model, mixture)
    return found[0][0] if found else models.render(mixture.wave)


@parts.shows_errors
def remix_duet(
    mixture: Path | None, start: float, first: str, second: str,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """The visitor's duet with other players."""
    progress(0.1, desc="Reading")
    clip = models.read_input(mixture, "The duet", start, "remix")
    progress(0.3, desc="Remixing")
    players = {number: name for number, name in enumerate((first, second), 1) if name}
    made = models.remix(clip, players)
    gain = HEADROOM / max(float(abs(clip.wave).max()), 1e-9)
    changed = ", ".join(f"channel {number} by {name}" for number, name in players.items())
    drawn: list[Any] = [parts.draw("Remix", made.remix, changed or "nothing changed")]
    drawn.append(parts.player_value("remix", made.remix, gain))
    for number, channel in enumerate(made.channels, 1):
        drawn.append(parts.draw(f"Channel {number}", channel, "as separated"))
        drawn.append(parts.player_value(f"channel-{number}", channel, gain))
    return drawn
