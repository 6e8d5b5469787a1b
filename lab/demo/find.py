"""The tab 'Find similar sounds', and the endpoint /similar."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import gradio as gr

from core.audio.clip import SAMPLE_RATE, Clip, from_array, read, wav_bytes
from core.errors import RavelError
from lab.demo import library, models, parts
from lab.demo.audio_input import Sound, Wav
from lab.demo.examples import QUERIES, answers, path_of, read_example
from lab.demo.library import Hit, OwnChannel
from lab.demo.models import ENCODER, HEADROOM, Rendering
from lab.demo.style import empty, hit, sounds_map

SHOWN, MAX_COUNT = 5, 20
RESULTS = "find-results"
KINDS = {library.EVERYDAY: "everyday sounds", library.MUSIC: "music"}
MAP = (
    "**All sounds of the search on a map.** Near ones are alike to the model, along its two "
    "principal axes. Press one to play it, or use the arrow keys and Enter."
)
# A press means the nearest sound; arrow keys go to the next one in their direction.
ON_PRESS = """
const keys = [...element.querySelectorAll('button[data-sound]')];
const place = (key) => {
  const box = key.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
};
const nearest = (cost) => keys.reduce(
  (best, key) => { const at = cost(key); return at < best[1] ? [key, at] : best; },
  [null, Infinity])[0];
element.addEventListener('click', (event) => {
  if (!event.target.closest('.sounds-map')) return;
  const key = event.target.closest('button') ?? nearest((one) => {
    const [x, y] = place(one);
    return Math.hypot(x - event.clientX, y - event.clientY);
  });
  keys.forEach((one) => {
    one.classList.toggle('chosen', one === key);
    one.tabIndex = one === key ? 0 : -1;
  });
  trigger('select', { sound: Number(key.dataset.sound) });
});
element.addEventListener('keydown', (event) => {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const way = ways[event.key];
  const from = event.target.closest('button');
  if (!way || !from) return;
  event.preventDefault();
  const [x, y] = place(from);
  const to = nearest((one) => {
    const [a, b] = place(one), along = (a - x) * way[0] + (b - y) * way[1];
    const aside = Math.abs((a - x) * way[1]) + Math.abs((b - y) * way[0]);
    return along > 0 ? along + 2 * aside : Infinity;
  });
  if (!to) return;
  keys.forEach((one) => { one.tabIndex = one === to ? 0 : -1; });
  to.focus();
});
"""
LEAD = (
    "Choose a sound. **The most similar sounds are listed**, according to a model that learned, "
    "without labels, from sound scenes and their separated channels."
)
# An example's answer ships, but the visitor's own channels may have to be embedded.
EXAMPLE: parts.Display = {**parts.IMMEDIATE, "queue": True}


def searched() -> str:
    """What is searched, in words."""
    entries = library.entries()
    sets = Counter(map(library.kind, entries))
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
    drawn = parts.draw("Query", ready[1]) if ready else ""
    sound = parts.sound_input("Sound", "similar", path_of(name), drawn, results=RESULTS)
    include_own = gr.Checkbox(
        True, label="Also search the channels of my own mixture", container=False
    )
    button = gr.Button("Find", variant="primary")
    with parts.results(RESULTS):
        results = [_result(hits[i] if i < len(hits) else None) for i in range(SHOWN)]
    gr.Markdown(searched(), elem_classes="small")
    if ready:
        _map()

    shown = [sound.picture, *(component for result in results for component in result)]
    given = [sound.sound, sound.start, include_own, own]
    call: dict[str, Any] = {"api_visibility": "private", **parts.MODEL_CALL}
    parts.mark_new(button.click(find, given, shown, **call), RESULTS)
    cleared = [sound.sound, sound.start, sound.problem]
    loaded = examples.click(
        show_example, [examples, include_own, own], [*cleared, *shown],
        **EXAMPLE, **parts.MODEL_CALL,
    )  # fmt: skip
    parts.mark_new(loaded, RESULTS, scroll=False)
    return sound.sound, [sound.start, sound.problem, *shown]


def _map() -> None:
    """All sounds of the library on a small map; a press on one plays it."""
    entries = library.entries()
    gr.Markdown(MAP)
    drawn = gr.HTML(
        sounds_map(
            library.places().tolist(),
            [entry.title for entry in entries],
            [KINDS[library.kind(entry)] for entry in entries],
        ),
        js_on_load=ON_PRESS,
    )
    player = Sound(label="On the map", interactive=False, buttons=[], autoplay=True)
    drawn.select(play_entry, None, player, **parts.IMMEDIATE)


@parts.shows_errors
def play_entry(event: gr.EventData) -> gr.Audio:
    """A sound of the map."""
    number, entries = event._data.get("sound"), library.entries()
    if not isinstance(number, int) or not 0 <= number < len(entries):
        raise RavelError("The map has no such sound: press a point on it.")
    entry = entries[number]
    wave = HEADROOM * read(entry.path).wave
    made = Wav(entry.name, wav_bytes(wave))
    return Sound(made, label=f"On the map: {entry.title}")


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
    cleared = [path_of(name), parts.hidden_start(), gr.HTML(visible=False)]
    return [*cleared, *_search(clip, own if include_own else [], name)]


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
    return [player, parts.hidden_start(), gr.HTML(visible=False), *_search(clip, own)]


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
