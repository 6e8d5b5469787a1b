"""Every swap of a handful of clips in one table: each melody by each instrument, to be heard."""

from __future__ import annotations

import csv
import io
import zipfile
from math import isnan
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import streamlit as st

from core.audio import clip as audio
from core.audio.clip import CLIP_SECONDS, Clip, read
from core.checkpoints.checkpoint import Checkpoint
from core.errors import RavelError
from core.service import corpora
from lab import bundled
from lab.explore.data import latents
from lab.swap import data as live
from lab.widgets import slot, sound_table

MOST = 8
REAL = ("violin-1", "trumpet-1", "clarinet-1", "flute-1", "saxophone-1")
RENDERED = ("dmelodies-violin", "dmelodies-trumpet", "violin-1", "trumpet-1")
ABOUT = (
    "A row is a melody, a column an instrument, and where they cross is the swap: the local "
    "latents of one with the global latent of the other. On the diagonal each recording meets "
    "itself and is only rebuilt."
)
MOVED = (
    "**Pitch kept**: the share of pitched moments in which CREPE, a neural pitch tracker, hears "
    "the swap within half a semitone of the recording that gave the melody.  \n"
    "**Instrument moved**: the swap is encoded again, and its global latent compared with those "
    "of the two recordings, each dimension in units of its posterior's standard deviation: 0% is "
    "where the melody's own instrument was, 100% where the other one is; it may lie beyond. The "
    "model itself is the judge here, and it flatters. Where it does not tell two recordings "
    "apart, as a collapsed model does not, there is no such figure."
)


class Figures(NamedTuple):
    """What is known of a cell's sound; NaN: no pitch, or two that the model takes for one."""

    kept: float
    moved: float


class Spot(NamedTuple):
    """A cell: the clip that gives its melody and the one that gives its instrument."""

    checkpoint: Checkpoint
    melody: Clip
    instrument: Clip

    @property
    def rebuilt(self) -> bool:
        """Whether it is on the diagonal."""
        return self.melody.digest == self.instrument.digest

    @property
    def pair(self) -> live.Pair:
        return live.Pair(self.checkpoint, self.melody, self.instrument)

    @property
    def id(self) -> str:
        return "-".join(self.pair.key)

    @property
    def says(self) -> str:
        if self.rebuilt:
            return f"{self.melody.name}, rebuilt"
        return f"melody of {self.melody.name}, instrument of {self.instrument.name}"

    @property
    def file(self) -> str:
        """What its sound is called in a folder of all."""
        names = [file_name(clip) for clip in (self.melody, self.instrument)]
        return f"{names[0]}-rebuilt.wav" if self.rebuilt else f"{names[0]}-by-{names[1]}.wav"

    def wav(self) -> bytes:
        """Its sound. Raises RavelError."""
        return live.sound(self.pair, "source_reconstruction" if self.rebuilt else "swapped")

    def figures(self) -> Figures:
        """What CREPE and the model hear in it. Raises RavelError."""
        return _figures(self.pair.key, self)


@st.fragment
def show(checkpoint: Checkpoint) -> None:
    """The table of all swaps through a checkpoint."""
    clips = choose(checkpoint)
    if len(clips) < 2:
        st.info(
            "Choose two recordings or more: each meets every other one."
            if not clips
            else "Choose one more recording: with one alone there is nothing to swap.",
            icon=":material/grid_view:",
        )
        return
    spots = [[Spot(checkpoint, row, column) for column in clips] for row in clips]
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        colour = colour_by()
        tools = st.container(horizontal=True, width="content")
    summary = st.container(height=48, border=False).empty()  # of one height, whatever it says
    lay_out(clips, spots, colour)
    try:
        with st.container(gap=None, key="grid_sounds"):
            fill(clips, [spot for row in spots for spot in row], colour, summary)
    except RavelError as error:
        summary.error(str(error), icon=":material/error:")
        return
    offer(tools, spots)
    st.caption(
        f"Everything is played 6 dB lower than it is. Examples: {bundled.instrument_credits()}."
    )


# -- which clips -------------------------------------------------------------------------------


def choose(checkpoint: Checkpoint) -> list[Clip]:
    """The visitor's choice: examples, clips that the map handed over, uploads; none twice."""
    rendered = live.corpus(checkpoint).startswith("dmelodies")
    titles = {Path(row["file"]).stem: title for title, row in slot.examples().items()}
    key = "grid_clips_rendered" if rendered else "grid_clips"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Recordings",
            [*slot.examples(), *handed(key)],
            [titles[name] for name in (RENDERED if rendered else REAL)],
            max_selections=MOST,
            key=key,
            bind="query-params",
            help=f"Up to {MOST}, of which the first 4 s are taken. {ABOUT}",
            placeholder="Choose recordings",
        )
        with st.popover("Add your own", icon=":material/upload:"):
            files = st.file_uploader(
                "Your recordings", slot.FORMATS, accept_multiple_files=True, key="grid_upload"
            )
    clips: dict[str, Clip] = {}
    for source in [*chosen, *files]:
        try:
            clip = open_clip(source)
            clips.setdefault(clip.digest, clip)
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
    if len(clips) > MOST:
        st.caption(f"Only the first {MOST} are taken: leave out others to make room.")
    return list(clips.values())[:MOST]


def handed(key: str) -> list[str]:
    """Clips of corpora, as 'store/name': those the map sent, and those the address names."""
    sent = st.session_state.get("handed", {}).values()
    named = [value for value in st.query_params.get_all(key) if value not in slot.examples()]
    return list(dict.fromkeys(value for value in [*sent, *named] if "/" in value))


def open_clip(source: str | Any) -> Clip:
    """An example by its title, a corpus's clip as 'store/name', or an upload."""
    if not isinstance(source, str):
        return _read(source.file_id, source, Path(source.name).stem, "")
    if row := slot.examples().get(source):
        file = slot.EXAMPLES / row["file"]
        return _read(row["file"], file, file.stem, row["instrument"])
    clip = corpora.clip_by_reference(source)
    return clip.segment(0, min(CLIP_SECONDS, clip.seconds))


@st.cache_data(max_entries=32, show_spinner=False)
def _read(file_id: str, _file: Path | BinaryIO, name: str, instrument: str) -> Clip:
    labels = {"instrument": instrument} if instrument else {}
    return read(_file, duration=CLIP_SECONDS, name=name, labels=labels)


# -- the table ---------------------------------------------------------------------------------


def colour_by() -> str:
    """What the background stands for."""
    return st.segmented_control(
        "Colour by",
        ["Pitch kept", "Instrument moved"],
        default="Pitch kept",
        required=True,
        key="grid_colour",
        bind="query-params",
        width="content",
        help=MOVED,
    )


def lay_out(clips: list[Clip], spots: list[list[Spot]], colour: str) -> None:
    """The table at once, its cells still mute."""
    heads = [
        sound_table.Cell(f"own-{clip.digest}", f"{clip.name}, as recorded", clip.name)
        for clip in clips
    ]
    cells = [[sound_table.Cell(s.id, s.says, "", s.rebuilt) for s in row] for row in spots]
    legend = sound_table.Legend(colour, "0%", "100%", "rebuilt from its own latents")
    corner = "melody ↓\ninstrument →"
    sound_table.show((heads, heads), cells, corner=corner, legend=legend, key="grid")


def fill(clips: list[Clip], spots: list[Spot], colour: str, summary: Any) -> None:
    """Sounds first, figures after, each as soon as it is known. Raises RavelError."""
    for clip in clips:
        sound_table.sound(f"own-{clip.digest}", live.wav(clip), key=f"grid_own_{clip.digest}")
    for number, spot in enumerate(spots):
        summary.progress(number / len(spots), f"Sounds: {number} of {len(spots)}")
        sound_table.sound(spot.id, spot.wav(), key=f"grid_sound_{spot.id}")
    found = []
    for number, spot in enumerate(spots):
        text = f"All can be played. Listening for pitch and instrument: {number} of {len(spots)}"
        summary.progress(number / len(spots), text)
        found.append(spot.figures())
        annotate(spot, found[-1], colour)
    summary.caption(told(spots, found))


def annotate(spot: Spot, figures: Figures, colour: str) -> None:
    """A cell's figures and its colour."""
    kept, moved = (None if isnan(value) else value for value in figures)
    kept_says = "no pitch" if kept is None else f"pitch {kept:.0%}"
    moved_says = "moved –" if moved is None else f"moved {moved:.0%}"
    says = "No pitch in the melody" if kept is None else f"Pitch kept {kept:.0%}"
    if spot.rebuilt:
        moved, moved_says = None, "rebuilt"
    elif moved is None:
        says += ", the model does not tell these two instruments apart"
    else:
        says += f", instrument moved {moved:.0%}"
    value = kept if colour == "Pitch kept" else moved
    share = None if value is None else round(min(max(value, 0.0), 1.0), 3)
    sound_table.figures(
        spot.id, (kept_says, moved_says), share, says, key=f"grid_figures_{spot.id}"
    )


def told(spots: list[Spot], found: list[Figures]) -> str:
    """The figures of all swaps in a sentence."""
    from core.dsae.evaluation.swap_grid import average

    swaps = [figures for spot, figures in zip(spots, found, strict=True) if not spot.rebuilt]
    kept, pitched = average([figures.kept for figures in swaps])
    moved, apart = average([figures.moved for figures in swaps])
    parts = [f"{len(swaps)} swaps" + (f": pitch kept **{kept:.0%}** on average" if pitched else "")]
    if not apart:
        parts.append("the model does not tell these instruments apart, so none can have moved")
    else:
        of = "" if apart == len(swaps) else f" in the {apart} whose instruments it tells apart"
        parts.append(f"instrument moved **{moved:.0%}** by the model's own encoder{of}")
    return "; ".join(parts) + "."


@st.cache_data(max_entries=1024, show_spinner=False)
def _figures(key: tuple[str, ...], _spot: Spot) -> Figures:
    wav = _spot.wav()
    kept = live.melody_kept(live.wav(_spot.melody), wav)
    if _spot.rebuilt:
        return Figures(kept, float("nan"))
    model = live.model(_spot.checkpoint)
    from core.dsae.evaluation.swap_grid import moved_sound

    wave = audio.read(wav, normalise=False).wave / live.HEADROOM
    ends = (latents(_spot.checkpoint, clip) for clip in (_spot.melody, _spot.instrument))
    return Figures(kept, moved_sound(model, wave, *ends))


# -- to take away ------------------------------------------------------------------------------


def offer(place: Any, spots: list[list[Spot]]) -> None:
    """Downloads, made when clicked, out of what is remembered."""
    flat = [spot for row in spots for spot in row]
    files = {
        "Table": (to_csv, "csv", "A row a cell: melody, instrument, pitch kept, instrument moved."),
        "WAVs": (to_zip, "zip", "The sound of every cell, 6 dB below its own level."),
    }
    for label, (make, kind, says) in files.items():
        place.download_button(
            label,
            lambda make=make: make(flat),
            f"swaps-{flat[0].checkpoint.name}.{kind}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"grid_save_{kind}",
            help=says,
        )


def to_csv(spots: list[Spot]) -> bytes:
    """The figures of all cells as CSV in UTF-8; what is not known is left empty."""
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(
        ["model", "melody_of", "instrument_of", "pitch_kept", "instrument_moved", "file"]
    )
    for spot in spots:
        known = ["" if isnan(value) else round(value, 4) for value in spot.figures()]
        names = [spot.checkpoint.name, spot.melody.name, spot.instrument.name]
        table.writerow([*names, *known, spot.file])
    return file.getvalue().encode()


def to_zip(spots: list[Spot]) -> bytes:
    """The sounds of all cells as WAV files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, spot in enumerate(spots, 1):
            archive.writestr(f"{number:02d}-{spot.file}", spot.wav())
    return buffer.getvalue()


def file_name(clip: Clip) -> str:
    """A clip's name as part of a file's name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in clip.name)
