"""Parts that the demo's tabs share: inputs and outputs for sounds, examples, and error messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Literal, NamedTuple, ParamSpec, TypedDict, TypeVar

import gradio as gr
import soundfile

from core.errors import RavelError
from lab.demo import models
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import answers
from lab.demo.models import HEADROOM, SECONDS, Rendering
from lab.demo.style import empty, figure, refused

P = ParamSpec("P")
R = TypeVar("R")


class Limits(TypedDict):
    """How many calls of a group of events run at once."""

    concurrency_id: str
    concurrency_limit: int


class Display(TypedDict):
    """How an event of the page behaves there."""

    queue: bool
    api_visibility: Literal["public", "private", "undocumented"]
    show_progress: Literal["full", "minimal", "hidden"]
    trigger_mode: Literal["once", "multiple", "always_last"]


# Whatever runs a model: as many calls at once as there are cores.
MODEL_CALL: Limits = {"concurrency_id": "models", "concurrency_limit": 2}
# Answered at once. "always_last": of clicks made while one is being answered, the last is answered
# next instead of being dropped.
IMMEDIATE: Display = {
    "queue": False,
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}


# What is drawn of an input as soon as it is there.
LOOK: Display = {**IMMEDIATE, "queue": True}
STALE = "These results are of the input before. Press the button for new ones."
# In the page: results are marked as old, or as new and brought into view.
MARK_OLD = "(...a) => {{ document.getElementById('{0}')?.setAttribute('data-old', ''); return a; }}"
MARK_NEW = """(...a) => {{
  const results = document.getElementById('{0}');
  results?.removeAttribute('data-old');
  if ({1}) setTimeout(() => {{
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const top = results?.getBoundingClientRect().top ?? 0;
    if (top < 0 || top > innerHeight / 3)
      results?.scrollIntoView({{ behavior: still ? 'auto' : 'smooth', block: 'start' }});
  }}, 100);
  return a;
}}"""


class Input(NamedTuple):
    """A visitor's sound, the second from which it is used, what is wrong with it, its picture."""

    sound: Sound
    start: gr.Slider
    problem: gr.HTML
    picture: gr.HTML


class Output(NamedTuple):
    """A resulting sound: its spectrogram, and its player."""

    picture: gr.HTML
    sound: Sound


def shows_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Show the visitor a RavelError of `function` as its one sentence."""

    @wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RavelError as error:
            title = "Can't use this file"
            raise gr.Error(str(error), title=title, print_exception=False) from None

    return inner


def sound_input(
    label: str, task: str, value: Path | None = None, picture: str = "", *, results: str
) -> Input:
    """An upload or a recording; for a long one, a slider chooses where the used part starts.

    Beneath it stands its picture, at first the HTML `picture`, or at once what is wrong with it. A
    change marks `results`, the id of a `results` column, as old.
    """
    sound = Sound(value, label=label, type="filepath", buttons=[], min_width=300)
    problem = gr.HTML(visible=False)
    start = gr.Slider(
        0,
        1,
        0,
        step=0.1,
        label="Start, s",
        info=f"The {SECONDS[task]:g} s from here on are used.",
        visible=False,
    )
    shown = gr.HTML(picture)

    def given(path: Path | None) -> list[Any]:
        return [_start_slider(path, task), *look(path, 0.0)]

    def look(path: Path | None, first: float) -> list[Any]:
        return _look(path, label, task, first)

    sound.input(given, sound, [start, problem, shown], **LOOK, **MODEL_CALL)
    sound.clear(given, sound, [start, problem, shown], **LOOK, **MODEL_CALL)
    start.release(look, [sound, start], [problem, shown], **LOOK, **MODEL_CALL)
    mark_old([sound.input, sound.clear, start.release], results)
    return Input(sound, start, problem, shown)


def _look(path: Path | None, label: str, task: str, start: float) -> list[Any]:
    """What is wrong with a file, and its picture."""
    if path is None:
        return [gr.HTML(visible=False), ""]
    try:
        clip = models.read_input(path, title_of(path) or f"The {label.lower()}", start, task)
        drawn = draw(f"{label}: {title_of(path)}".removesuffix(": "), models.render(clip.wave))
    except RavelError as error:
        return [gr.HTML(refused(str(error)), visible=True), ""]
    return [gr.HTML(visible=False), drawn]


def title_of(path: Path | None, most: int = 32) -> str:
    """The name of a visitor's file; "" for a recording made on the page, which has none."""
    name = path.stem if path else ""
    name = "" if name in ("audio", "blob") else name
    return name if len(name) <= most else f"{name[: most - 1]}…"


@contextmanager
def results(id: str) -> Iterator[None]:
    """A column of results that can be marked as old."""
    with gr.Column(elem_id=id, elem_classes="results"):
        gr.HTML(f'<p class="stale" role="status">{STALE}</p>')
        yield


def mark_old(triggers: list[Any], results: str) -> None:
    """Mark results as old after any of these events."""
    gr.on(
        triggers, None, None, None, js=MARK_OLD.format(results),
        api_visibility="private", queue=False, show_progress="hidden",
    )  # fmt: skip


def mark_new(event: Any, results: str, *, scroll: bool = True) -> None:
    """Mark results as new when an event has succeeded, and bring them into view."""
    event.success(
        None, None, None, js=MARK_NEW.format(results, "true" if scroll else "false"),
        api_visibility="private", queue=False, show_progress="hidden",
    )  # fmt: skip


def _start_slider(path: Path | None, task: str) -> gr.Slider:
    """The slider of a new sound, visible if there is a choice. Only the file's header is read."""
    try:
        spare = soundfile.info(str(path)).duration - SECONDS[task] if path else 0.0
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        spare = 0.0  # the error is reported when the file is used
    visible = 0.1 < spare < 36_000
    return gr.Slider(maximum=round(spare, 1) if visible else 1, value=0, visible=visible)


def hidden_start() -> gr.Slider:
    """The slider of a sound that is used as a whole."""
    return gr.Slider(value=0, visible=False)


def sound_output(name: str, rendering: Rendering | None, title: str, placeholder: str) -> Output:
    """A spectrogram and its player; `placeholder` is shown while there is none."""
    picture = gr.HTML(draw(title, rendering) if rendering else empty(placeholder))
    sound = Sound(
        Wav(name, rendering.wav()) if rendering else None,
        label=name.replace("-", " ").capitalize(),
        show_label=False,
        interactive=False,
        buttons=["download"],
        elem_classes="player",
    )
    return Output(picture, sound)


def draw(title: str, rendering: Rendering, detail: str = "") -> str:
    """The spectrogram of a sound with its title, as HTML."""
    return figure(title, rendering.picture, rendering.seconds, answers.ticks, detail)


def player_value(name: str, rendering: Rendering, gain: float = HEADROOM) -> Wav:
    """A sound as the value of a player."""
    return Wav(name, rendering.wav(gain))


def example_buttons(titles: list[str]) -> gr.Dataset:
    """Examples to click on; a click passes the example's index."""
    return gr.Dataset(
        components=[gr.Textbox(visible=False)],
        samples=[[title] for title in titles],
        sample_labels=titles,
        type="index",
        layout="gallery",
        label="Examples (precomputed)",
    )
