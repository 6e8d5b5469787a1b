"""What the demo's tabs share: words for errors, slots for sounds, and the start within them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import soundfile

from core.errors import RavelError
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import answers
from lab.demo.models import HEADROOM, SECONDS, Heard
from lab.demo.style import empty, figure

WORK = {"concurrency_id": "models", "concurrency_limit": 2}  # as many as there are cores
# What comes while the server still answers for the one before is answered next, not forgotten.
AT_ONCE = {
    "queue": False,
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "always_last",
}


class Slot(NamedTuple):
    """Where a visitor puts a sound: the sound, and from which second on it is taken."""

    sound: Sound
    start: gr.Slider


class Shown(NamedTuple):
    """Where a sound is shown: its picture, and its player."""

    picture: gr.HTML
    sound: Sound


def spoken(function: Callable) -> Callable:
    """What `function` refuses is said to the visitor in its one sentence."""

    @wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RavelError as error:
            raise gr.Error(str(error), title="Not this one", print_exception=False) from None

    return inner


def slot(label: str, task: str, value: Path | None = None) -> Slot:
    """A place for a sound: an upload or a recording; a longer one is taken from a chosen start."""
    sound = Sound(value, label=label, type="filepath", buttons=[], min_width=300)
    start = gr.Slider(
        0,
        1,
        0,
        step=0.1,
        label="Start, s",
        info=f"{SECONDS[task]:g} s are taken from here on.",
        visible=False,
    )
    sound.input(lambda path: _spare(path, task), sound, start, **AT_ONCE)
    return Slot(sound, start)


def _spare(path: Path | None, task: str) -> gr.Slider:
    """The slider for the start, seen when there is something to choose; by the header alone."""
    try:
        spare = soundfile.info(str(path)).duration - SECONDS[task] if path else 0.0
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        spare = 0.0  # what is wrong with it is said when it is used
    shown = 0.1 < spare < 36_000
    return gr.Slider(maximum=round(spare, 1) if shown else 1, value=0, visible=shown)


def hidden_start() -> gr.Slider:
    """The slider for the start when a new sound needs none."""
    return gr.Slider(value=0, visible=False)


def place(name: str, text: str = "", heard: Heard | None = None, title: str = "") -> Shown:
    """A place for a picture and its player; `text` stands there while it is empty."""
    picture = gr.HTML(draw(title, heard) if heard else empty(text))
    sound = Sound(
        Wav(name, heard.wav()) if heard else None,
        label=name.replace("-", " ").capitalize(),
        show_label=False,
        interactive=False,
        buttons=["download"],
        elem_classes="player",
    )
    return Shown(picture, sound)


def draw(title: str, heard: Heard, detail: str = "") -> str:
    """A sound's picture with its title."""
    return figure(title, heard.picture, heard.seconds, answers.ticks, detail)


def play(name: str, heard: Heard, gain: float = HEADROOM) -> Wav:
    """What a player is given."""
    return Wav(name, heard.wav(gain))


def chips(titles: list[str], label: str = "Examples, answered already") -> gr.Dataset:
    """Examples to click on; what hears of a click is given their number."""
    return gr.Dataset(
        components=[gr.Textbox(visible=False)],
        samples=[[title] for title in titles],
        sample_labels=titles,
        type="index",
        layout="gallery",
        label=label,
    )
