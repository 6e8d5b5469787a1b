"""The tab 'Swap instruments', and the endpoint /swap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.audio.clip import Clip
from core.errors import RavelError
from core.vocoder.play import GRIFFIN_LIM, VOCODER, default_route, is_available
from lab.demo import models as engine
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import SWAPS, SwapExample, answers, file_of, what
from lab.demo.models import COLLAPSED, SWAP, Heard
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

MODELS = {
    SWAP: "Many instruments",
    "ts-dsae-dmelodies": "Synthesised violin and trumpet, as in the paper",
}
WAYS = {VOCODER: "Vocoder, a trained network", GRIFFIN_LIM: "Griffin-Lim, without training"}
ASKED = {  # what can be swapped, and which result it is
    "instrument": "swapped",
    "melody": "counterpart",
    "nothing": "source_reconstruction",
}
LEAD = (
    "Two recordings of one instrument each. **Each melody comes back on the other's instrument.** "
    "Nobody told the model what a melody is, or an instrument."
)
BASELINE = (
    "**A model that collapsed** (DSAE, the baseline of the paper): its global latent holds "
    "nothing, so there is no instrument to exchange, and swapping changes nothing. "
    "It was trained on synthesised violins and trumpets."
)


def tab() -> None:
    """Draw the tab with its first example answered, and bind it."""
    first = SWAPS[0]
    known = _ready(first)
    made, beside = known if known else ({}, {})
    a, b = what(first.source), what(first.target)
    gr.Markdown(LEAD)
    examples = chips([example.title for example in SWAPS])
    with gr.Row():
        with gr.Column(min_width=300):
            source = slot("First recording", "swap", file_of(first.source))
            source_picture = gr.HTML(_given("First", a, made.get("source")))
        with gr.Column(min_width=300):
            target = slot("Second recording", "swap", file_of(first.target))
            target_picture = gr.HTML(_given("Second", b, made.get("target")))
    names = engine.names("dsae")
    model = gr.Radio(
        [(says, name) for name, says in MODELS.items() if name in names],
        value=first.model,
        label="Model, by what it has heard",
    )
    compare = gr.Checkbox(False, label="Compare with a model that collapsed", container=False)
    with gr.Accordion("Advanced", open=False):
        way = gr.Radio(
            [(says, name) for name, says in WAYS.items() if name != VOCODER or is_available()],
            value=default_route(),
            label="Played by",
            info="The model makes a picture of sound. This makes it audible.",
        )
    button = gr.Button("Swap", variant="primary")
    with gr.Row():
        results = [_result(part, a, b, made) for part in ("swapped", "counterpart")]
    with gr.Column(visible=False) as baseline:
        gr.Markdown(BASELINE)
        with gr.Row():
            others = [_result(part, a, b, beside) for part in ("swapped", "counterpart")]

    shown = [source_picture, target_picture, *_flat(results), *_flat(others), baseline]
    given = [source.sound, target.sound, source.start, target.start, model, compare, way]
    asked = [button.click, compare.input, way.input]
    gr.on(asked, swap_both, given, shown, api_visibility="private", **WORK)
    examples.click(
        show_example,
        [examples, compare],
        [source.sound, source.start, target.sound, target.start, model, way, *shown],
        **AT_ONCE,
    )


def _result(part: str, a: str, b: str, made: dict[str, Heard]) -> Any:
    with gr.Column(min_width=300):
        return place(part, "Its result appears here.", made.get(part), _titles(a, b)[part])


def _titles(a: str, b: str) -> dict[str, str]:
    """What the results are called, by what the recordings are, if that is known."""
    if a == b:
        a, b = f"first {a}", f"second {b}"
    a, b = (f"the {a}" if a else "the first"), (f"the {b}" if b else "the second")
    return {
        "swapped": f"Melody of {a}, played by {b}",
        "counterpart": f"Melody of {b}, played by {a}",
    }


def _given(which: str, instrument: str, heard: Heard | None) -> str:
    title = f"{which} recording: {instrument}" if instrument else f"{which} recording"
    return draw(title, heard) if heard else ""


def _flat(places: list[Any]) -> list[gr.Component]:
    return [component for place in places for component in place]


def _ready(example: SwapExample) -> tuple[dict[str, Heard], dict[str, Heard]] | None:
    """What ships of an example: by its own model, and by the baseline."""
    clips = [
        engine.take(file_of(name), "The example", 0.0, "swap")
        for name in (example.source, example.target)
    ]
    try:
        made, beside = (answers.swap(model, *clips) for model in (example.model, COLLAPSED))
    except RavelError:  # a checkpoint does not ship
        return None
    return (made, beside) if made and beside else None


@spoken
def show_example(number: int, compare: bool) -> list[Any]:
    """Fill the tab with an example and its answers, played as they ship."""
    example = SWAPS[number]
    clips = [
        engine.take(file_of(name), "The example", 0.0, "swap")
        for name in (example.source, example.target)
    ]
    models = (example.model, COLLAPSED)
    made, beside = _ready(example) or (_swap(name, *clips) for name in models)
    a, b = what(example.source), what(example.target)
    return [
        file_of(example.source), hidden_start(), file_of(example.target), hidden_start(),
        example.model, default_route(), *_drawn(a, b, made, beside), gr.Column(visible=compare),
    ]  # fmt: skip


@spoken
def swap_both(
    source: Path | None, target: Path | None, source_start: float, target_start: float,
    model: str, compare: bool, way: str, progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """The visitor's recordings, swapped; and by the baseline, if asked for."""
    progress(0.1, desc="Listening")
    clips = (
        engine.take(source, "The first recording", source_start, "swap"),
        engine.take(target, "The second recording", target_start, "swap"),
    )
    known = {engine.take(file_of(n), n, 0.0, "swap").digest: what(n) for n in _examples()}
    a, b = (known.get(clip.digest, "") for clip in clips)
    progress(0.3, desc="Swapping")
    made = _swap(model, *clips, way)
    beside = _swap(COLLAPSED, *clips, way) if compare else {}
    return [*_drawn(a, b, made, beside), gr.Column(visible=compare)]


def _examples() -> list[str]:
    return [name for example in SWAPS for name in (example.source, example.target)]


def _swap(model: str, source: Clip, target: Clip, way: str | None = None) -> dict[str, Heard]:
    return answers.swap(model, source, target, way) or engine.swap(model, source, target, way)


def _drawn(a: str, b: str, made: dict[str, Heard], beside: dict[str, Heard]) -> list[Any]:
    drawn = [_given("First", a, made["source"]), _given("Second", b, made["target"])]
    for which, name in ((made, ""), (beside, "-collapsed")):
        for part, title in _titles(a, b).items():
            heard = which.get(part)
            drawn += [draw(title, heard), play(f"{part}{name}", heard)] if heard else ["", None]
    return drawn


@spoken
def swap(
    source: Path, target: Path, what: str, model: str, source_start: float, target_start: float
) -> Wav:
    """Swap what two recordings carry.

    The source's melody by the target's instrument (`what` "instrument"), the target's melody by
    the source's ("melody"), or the source through the model and back ("nothing"), as a WAV file,
    6 dB below its own level. At most 4 s of each recording are taken, from its start in seconds.
    """
    first = engine.take(source, "The source", source_start, "swap")
    second = engine.take(target, "The target", target_start, "swap")
    part = ASKED[what]
    return Wav(f"{part}-{model}", engine.swap(model, first, second)[part].wav())


def endpoint() -> None:
    """Offer /swap to scripts."""
    names = engine.names("dsae")
    given = [
        Sound(label="Source", type="filepath"),
        Sound(label="Target", type="filepath"),
        gr.Radio(list(ASKED), value="instrument", label="What to swap"),
        gr.Radio(names, value=SWAP if SWAP in names else None, label="Model"),
        gr.Number(0, label="Source start", minimum=0),
        gr.Number(0, label="Target start", minimum=0),
    ]
    made = Sound(label="Swapped", interactive=False)
    gr.Button().click(swap, given, made, api_name="swap", **WORK)
