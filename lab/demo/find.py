"""The tab 'Find similar sounds', and the endpoint /similar."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import gradio as gr

from core.audio.clip import SAMPLE_RATE, Clip, from_array, wav_bytes
from lab.demo import library, models, parts
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import QUERIES, answers, path_of, read_example
from lab.demo.library import Hit, OwnChannel
from lab.demo.models import ENCODER, Rendering
from lab.demo.style import empty, hit

SHOWN, MAX_COUNT = 5, 20
LEAD = (
    "Choose a sound. **The most similar sounds are listed**, according to a model that learned, "
    "without labels, from sound scenes and their separated channels."
)
# An example's answer ships, but the visitor's own channels may have to be embedded.
EXAMPLE: parts.Display = {**parts.IMMEDIATE, "queue": True}


def searched() -> str:
    """What is searched, in words."""
    entries = library.entries()
    sets = Counter("everyday" if "ESC-10" in entry.credit else "music" for entry in entries)
    return (
        f"The search covers {len(entries)} short clips that ship with this demo, "
        f"{sets['everyday']} of everyday sounds (ESC-10, ten kinds) and {sets['music']} of single "
        "instruments (Medley-solos-DB, and two synthesised), and the channels of your own "
        "mixture. It does not search the web: for sounds of other kinds it returns the least "
        "dissimilar clips. The model was not trained on any of these clips."
    )


def tab(own: gr.State) -> tuple[Sound, list[gr.Component]]:
    """Draw the tab with its first example answered, and bind its events.

    Returns the input of the query, and the components that a new query fills.
    """
    name = next(iter(QUERIES.values()))
    ready = None
    if ENCODER in models.names("contrastive"):
        ready = answers.embed(read_example(name, "similar"))
    hits = library.nearest(ready[0], SHOWN, without=name) if ready else []
    gr.Markdown(LEAD)
    examples = parts.example_buttons(list(QUERIES))
    sound = parts.sound_input("Sound", "similar", path_of(name))
    picture = gr.HTML(parts.draw("Query", ready[1]) if ready else "")
    include_own = gr.Checkbox(
        True, label="Also search the channels of my own mixture", container=False
    )
    button = gr.Button("Find", variant="primary")
    results = [_result(hits[i] if i < len(hits) else None) for i in range(SHOWN)]
    gr.Markdown(searched(), elem_classes="small")

    shown = [picture, *(component for result in results for component in result)]
    given = [sound.sound, sound.start, include_own, own]
    button.click(find, given, shown, api_visibility="private", **parts.MODEL_CALL)
    examples.click(
        show_example, [examples, include_own, own], [sound.sound, sound.start, *shown],
        **EXAMPLE, **parts.MODEL_CALL,
    )  # fmt: skip
    return sound.sound, [sound.start, *shown]


def _result(found: Hit | None) -> parts.Output:
    with gr.Row(equal_height=True, elem_classes="found"):
        with gr.Column(min_width=260):
            about = gr.HTML(_about(found) if found else empty("No result yet."))
        with gr.Column(min_width=260):
            player = Sound(
                _player_value(found) if found else None,
                show_label=False,
                interactive=False,
                buttons=[],
                waveform_options=gr.WaveformOptions(show_recording_waveform=False),
            )
    return parts.Output(about, player)


def _about(found: Hit) -> str:
    near = f"{found.near}, distance {found.distance:.2f}"
    return hit(found.title, [near, found.credit], found.picture)


def _player_value(found: Hit) -> Wav:
    return Wav(found.name.replace(" ", "-").lower(), wav_bytes(found.wave))


@parts.shows_errors
def show_example(number: int, include_own: bool, own: list[OwnChannel]) -> list[Any]:
    """Fill the tab with an example and the sounds most similar to it."""
    name = list(QUERIES.values())[number]
    clip = read_example(name, "similar")
    return [path_of(name), parts.hidden_start(), *_search(clip, own if include_own else [], name)]


@parts.shows_errors
def find(
    sound: Path | None, start: float, include_own: bool, own: list[OwnChannel],
    progress: gr.Progress = gr.Progress(),  # noqa: B008
) -> list[Any]:  # fmt: skip
    """The sounds most similar to the visitor's."""
    progress(0.2, desc="Searching")
    clip = models.read_input(sound, "The sound", start, "similar")
    return _search(clip, own if include_own else [])


@parts.shows_errors
def find_like_channel(number: int, own: list[OwnChannel]) -> list[Any]:
    """A channel of the visitor's mixture, and the sounds most similar to it."""
    if number >= len(own):
        raise gr.Error("Separate a mixture first.", print_exception=False)
    wave = own[number].wave
    player = Wav(f"channel-{number + 1}", wav_bytes(wave / max(abs(wave).max(), 1e-9)))
    clip = Clip(from_array(wave, SAMPLE_RATE, name="The channel").wave)
    return [player, parts.hidden_start(), *_search(clip, own)]


def _query(clip: Clip) -> tuple[Any, Rendering | None]:
    """The embedding [D] of a sound, and its picture if they ship."""
    return answers.embed(clip) or (models.embed(ENCODER, clip.wave), None)


def _search(clip: Clip, own: list[OwnChannel], without: str | None = None) -> list[Any]:
    query, rendering = _query(clip)
    hits = library.nearest(query, SHOWN, own, without)
    drawn: list[Any] = [parts.draw("Query", rendering or models.render(clip.wave))]
    for found in hits:
        drawn += [_about(found), _player_value(found)]
    return drawn + [empty("No further result."), None] * (SHOWN - len(hits))


@parts.shows_errors
def similar(sound: Path, count: int, start: float) -> list[dict[str, Any]]:
    """Find sounds that are similar to one sound.

    Returns the clips of the demo's library that are nearest to it, nearest first, each with its
    name, title, label, cosine distance, the distance in words, licence and credit. At most 30 s of
    the sound are used, from `start` in seconds.
    """
    query, _ = _query(models.read_input(sound, "The sound", start, "similar"))
    hits = library.nearest(query, max(1, min(MAX_COUNT, count)))
    fields = ("name", "title", "label", "distance", "near", "licence", "credit")
    return [{field: getattr(found, field) for field in fields} for found in hits]


def endpoint() -> None:
    """Add /similar to the API."""
    given = [
        Sound(label="Sound", type="filepath"),
        gr.Number(SHOWN, label="How many", minimum=1, maximum=MAX_COUNT, precision=0),
        gr.Number(0, label="Start", minimum=0),
    ]
    gr.Button().click(
        similar, given, gr.JSON(label="Found"), api_name="similar", **parts.MODEL_CALL
    )
