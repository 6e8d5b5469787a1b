"""The tab 'Separate a mixture', and the endpoint /separate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from core.audio.clip import Clip
from lab.demo import library, models, parts
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import MIXTURES, MixtureExample, answers, kind_of, path_of, read_example
from lab.demo.library import OwnChannel
from lab.demo.models import HEADROOM, SEPARATOR, Rendering

CHANNELS = 2
MODELS = {SEPARATOR: "Everyday sounds", models.DUETS: "Two instruments"}
BY_MIXTURE, RESULTS = "by-mixture", "separate-results"
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
    drawn = parts.draw("Mixture", whole, _ingredients(first)) if whole else ""
    mixture = parts.sound_input("Mixture", "separate", path_of(first.file), drawn, results=RESULTS)
    names = models.names("separation")
    offered = [(text, name) for name, text in MODELS.items() if name in names]
    automatic = [("By the mixture", BY_MIXTURE)] if len(offered) > 1 else []
    model = gr.Radio(
        [*automatic, *offered],
        value=BY_MIXTURE if automatic else first.model,
        label="Model (training data)",
    )
    button = gr.Button("Separate", variant="primary")
    results, finders = [], []
    with parts.results(RESULTS):
        used = gr.Markdown(_used(first.model), elem_classes="small")
        with gr.Row():
            for i in range(CHANNELS):
                with gr.Column(min_width=300):
                    channel, content = (channels[i], contents[i]) if channels else (None, "")
                    results.append(_result(i + 1, channel, content))
                    finders.append(gr.Button("Find similar sounds", size="sm"))
    own = gr.State(_own(channels), time_to_live=KEPT)

    outputs = [component for result in results for component in result]
    shown = [used, mixture.picture, *outputs, own]
    given = [mixture.sound, mixture.start, model]
    call: dict[str, Any] = {"api_visibility": "private", **parts.MODEL_CALL}
    parts.mark_new(button.click(separate_mixture, given, shown, **call), RESULTS)
    parts.mark_old([model.input], RESULTS)
    loaded = examples.click(
        show_example, examples, [mixture.sound, mixture.start, mixture.problem, *shown],
        **parts.IMMEDIATE,
    )  # fmt: skip
    parts.mark_new(loaded, RESULTS, scroll=False)
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
    cleared = [path_of(example.file), parts.hidden_start(), gr.HTML(visible=False)]
    return [*cleared, _used(example.model), *drawn]


@parts.shows_errors
def separate_mixture(
    mixture: Path | None, start: float, model: str,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """The visitor's mixture, separated."""
    progress(0.1, desc="Reading")
    clip = models.read_input(mixture, "The mixture", start, "separate")
    progress(0.3, desc="Separating")
    chosen = _fitting(clip) if model == BY_MIXTURE else model
    return [_used(chosen, model == BY_MIXTURE), *_drawn(_separate(chosen, clip))]


def _fitting(mixture: Clip) -> str:
    """The separator for the kind of sound that a mixture is most like: that of an example as it
    is known, of any other by the nearest sound of the library."""
    for example in MIXTURES:
        if read_example(example.file, "separate").digest == mixture.digest:
            return example.model
    kind = library.kind_of(mixture.wave)
    return models.DUETS if kind == library.MUSIC else SEPARATOR


def _used(model: str, automatic: bool = True) -> str:
    """Which model separated the mixture, in words."""
    why = ", chosen by the mixture" if automatic else ""
    return f"Separated by the model for {MODELS.get(model, model).lower()}{why}."


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
