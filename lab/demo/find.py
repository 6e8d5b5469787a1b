"""The tab 'Find similar sounds', and the endpoint /similar."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import gradio as gr

from core.audio.clip import SAMPLE_RATE, Clip, wav_bytes
from lab.demo import library
from lab.demo import models as engine
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import QUERIES, answers, file_of
from lab.demo.library import Hit, Own
from lab.demo.models import ENCODER, Heard
from lab.demo.parts import AT_ONCE, WORK, Shown, chips, hidden_start, slot, spoken
from lab.demo.style import empty, figure, hit

SHOWN = 5
MOST = 20
LEAD = (
    "A sound. **The sounds most like it come back**, as a model hears it that learned without "
    "labels, from sound scenes and their separated channels."
)


def searched() -> str:
    """What is searched, in words."""
    entries = library.entries()
    sets = Counter("everyday" if "ESC-10" in entry.credit else "music" for entry in entries)
    return (
        f"What is searched: {len(entries)} short clips that ship with this demo, "
        f"{sets['everyday']} of everyday sounds (ESC-10, ten kinds) and {sets['music']} of single "
        "instruments (Medley-solos-DB, and two synthesised), and the channels of what you took "
        "apart. It is no search of the web: of a sound of another kind it finds what is least "
        "unlike. The model was not trained on any of these clips."
    )


def tab(own: gr.State) -> tuple[Sound, list[gr.Component]]:
    """Draw the tab with its first example answered, and bind it.

    Returns the slot of the sound, and what is filled when another one is looked for.
    """
    title, name = next(iter(QUERIES.items()))
    query = engine.take(file_of(name), title, 0.0, "similar")
    known = answers.embed(query) if ENCODER in engine.names("contrastive") else None
    hits = library.nearest(known[0], SHOWN, without=name) if known else []
    gr.Markdown(LEAD)
    examples = chips(list(QUERIES))
    sound = slot("Sound", "similar", file_of(name))
    picture = gr.HTML(_picture(Heard(query.wave, known[1])) if known else "")
    mine = gr.Checkbox(True, label="Search the channels of what I took apart, too", container=False)
    button = gr.Button("Find", variant="primary")
    places = [_place(hits[i] if i < len(hits) else None) for i in range(SHOWN)]
    gr.Markdown(searched(), elem_classes="small")

    shown = [picture, *(component for place in places for component in place)]
    given = [sound.sound, sound.start, mine, own]
    button.click(find, given, shown, api_visibility="private", **WORK)
    examples.click(
        show_example, [examples, mine, own], [sound.sound, sound.start, *shown],
        **AT_ONCE | {"queue": True}, **WORK,
    )  # fmt: skip
    return sound.sound, [sound.start, *shown]


def _place(found: Hit | None) -> Shown:
    with gr.Row(equal_height=True, elem_classes="found"):
        with gr.Column(min_width=260):
            about = gr.HTML(_about(found) if found else empty("Nothing yet."))
        with gr.Column(min_width=260):
            player = Sound(
                _played(found) if found else None,
                show_label=False,
                interactive=False,
                buttons=[],
                waveform_options=gr.WaveformOptions(show_recording_waveform=False),
            )
    return Shown(about, player)


def _about(found: Hit) -> str:
    near = f"{found.near}, distance {found.distance:.2f}"
    return hit(found.title, [near, found.credit], found.picture)


def _played(found: Hit) -> Wav:
    return Wav(found.name.replace(" ", "-").lower(), wav_bytes(found.wave))


def _picture(heard: Heard) -> str:
    return figure("What is looked for", heard.picture, heard.seconds, answers.ticks)


@spoken
def show_example(number: int, mine: bool, own: list[Own]) -> list[Any]:
    """Fill the tab with an example and what is like it."""
    name = list(QUERIES.values())[number]
    path = file_of(name)
    clip = engine.take(path, "The example", 0.0, "similar")
    return [path, hidden_start(), *_found(clip, own if mine else [], name)]


@spoken
def find(
    sound: Path | None, start: float, mine: bool, own: list[Own],
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """What is like the visitor's sound."""
    progress(0.2, desc="Listening")
    clip = engine.take(sound, "The sound", start, "similar")
    return _found(clip, own if mine else [])


@spoken
def find_like(number: int, own: list[Own]) -> list[Any]:
    """What is like a channel of the visitor's mixture, and the channel itself."""
    if number >= len(own):
        raise gr.Error("Take a mixture apart first.", print_exception=False)
    wave = wav_bytes(own[number].wave / max(abs(own[number].wave).max(), 1e-9))
    clip = Clip(engine.from_array(own[number].wave, SAMPLE_RATE, name="The channel").wave)
    return [Wav(f"channel-{number + 1}", wave), hidden_start(), *_found(clip, own)]


def _found(clip: Clip, own: list[Own], without: str | None = None) -> list[Any]:
    known = answers.embed(clip)
    if known:
        query, heard = known[0], Heard(clip.wave, known[1])
    else:
        query, heard = engine.embed(ENCODER, clip.wave), engine.heard(clip.wave)
    hits = library.nearest(query, SHOWN, own, without)
    drawn: list[Any] = [_picture(heard)]
    for found in hits:
        drawn += [_about(found), _played(found)]
    return drawn + [empty("Nothing more."), None] * (SHOWN - len(hits))


@spoken
def similar(sound: Path, count: int, start: float) -> list[dict[str, Any]]:
    """Find sounds like one.

    The clips of the demo's library that are nearest to it, nearest first: name, title, label,
    cosine distance of the embeddings, the same in words, licence and credit. At most 30 s of the
    sound are taken, from `start` seconds on.
    """
    clip = engine.take(sound, "The sound", start, "similar")
    known = answers.embed(clip)
    query = known[0] if known else engine.embed(ENCODER, clip.wave)
    hits = library.nearest(query, max(1, min(MOST, count)))
    kept = ("name", "title", "label", "distance", "near", "licence", "credit")
    return [{name: getattr(found, name) for name in kept} for found in hits]


def endpoint() -> None:
    """Offer /similar to scripts."""
    given = [
        Sound(label="Sound", type="filepath"),
        gr.Number(SHOWN, label="How many", minimum=1, maximum=MOST, precision=0),
        gr.Number(0, label="Start", minimum=0),
    ]
    gr.Button().click(similar, given, gr.JSON(label="Found"), api_name="similar", **WORK)
