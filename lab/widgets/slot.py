"""A slot for one recording: an example, an upload, the microphone's, or a clip from the Map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile
import streamlit as st

from core import service
from core.audio.clip import CLIP_SECONDS, Clip, read
from core.audio.overview import of_wave, overview
from core.checkpoints.checkpoint import Checkpoint
from core.service import corpora
from lab.bundled import EXAMPLES, instruments
from lab.widgets import kept, page, part

FORMATS = ["wav", "flac", "ogg", "opus", "mp3", "aif", "aiff", "au", "caf", "w64"]
FROM = ["Example", "Upload", "Microphone"]
OWN = FROM[1:]
MAP = "Map"  # offered once the Map page has sent a clip


class Taking(NamedTuple):
    """How much is taken of a file or of the microphone, at which level, and the help texts.

    A recording of up to `whole` seconds may be taken as a whole.
    """

    seconds: float = CLIP_SECONDS
    normalise: bool = True
    hint: str = "One instrument, one note at a time, works best."
    why: str = "4 s are used: choose where they start."
    whole: float = 0.0


RECORDING = Taking()


def rendered() -> dict[str, str]:
    """The titles of the bundled synthesised recordings, by name."""
    return {_name(row): title for title, row in instruments().items() if row["kind"] == "rendered"}


def _name(row: dict[str, str]) -> str:
    return Path(row["file"]).stem


class Other(NamedTuple):
    """A further origin of a slot: its name, whether it is chosen at first, and what draws it."""

    name: str
    first: bool
    choose: Callable[[], Clip | None]


def slot(
    key: str, title: str, *, default: str, taking: Taking = RECORDING, other: Other | None = None
) -> Clip | None:
    """Draw a slot and return its clip: None while it is empty or holds no sound.

    Errors are shown in the slot. `key` is its name in the URL, `default` a bundled file's.
    """
    with st.container(border=True, key=f"{key}_slot"), page.show_errors():
        origin = _origin(key, title, other)
        kept.show(key, origin in OWN)
        if other and origin == other.name:
            return other.choose()
        if origin == "Example":
            return _example(key, title, default)
        if origin == MAP:
            return _from_map(key)
        return own(key, title, origin, taking)
    return None  # after an error


def from_store(reference: str) -> Clip:
    """The first 4 s of a clip of a store, by 'store/name'. Raises RavelError."""
    clip = corpora.clip_by_reference(reference)
    return clip.segment(0, min(CLIP_SECONDS, clip.seconds))


def _from_map(key: str) -> Clip:
    """The clip that the Map page sent, which the address names; of a longer one the chosen 4 s."""
    reference = st.query_params[f"{key}_clip"]
    clip, start = corpora.clip_by_reference(reference), 0.0
    st.caption(f"{clip.name}, from {reference.split('/')[0]}")
    if round(clip.seconds - CLIP_SECONDS, 1) > 0:
        start = part.choose(
            f"{key}_start",
            f"{key}: the part that is used",
            of_wave(clip.wave),
            duration=clip.seconds,
            length=CLIP_SECONDS,
            of=reference,
        )
    return clip.segment(start, min(CLIP_SECONDS, clip.seconds))


def _origin(key: str, title: str, other: Other | None = None) -> str:
    sent = f"{key}_clip" in st.query_params
    offered = [FROM[0], other.name, *OWN] if other else FROM
    first = other.name if other and other.first else FROM[0]
    with page.row():
        st.header(title, anchor=False, width="content")
        return st.segmented_control(
            f"{title} from",
            [*offered, MAP] if sent else offered,
            default=MAP if sent else OWN[0] if kept.is_held(key) else first,
            required=True,
            key=f"{key}_from",
            label_visibility="collapsed",
            width="content",
            wrap=True,
        )


def _example(key: str, title: str, default: str) -> Clip:
    titles, names = list(instruments()), [_name(row) for row in instruments().values()]
    chosen = st.selectbox(
        f"{title} example",
        titles,
        index=names.index(default),
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )
    row = instruments()[chosen]
    return _read(row["file"], 0.0, EXAMPLES / row["file"], _name(row), row["instrument"])


def own(key: str, title: str, origin: str, taking: Taking = RECORDING) -> Clip | None:
    """The visitor's own clip, by "Upload" or "Microphone"; None without one. RavelError.

    The file is kept on the server under an id in the address: it is there again after a reload.
    """
    widget, name = f"{key}_{origin.lower()}", "Your recording"
    if origin == "Upload":
        file = st.file_uploader(
            f"{title} file",
            FORMATS,
            key=widget,
            label_visibility="collapsed",
            on_change=_forget_removed,
            args=(key, widget),
        )
        name = file.name if file else ""
    else:
        file = st.audio_input(
            f"{title} recording",
            sample_rate=None,
            key=widget,
            label_visibility="collapsed",
            on_change=_forget_removed,
            args=(key, widget),
        )
    upload = kept.put(key, file, name) if file else kept.held(key)
    if upload is None:
        st.caption(taking.hint)
        return None
    if file is None:
        with page.row():
            st.caption(f"**{page.plain(upload.name)}**, as uploaded before.", width="content")
            st.button(
                "Remove",
                key=f"{key}_remove",
                type="tertiary",
                icon=":material/close:",
                on_click=kept.forget,
                args=(key,),
            )
    start, seconds = _part(key, title, upload.id, upload.path, taking)
    stem = upload.name if upload.name == "Your recording" else Path(upload.name).stem
    return _read(upload.id, start, upload.path, stem, "", seconds, taking.normalise)


def _forget_removed(key: str, widget: str) -> None:
    """The visitor has removed the file; a page that is left and opened again does not call this."""
    if st.session_state.get(widget) is None:
        kept.forget(key)


def _part(
    key: str, title: str, id: str, file: Path | BinaryIO, taking: Taking
) -> tuple[float, float]:
    """Let the visitor choose which part of a file is used: its start and its length, in s."""
    try:
        about = soundfile.info(file)
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        return 0.0, taking.seconds  # `read` reports the error
    start, seconds = 0.0, taking.seconds
    if seconds < about.duration <= taking.whole and st.toggle(
        "Whole recording",
        key=f"{key}_whole",
        help="One global latent for all of it, with local latents every 16 ms. Takes longer.",
    ):
        seconds = about.duration
    spare = round(about.duration - seconds, 1)
    if spare > 0:
        start = part.choose(
            f"{key}_start",
            f"{title}: the part that is used",
            _overview(id, file),
            duration=about.duration,
            length=seconds,
            of=id,
        )
    facts = _facts(about.duration, about.channels, about.samplerate, seconds)
    st.caption(facts, help=taking.why if spare > 0 else None)
    return start, seconds


@st.cache_data(max_entries=32, show_spinner=False)
def _overview(file_id: str, _file: Path | BinaryIO) -> np.ndarray:
    return overview(_file)


def part_of_file(key: str, title: str, id: str, file: BinaryIO) -> float:
    """Which 4 s of a file are used: their start in s, 0 of a shorter or damaged one."""
    try:
        seconds = soundfile.info(file).duration
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        return 0.0  # `read` reports the error
    finally:
        file.seek(0)
    if round(seconds - CLIP_SECONDS, 1) <= 0:
        return 0.0
    peaks = _overview(id, file)
    file.seek(0)
    label = f"{title}: the part that is used"
    return part.choose(key, label, peaks, duration=seconds, length=CLIP_SECONDS, of=id, name=title)


def _facts(seconds: float, channels: int, rate: int, taken: float) -> str:
    length = f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    kept = "" if seconds <= taken else f"; only the chosen {taken:g} s are used"
    mixed = "" if channels == 1 else f", {channels} channels mixed to one"
    return f"{length} at {rate / 1000:g} kHz{mixed}{kept}."


@st.cache_data(max_entries=64, show_spinner=False)
def _read(
    file_id: str,
    start: float,
    _file: Path,
    name: str,
    instrument: str,
    seconds: float = CLIP_SECONDS,
    normalise: bool = True,
) -> Clip:
    labels = {"instrument": instrument} if instrument else {}
    return read(_file, start=start, duration=seconds, name=name, labels=labels, normalise=normalise)


def advise_rendered(checkpoint: Checkpoint, clips: Sequence[Clip], key: str) -> None:
    """Where a model was trained on synthesised sound only and a clip is a real recording, warn, and
    offer the synthesised examples."""
    rendered_only = service.corpus_of(checkpoint).startswith("dmelodies")
    if not rendered_only or {clip.name for clip in clips} <= set(rendered()):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            ":material/info: Trained on synthesised violins and trumpets only: it may do poorly on "
            "real recordings.",
            width="content",
        )
        st.button(
            "Use synthesised examples",
            key=key,
            type="tertiary",
            icon=":material/swap_horiz:",
            on_click=_use_rendered,
        )


def _use_rendered() -> None:
    for side, title in zip(("source", "target"), rendered().values(), strict=True):
        st.session_state[side], st.session_state[f"{side}_from"] = title, "Example"
