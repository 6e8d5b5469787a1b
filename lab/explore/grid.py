"""All swaps of a few clips in one table: each melody by each instrument, playable."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import streamlit as st

from core import service
from core.audio import clip as audio
from core.audio.clip import CLIP_SECONDS, Clip, read
from core.checkpoints.checkpoint import Checkpoint
from core.service import HEADROOM, Pair
from lab import bundled
from lab.widgets import page, route, slot, sound_table

MOST = 8
REAL = ("violin-1", "trumpet-1", "clarinet-1", "flute-1", "saxophone-1")
RENDERED = ("dmelodies-violin", "dmelodies-trumpet", "violin-1", "trumpet-1")
ABOUT = (
    "Rows are melodies, columns are instruments; each cell is a swap, the row's local latents with "
    "the column's global latent. On the diagonal each recording is only reconstructed."
)
FIGURES = (
    "**Pitch kept**: the share of pitched frames in which CREPE, a neural pitch tracker, finds the "
    "swap within half a semitone of the recording that gave the melody.  \n"
    "**Instrument moved**: the swap is encoded again, and its global latent compared with those "
    "of the two recordings, each dimension in units of its posterior's standard deviation: 0% is "
    "the instrument of the melody's recording, 100% the other one; it may go beyond. This is "
    "measured with the model's own encoder, which flatters the model. It is left out where the "
    "encoder does not distinguish the two recordings, as in a collapsed model."
)


class Figures(NamedTuple):
    """A cell's figures; NaN without pitch, or where the model does not distinguish the clips."""

    kept: float
    moved: float


class Spot(NamedTuple):
    """A cell: the clips that give its melody and its instrument, and the route to sound."""

    checkpoint: Checkpoint
    melody: Clip
    instrument: Clip
    route: str

    @property
    def key(self) -> tuple[str | float, ...]:
        """Digests of the pair, and the route: for caches."""
        return *self.pair.key, self.route

    @property
    def rebuilt(self) -> bool:
        """Whether it is on the diagonal."""
        return self.melody.digest == self.instrument.digest

    @property
    def pair(self) -> Pair:
        return Pair(self.checkpoint, self.melody, self.instrument)

    @property
    def id(self) -> str:
        return "-".join(map(str, self.pair.key))

    @property
    def label(self) -> str:
        """The cell's name for screen readers."""
        if self.rebuilt:
            return f"{self.melody.name}, rebuilt"
        return f"melody of {self.melody.name}, instrument of {self.instrument.name}"

    @property
    def file(self) -> str:
        """The name of its sound's file."""
        names = [file_name(clip) for clip in (self.melody, self.instrument)]
        return f"{names[0]}-rebuilt.wav" if self.rebuilt else f"{names[0]}-by-{names[1]}.wav"

    def wav(self) -> bytes:
        """Its sound. Raises RavelError."""
        part = "source_reconstruction" if self.rebuilt else "swapped"
        return service.sound(self.pair, part, self.route)

    def figures(self) -> Figures:
        """Its figures, by CREPE and by the model's encoder. Raises RavelError."""
        return _figures(self)


@st.fragment
def show(checkpoint: Checkpoint) -> None:
    """The table of all swaps through a checkpoint."""
    clips = choose(checkpoint)
    if len(clips) < 2:
        st.info(
            "Choose two or more recordings."
            if not clips
            else "Choose one more recording: a swap needs two.",
            icon=":material/grid_view:",
        )
        return
    by = route.current()
    spots = [[Spot(checkpoint, row, column, by) for column in clips] for row in clips]
    with page.row("bottom"):
        colour = colour_by()
        tools = st.container(horizontal=True, width="content")
    summary = st.container(height=48, border=False).empty()  # of fixed height
    lay_out(clips, spots, colour)
    with page.show_errors(summary), st.container(gap=None, key="grid_sounds"):
        fill(clips, [spot for row in spots for spot in row], colour, summary)
        offer(tools, spots)
    st.caption(f"Everything is played 6 dB lower. Examples: {bundled.instrument_credits()}.")


# -- the clips --------------------------------------------------------------------------------


def choose(checkpoint: Checkpoint) -> list[Clip]:
    """The chosen clips: uploads first, then examples and clips sent by the Map; none twice."""
    rendered = service.corpus_of(checkpoint).startswith("dmelodies")
    titles = {Path(row["file"]).stem: title for title, row in bundled.instruments().items()}
    key = "grid_clips_rendered" if rendered else "grid_clips"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Recordings",
            [*bundled.instruments(), *from_map(key)],
            [titles[name] for name in (RENDERED if rendered else REAL)],
            max_selections=MOST,
            key=key,
            bind="query-params",
            help=f"Up to {MOST}; 4 s of each are used. {ABOUT}",
            placeholder="Choose recordings",
        )
        with st.popover("Add your own", icon=":material/upload:"):
            files = st.file_uploader(
                "Your recordings", slot.FORMATS, accept_multiple_files=True, key="grid_upload"
            )
    clips: dict[str, Clip] = {}
    twice = []
    starts = choose_parts(files)
    for source in [*files, *chosen]:
        with page.show_errors():
            clip = open_clip(source, starts.get(getattr(source, "file_id", ""), 0.0))
            if clip.digest in clips:
                twice.append(f"{page.plain(clip.name)} is {page.plain(clips[clip.digest].name)}")
            clips.setdefault(clip.digest, clip)
    if twice:
        st.caption(f":material/info: The same sound is used once: {'; '.join(twice)}.")
    found = list(clips.values())
    if left_out := [page.plain(clip.name) for clip in found[MOST:]]:
        st.warning(
            f"The grid takes {MOST} recordings. Left out: {', '.join(left_out)}. Remove others to "
            "make room.",
            icon=":material/grid_off:",
        )
    return found[:MOST]


def choose_parts(files: Sequence[Any]) -> dict[str, float]:
    """Where the part that is used of each own recording starts, in s, by the file's id."""
    starts: dict[str, float] = {}
    for number, file in enumerate(files):
        again = any(file.name == other.name for other in files[:number])
        key = f"grid_start_{file.name}{number if again else ''}"
        starts[file.file_id] = slot.part_of_file(key, file.name, file.file_id, file)
    return starts


def from_map(key: str) -> list[str]:
    """Clips of stores, as 'store/name': those the Map sent, and those in the address."""
    sent = st.session_state.get("handed", {}).values()
    named = [value for value in st.query_params.get_all(key) if value not in bundled.instruments()]
    return list(dict.fromkeys(value for value in [*sent, *named] if "/" in value))


def open_clip(source: str | Any, start: float = 0.0) -> Clip:
    """An example by its title, a store's clip as 'store/name', or an upload from `start` s on.

    Raises RavelError.
    """
    if not isinstance(source, str):
        return _read(source.file_id, source, Path(source.name).stem, "", start)
    if row := bundled.instruments().get(source):
        file = bundled.EXAMPLES / row["file"]
        return _read(row["file"], file, file.stem, row["instrument"])
    return slot.from_store(source)


@st.cache_data(max_entries=32, show_spinner=False)
def _read(
    file_id: str, _file: Path | BinaryIO, name: str, instrument: str, start: float = 0.0
) -> Clip:
    labels = {"instrument": instrument} if instrument else {}
    return read(_file, start=start, duration=CLIP_SECONDS, name=name, labels=labels)


# -- the table ---------------------------------------------------------------------------------


def colour_by() -> str:
    """The figure shown by the background colour."""
    return st.segmented_control(
        "Colour by",
        ["Pitch kept", "Instrument moved"],
        default="Pitch kept",
        required=True,
        key="grid_colour",
        bind="query-params",
        width="content",
        help=FIGURES,
    )


def lay_out(clips: list[Clip], spots: list[list[Spot]], colour: str) -> None:
    """Draw the table at once, its cells still without sound."""
    heads = [
        sound_table.Cell(f"own-{clip.digest}", f"{clip.name}, as recorded", clip.name)
        for clip in clips
    ]
    cells = [[sound_table.Cell(s.id, s.label, "", s.rebuilt) for s in row] for row in spots]
    legend = sound_table.Legend(colour, "0%", "100%", "rebuilt from its own latents")
    corner = "melody ↓\ninstrument →"
    sound_table.show((heads, heads), cells, corner=corner, legend=legend, key="grid")


def fill(clips: list[Clip], spots: list[Spot], colour: str, summary: Any) -> None:
    """Sounds first, then figures, each as soon as it is computed. Raises RavelError."""
    for clip in clips:
        sound_table.sound(f"own-{clip.digest}", service.wav(clip), key=f"grid_own_{clip.digest}")
    for number, spot in enumerate(spots):
        summary.progress(number / len(spots), f"Sounds: {number} of {len(spots)}")
        sound_table.sound(spot.id, spot.wav(), key=f"grid_sound_{spot.id}")
    found = []
    for number, spot in enumerate(spots):
        text = f"All sounds can be played. Measuring pitch and instrument: {number} of {len(spots)}"
        summary.progress(number / len(spots), text)
        found.append(spot.figures())
        annotate(spot, found[-1], colour)
    summary.caption(summarise(spots, found))


def annotate(spot: Spot, figures: Figures, colour: str) -> None:
    """A cell's figures and its colour."""
    kept, moved = (None if isnan(value) else value for value in figures)
    kept_text = "no pitch" if kept is None else f"pitch {kept:.0%}"
    moved_text = "moved –" if moved is None else f"moved {moved:.0%}"
    label = "No pitch in the melody" if kept is None else f"Pitch kept {kept:.0%}"
    if spot.rebuilt:
        moved, moved_text = None, "rebuilt"
    elif moved is None:
        label += ", the model does not distinguish these two instruments"
    else:
        label += f", instrument moved {moved:.0%}"
    value = kept if colour == "Pitch kept" else moved
    share = None if value is None else round(min(max(value, 0.0), 1.0), 3)
    sound_table.figures(
        spot.id, (kept_text, moved_text), share, label, key=f"grid_figures_{spot.id}"
    )


def summarise(spots: list[Spot], found: list[Figures]) -> str:
    """The mean figures of all swaps, in a sentence."""
    from core.dsae.evaluation.swap_grid import average

    swaps = [figures for spot, figures in zip(spots, found, strict=True) if not spot.rebuilt]
    kept, pitched = average([figures.kept for figures in swaps])
    moved, apart = average([figures.moved for figures in swaps])
    parts = [f"{len(swaps)} swaps" + (f": pitch kept **{kept:.0%}** on average" if pitched else "")]
    if not apart:
        parts.append("the model's encoder does not distinguish these instruments")
    else:
        of = "" if apart == len(swaps) else f" in the {apart} whose instruments it distinguishes"
        parts.append(f"instrument moved **{moved:.0%}** according to the model's own encoder{of}")
    return "; ".join(parts) + "."


@service.keep(1024)
def _figures(spot: Spot) -> Figures:
    wav = spot.wav()
    kept = service.melody_kept(service.wav(spot.melody), wav)
    if spot.rebuilt:
        return Figures(kept, float("nan"))
    model = service.disentangler(spot.checkpoint)
    from core.dsae.evaluation.swap_grid import moved_sound

    wave = audio.read(wav, normalise=False).wave / HEADROOM
    source, target = (
        service.latents(spot.checkpoint, clip) for clip in (spot.melody, spot.instrument)
    )
    return Figures(kept, moved_sound(model, wave, source, target))


# -- downloads --------------------------------------------------------------------------------


def offer(place: Any, spots: list[list[Spot]]) -> None:
    """Downloads of the table and of all sounds, packed when clicked."""
    flat = [spot for row in spots for spot in row]
    files = {
        "Table": (
            to_csv,
            "csv",
            "One row per cell: melody, instrument, pitch kept, instrument moved.",
        ),
        "WAVs": (to_zip, "zip", "The sound of every cell, 6 dB below its own level."),
    }
    for label, (make, kind, help) in files.items():
        name = f"swaps-{flat[0].checkpoint.name}.{kind}"
        key = f"grid_save_{kind}"
        page.download(label, partial(make, flat), name, key=key, help=help, place=place)


def to_csv(spots: list[Spot]) -> bytes:
    """The figures of all cells as CSV in UTF-8; missing ones are left empty."""
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(
        ["model", "melody_of", "instrument_of", "pitch_kept", "instrument_moved", "file"]
    )
    for spot in spots:
        figures = ["" if isnan(value) else round(value, 4) for value in spot.figures()]
        names = [spot.checkpoint.name, spot.melody.name, spot.instrument.name]
        table.writerow([*names, *figures, spot.file])
    return file.getvalue().encode()


def to_zip(spots: list[Spot]) -> bytes:
    """The sounds of all cells as WAV files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, spot in enumerate(spots, 1):
            archive.writestr(f"{number:02d}-{spot.file}", spot.wav())
    return buffer.getvalue()


def file_name(clip: Clip) -> str:
    """A clip's name as part of a file name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in clip.name)
