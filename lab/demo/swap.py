"""The tab 'Swap instruments', and the endpoint /swap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from core.audio.clip import Clip
from core.errors import RavelError
from core.vocoder.play import GRIFFIN_LIM, VOCODER, default_route, is_available
from lab.demo import models, parts
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import SWAPS, SwapExample, answers, kind_of, path_of, read_example
from lab.demo.models import COLLAPSED_MODEL, SWAP_MODEL, SWAPPED, Rendering

MODELS = {
    SWAP_MODEL: "Many instruments",
    "ts-dsae-dmelodies": "Synthesised violin and trumpet, as in the paper",
}
ROUTES = {VOCODER: "Vocoder, a trained network", GRIFFIN_LIM: "Griffin-Lim, without training"}
PART_OF = {  # which result the endpoint returns, by what is swapped
    "instrument": "swapped",
    "melody": "counterpart",
    "nothing": "source_reconstruction",
}
LEAD = (
    "Choose two recordings of one instrument each. **The model plays each melody on the other "
    "instrument.** It was trained without labels for melodies or instruments."
)
BASELINE = (
    "**A collapsed model** (DSAE, the baseline of the paper): its global latent holds nothing, so "
    "there is no instrument to exchange, and swapping changes nothing. It was trained on "
    "synthesised violins and trumpets."
)

RESULTS = "swap-results"

Renderings = dict[str, Rendering]  # by part: models.INPUTS, models.SWAPPED


def tab() -> None:
    """Draw the tab with its first example answered, and bind its events."""
    first = SWAPS[0]
    made, baseline_made = _shipped_answers(first) or ({}, {})
    a, b = kind_of(first.source), kind_of(first.target)
    gr.Markdown(LEAD)
    examples = parts.example_buttons([example.title for example in SWAPS])
    with gr.Row():
        with gr.Column(min_width=300):
            source = parts.sound_input(
                "First recording", "swap", path_of(first.source),
                _draw_input("First", a, made.get("source")), results=RESULTS,
            )  # fmt: skip
        with gr.Column(min_width=300):
            target = parts.sound_input(
                "Second recording", "swap", path_of(first.target),
                _draw_input("Second", b, made.get("target")), results=RESULTS,
            )  # fmt: skip
    names = models.names("dsae")
    model = gr.Radio(
        [(text, name) for name, text in MODELS.items() if name in names],
        value=first.model,
        label="Model (training data)",
    )
    strength = gr.Slider(
        0, 130, 100, step=5, label="Strength, %",
        info="How far the instrument goes: 0 keeps each recording's own, 100 is the other's.",
    )  # fmt: skip
    compare = gr.Checkbox(False, label="Compare with a collapsed model", container=False)
    with gr.Accordion("Advanced", open=False):
        route = gr.Radio(
            [(text, name) for name, text in ROUTES.items() if name != VOCODER or is_available()],
            value=default_route(),
            label="Played by",
            info="The model's output is a spectrogram. This converts it to sound.",
        )
    button = gr.Button("Swap", variant="primary")
    with parts.results(RESULTS):
        with gr.Row():
            results = [_result(part, a, b, made) for part in SWAPPED]
        with gr.Column(visible=False) as baseline:
            gr.Markdown(BASELINE)
            with gr.Row():
                baseline_results = [_result(part, a, b, baseline_made) for part in SWAPPED]

    outputs = [component for result in (*results, *baseline_results) for component in result]
    shown = [source.picture, target.picture, *outputs, baseline]
    given = [source.sound, target.sound, source.start, target.start]
    given += [model, compare, route, strength]
    call: dict[str, Any] = {"api_visibility": "private", **parts.MODEL_CALL}
    parts.mark_new(button.click(swap_both, given, shown, **call), RESULTS)
    again = gr.on([compare.input, route.input, strength.release], swap_both, given, shown, **call)
    parts.mark_new(again, RESULTS, scroll=False)
    parts.mark_old([model.input], RESULTS)
    loaded = examples.click(
        show_example,
        [examples, compare],
        [source.sound, source.start, source.problem, target.sound, target.start, target.problem,
         model, route, strength, *shown],
        **parts.IMMEDIATE,
    )  # fmt: skip
    parts.mark_new(loaded, RESULTS, scroll=False)


def _result(part: str, a: str, b: str, made: Renderings) -> parts.Output:
    with gr.Column(min_width=300):
        title = _titles(a, b)[part]
        return parts.sound_output(part, made.get(part), title, "The result appears here.")


def _titles(a: str, b: str) -> dict[str, str]:
    """The titles of the results, by the instruments where they are known."""
    if a == b:
        a, b = f"first {a}", f"second {b}"
    a, b = _named(a, "first"), _named(b, "second")
    return {
        "swapped": f"Melody of {a}, played by {b}",
        "counterpart": f"Melody of {b}, played by {a}",
    }


def _named(name: str, otherwise: str) -> str:
    """An instrument of the examples with its article, a visitor's file by its name."""
    known = {kind_of(one) for example in SWAPS for one in (example.source, example.target)}
    plain = name.removeprefix("first ").removeprefix("second ")
    return f"the {name}" if plain in known else name or f"the {otherwise}"


def _draw_input(which: str, instrument: str, rendering: Rendering | None) -> str:
    title = f"{which} recording: {instrument}" if instrument else f"{which} recording"
    return parts.draw(title, rendering) if rendering else ""


def _shipped_answers(example: SwapExample) -> tuple[Renderings, Renderings] | None:
    """An example's precomputed answers, by its own model and by the collapsed one."""
    clips = example.clips()
    try:
        made = answers.swap(example.model, *clips)
        baseline_made = answers.swap(COLLAPSED_MODEL, *clips)
    except RavelError:  # a checkpoint does not ship
        return None
    return (made, baseline_made) if made and baseline_made else None


@parts.shows_errors
def show_example(number: int, compare: bool) -> list[Any]:
    """Fill the tab with an example and its answers, by the default route."""
    example = SWAPS[number]
    clips = example.clips()
    made, baseline_made = _shipped_answers(example) or (
        _swap(example.model, *clips),
        _swap(COLLAPSED_MODEL, *clips),
    )
    a, b = kind_of(example.source), kind_of(example.target)
    return [
        path_of(example.source), parts.hidden_start(), gr.HTML(visible=False),
        path_of(example.target), parts.hidden_start(), gr.HTML(visible=False),
        example.model, default_route(), 100,
        *_drawn(a, b, made, baseline_made), gr.Column(visible=compare),
    ]  # fmt: skip


@parts.shows_errors
def swap_both(
    source: Path | None, target: Path | None, source_start: float, target_start: float,
    model: str, compare: bool, route: str, strength: float,
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """The visitor's recordings swapped; also by the collapsed model, if it is to be compared."""
    progress(0.1, desc="Reading")
    first = models.read_input(source, "The first recording", source_start, "swap")
    second = models.read_input(target, "The second recording", target_start, "swap")
    names = {name for example in SWAPS for name in (example.source, example.target)}
    instruments = {read_example(name, "swap").digest: kind_of(name) for name in names}
    a, b = (
        instruments.get(clip.digest) or parts.title_of(path)
        for clip, path in ((first, source), (second, target))
    )
    progress(0.3, desc="Swapping")
    made = _swap(model, first, second, route, strength / 100)
    baseline_made = _swap(COLLAPSED_MODEL, first, second, route, strength / 100) if compare else {}
    return [*_drawn(a, b, made, baseline_made), gr.Column(visible=compare)]


def _swap(
    model: str, source: Clip, target: Clip, route: str | None = None, strength: float = 1.0
) -> Renderings:
    shipped = answers.swap(model, source, target, route) if strength == 1 else None
    return shipped or models.swap(model, source, target, route, strength)


def _drawn(a: str, b: str, made: Renderings, baseline_made: Renderings) -> list[Any]:
    """Values of the inputs' spectrograms, and of the outputs of both models."""
    drawn: list[Any] = [
        _draw_input("First", a, made["source"]),
        _draw_input("Second", b, made["target"]),
    ]
    for renderings, suffix in ((made, ""), (baseline_made, "-collapsed")):
        for part, title in _titles(a, b).items():
            rendering = renderings.get(part)
            if rendering:
                drawn += [
                    parts.draw(title, rendering),
                    parts.player_value(f"{part}{suffix}", rendering),
                ]
            else:
                drawn += ["", None]
    return drawn


@parts.shows_errors
def swap(
    source: Path, target: Path, what: str, model: str, source_start: float, target_start: float
) -> Wav:
    """Swap the instruments or the melodies of two recordings.

    Returns a WAV file, 6 dB below its own level: the source's melody played by the target's
    instrument (`what` "instrument"), the target's melody played by the source's ("melody"), or the
    source reconstructed without a swap ("nothing"). At most 4 s of each recording are used, from
    its start in seconds.
    """
    first = models.read_input(source, "The source", source_start, "swap")
    second = models.read_input(target, "The target", target_start, "swap")
    part = PART_OF[what]
    return parts.player_value(f"{part}-{model}", models.swap(model, first, second)[part])


def endpoint() -> None:
    """Add /swap to the API."""
    names = models.names("dsae")
    given = [
        Sound(label="Source", type="filepath"),
        Sound(label="Target", type="filepath"),
        gr.Radio(list(PART_OF), value="instrument", label="What to swap"),
        gr.Radio(names, value=SWAP_MODEL if SWAP_MODEL in names else None, label="Model"),
        gr.Number(0, label="Source start", minimum=0),
        gr.Number(0, label="Target start", minimum=0),
    ]
    made = Sound(label="Swapped", interactive=False)
    gr.Button().click(swap, given, made, api_name="swap", **parts.MODEL_CALL)
