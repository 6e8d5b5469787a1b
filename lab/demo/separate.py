"""The tab 'Take apart a mixture', and the endpoint /separate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from lab.demo import models as engine
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import MIXTURES, MixtureExample, answers, what
from lab.demo.examples import file_of as file
from lab.demo.library import Own
from lab.demo.models import HEADROOM, SEPARATOR, Heard
from lab.demo.parts import (
    AT_ONCE,
    WORK,
    chips,
    draw,
    hidden_start,
    place,
    play,
    slot,
    spoken,
)  # fmt: skip

CHANNELS = 2
MODELS = {SEPARATOR: "Everyday sounds", "separator-duets": "Two instruments"}
LEAD = (
    "A recording in which several things sound at once. **It comes back as two channels that add "
    "up to it.** The model learned this from mixtures alone; it never heard one sound by itself."
)
KEPT = 1800  # seconds for which a visitor's channels can be searched


def tab() -> tuple[gr.State, list[gr.Button], list[Sound]]:
    """Draw the tab with its first example answered, and bind it.

    Returns the visitor's channels, and of each a button that asks for what is like it.
    """
    ready = _ready(MIXTURES[0])
    heard, says = ready if ready else ([None] * (1 + CHANNELS), [""] * CHANNELS)
    gr.Markdown(LEAD)
    examples = chips([example.title for example in MIXTURES])
    mixture = slot("Mixture", "separate", file(MIXTURES[0].file))
    picture = gr.HTML(draw("Mixture", heard[0], _inside(MIXTURES[0])) if heard[0] else "")
    names = engine.names("separation")
    model = gr.Radio(
        [(words, name) for name, words in MODELS.items() if name in names],
        value=MIXTURES[0].model,
        label="Model, by what it has heard",
    )
    button = gr.Button("Take apart", variant="primary")
    places, finders = [], []
    with gr.Row():
        for number in range(1, CHANNELS + 1):
            with gr.Column(min_width=300):
                places.append(_place(number, heard[number], says[number - 1]))
                finders.append(gr.Button("Find what sounds like this", size="sm"))
    own = gr.State(_own(heard[1:]) if ready else [], time_to_live=KEPT)

    shown = [picture, *(component for place in places for component in place), own]
    given = [mixture.sound, mixture.start, model]
    button.click(take_apart, given, shown, api_visibility="private", **WORK)
    examples.click(show_example, examples, [mixture.sound, mixture.start, model, *shown], **AT_ONCE)
    return own, finders, [place.sound for place in places]


def _place(number: int, heard: Heard | None, says: str) -> Any:
    shown = place(f"channel-{number}", "A channel appears here.", heard, f"Channel {number}")
    if heard:
        shown.picture.value = draw(f"Channel {number}", heard, says)
    return shown


def _inside(example: MixtureExample) -> str:
    return " + ".join(what(name) for name in example.clips)


def _ready(example: MixtureExample) -> tuple[list[Heard], list[str]] | None:
    """What ships of an example."""
    if example.model not in engine.names("separation"):
        return None
    return answers.separate(example.model, _mixture(example))


def _mixture(example: MixtureExample) -> Any:
    return engine.take(file(example.file), "The example", 0.0, "separate")


@spoken
def show_example(number: int) -> list[Any]:
    """Fill the tab with an example and its channels."""
    example = MIXTURES[number]
    live = None if (ready := _ready(example)) else engine.separate(example.model, _mixture(example))
    heard, says = ready or (live, [""] * CHANNELS)
    drawn = _drawn(heard, says, _inside(example))
    return [file(example.file), hidden_start(), example.model, *drawn]


@spoken
def take_apart(
    mixture: Path | None, start: float, model: str,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """The visitor's mixture, taken apart."""
    progress(0.1, desc="Listening")
    clip = engine.take(mixture, "The mixture", start, "separate")
    progress(0.3, desc="Taking apart")
    known = answers.separate(model, clip)
    heard, says = known or (engine.separate(model, clip), [""] * CHANNELS)
    return _drawn(heard, says, "")


def _drawn(heard: list[Heard], says: list[str], detail: str) -> list[Any]:
    whole, *channels = heard
    gain = HEADROOM / max(float(np.abs(whole.wave).max()), 1e-9)
    drawn: list[Any] = [draw("Mixture", whole, detail)]
    for number, (channel, held) in enumerate(zip(channels, says, strict=True), 1):
        drawn.append(draw(f"Channel {number}", channel, held))
        drawn.append(play(f"channel-{number}", channel, gain))
    return [*drawn, _own(channels)]


def _own(channels: list[Heard]) -> list[Own]:
    return [
        Own(f"Channel {number} of your mixture", channel.wave)
        for number, channel in enumerate(channels, 1)
    ]


@spoken
def separate(mixture: Path, model: str, start: float) -> tuple[Wav, ...]:
    """Take a mixture apart.

    Its channels as WAV files, all equally far from their own level, so that they add up to the
    mixture. At most 30 s are taken, from `start` seconds on.
    """
    clip = engine.take(mixture, "The mixture", start, "separate")
    whole, *channels = engine.separate(model, clip)
    gain = HEADROOM / max(float(np.abs(whole.wave).max()), 1e-9)
    return tuple(play(f"channel-{i}", channel, gain) for i, channel in enumerate(channels, 1))


def endpoint() -> None:
    """Offer /separate to scripts."""
    names = engine.names("separation")
    given = [
        Sound(label="Mixture", type="filepath"),
        gr.Radio(names, value=SEPARATOR if SEPARATOR in names else None, label="Model"),
        gr.Number(0, label="Start", minimum=0),
    ]
    made = [Sound(label=f"Channel {i}", interactive=False) for i in range(1, CHANNELS + 1)]
    gr.Button().click(separate, given, made, api_name="separate", **WORK)
