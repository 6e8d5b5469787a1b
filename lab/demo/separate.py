"""The tab 'Separate a mixture', and the endpoint /separate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from core.audio.clip import Clip
from lab.demo import models, parts
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import MIXTURES, MixtureExample, answers, kind_of, path_of, read_example
from lab.demo.library import OwnChannel
from lab.demo.models import HEADROOM, SEPARATOR, Rendering

CHANNELS = 2
MODELS = {SEPARATOR: "Everyday sounds", "separator-duets": "Two instruments"}
LEAD = (
    "Choose a recording of several sounds at once. **The model separates it into two channels that "
    "add up to it.** It was trained on mixtures alone, never on single sounds."
)
KEPT = 1800  # seconds for which a visitor's channels can be searched


def tab() -> tuple[gr.State, list[gr.Button]]:
    """Draw the tab with its first example answered, and bind its events.

    Returns the visitor's channels, and for each a button that searches for similar sounds.
    """
    first = MIXTURES[0]
    ready = _shipped_answer(first)
    whole, channels, contents = _split(ready) if ready else (None, [], [])
    gr.Markdown(LEAD)
    examples = parts.example_buttons([example.title for example in MIXTURES])
    mixture = parts.sound_input("Mixture", "separate", path_of(first.file))
    picture = gr.HTML(parts.draw("Mixture", whole, _ingredients(first)) if whole else "")
    names = models.names("separation")
    model = gr.Radio(
        [(text, name) for name, text in MODELS.items() if name in names],
        value=first.model,
        label="Model (training data)",
    )
    button = gr.Button("Separate", variant="primary")
    results, finders = [], []
    with gr.Row():
        for i in range(CHANNELS):
            with gr.Column(min_width=300):
                channel, content = (channels[i], contents[i]) if channels else (None, "")
                results.append(_result(i + 1, channel, content))
                finders.append(gr.Button("Find similar sounds", size="sm"))
    own = gr.State(_own(channels), time_to_live=KEPT)

    shown = [picture, *(component for result in results for component in result), own]
    given = [mixture.sound, mixture.start, model]
    button.click(separate_mixture, given, shown, api_visibility="private", **parts.MODEL_CALL)
    examples.click(
        show_example, examples, [mixture.sound, mixture.start, model, *shown], **parts.IMMEDIATE
    )
    return own, finders


def _result(number: int, rendering: Rendering | None, content: str) -> parts.Output:
    title = f"Channel {number}"
    output = parts.sound_output(f"channel-{number}", rendering, title, "The channel appears here.")
    if rendering:
        output.picture.value = parts.draw(title, rendering, content)
    return output


Separated = tuple[list[Rendering], list[str]]  # a mixture and its channels, and their contents


def _split(separated: Separated) -> tuple[Rendering, list[Rendering], list[str]]:
    (whole, *channels), contents = separated
    return whole, channels, contents


def _ingredients(example: MixtureExample) -> str:
    return " + ".join(kind_of(name) for name in example.clips)


def _shipped_answer(example: MixtureExample) -> Separated | None:
    """An example's precomputed answer."""
    if example.model not in models.names("separation"):
        return None
    return answers.separate(example.model, read_example(example.file, "separate"))


@parts.shows_errors
def show_example(number: int) -> list[Any]:
    """Fill the tab with an example and its channels."""
    example = MIXTURES[number]
    separated = _separate(example.model, read_example(example.file, "separate"))
    drawn = _drawn(separated, _ingredients(example))
    return [path_of(example.file), parts.hidden_start(), example.model, *drawn]


@parts.shows_errors
def separate_mixture(
    mixture: Path | None, start: float, model: str,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """The visitor's mixture, separated."""
    progress(0.1, desc="Reading")
    clip = models.read_input(mixture, "The mixture", start, "separate")
    progress(0.3, desc="Separating")
    return _drawn(_separate(model, clip))


def _separate(model: str, mixture: Clip) -> Separated:
    shipped = answers.separate(model, mixture)
    return shipped or (models.separate(model, mixture), [""] * CHANNELS)


def _gain(mixture: Rendering) -> float:
    """The gain of all channels, so that what is played still adds up to the mixture."""
    return HEADROOM / max(float(np.abs(mixture.wave).max()), 1e-9)


def _drawn(separated: Separated, detail: str = "") -> list[Any]:
    """Values of the mixture's spectrogram, of the channels' outputs, and of the visitor's state."""
    whole, channels, contents = _split(separated)
    drawn: list[Any] = [parts.draw("Mixture", whole, detail)]
    for number, (channel, content) in enumerate(zip(channels, contents, strict=True), 1):
        drawn.append(parts.draw(f"Channel {number}", channel, content))
        drawn.append(parts.player_value(f"channel-{number}", channel, _gain(whole)))
    return [*drawn, _own(channels)]


def _own(channels: list[Rendering]) -> list[OwnChannel]:
    return [
        OwnChannel(f"Channel {number} of your mixture", channel.wave)
        for number, channel in enumerate(channels, 1)
    ]


@parts.shows_errors
def separate(mixture: Path, model: str, start: float) -> tuple[Wav, ...]:
    """Separate a mixture into channels.

    Returns the channels as WAV files, all scaled by the same gain, so that they add up to the
    scaled mixture. At most 30 s are used, from `start` in seconds.
    """
    clip = models.read_input(mixture, "The mixture", start, "separate")
    whole, *channels = models.separate(model, clip)
    return tuple(
        parts.player_value(f"channel-{number}", channel, _gain(whole))
        for number, channel in enumerate(channels, 1)
    )


def endpoint() -> None:
    """Add /separate to the API."""
    names = models.names("separation")
    given = [
        Sound(label="Mixture", type="filepath"),
        gr.Radio(names, value=SEPARATOR if SEPARATOR in names else None, label="Model"),
        gr.Number(0, label="Start", minimum=0),
    ]
    made = [Sound(label=f"Channel {i}", interactive=False) for i in range(1, CHANNELS + 1)]
    gr.Button().click(separate, given, made, api_name="separate", **parts.MODEL_CALL)
