"""A slot holds a recording, 4 s or all of it: an example, an upload, a microphone's, the Map's."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

import soundfile
import streamlit as st

from core.audio.clip import CLIP_SECONDS, Clip, read
from core.errors import RavelError
from core.service import corpora
from lab.bundled import EXAMPLES
from lab.bundled import instruments as examples

FORMATS = ["wav", "flac", "ogg", "opus", "mp3", "aif", "aiff", "au", "caf", "w64"]
FROM = ["Example", "Upload", "Microphone"]
MAP = "Map"  # offered when the Map page sent a clip


class Taking(NamedTuple):
    """What is taken of a file or of the microphone: how much, at which level, and what is said.

    A recording of up to `whole` seconds may be taken as a whole.
    """

    seconds: float = CLIP_SECONDS
    normalise: bool = True
    hint: str = "One instrument, one note at a time, works best."
    why: str = "4 s are taken: choose where they start."
    whole: float = 0.0


RECORDING = Taking()


def rendered() -> dict[str, str]:
    """Titles of the bundled recordings that a synthesiser played, by their names."""
    return {_name(row): title for title, row in examples().items() if row["kind"] == "rendered"}


def _name(row: dict[str, str]) -> str:
    return Path(row["file"]).stem


def slot(key: str, title: str, *, default: str, taking: Taking = RECORDING) -> Clip | None:
    """Draw a slot and return what it holds: None while empty, or when what is in it is no sound.

    What is wrong is said in the slot. `key` names its place in the URL, `default` a bundled file.
    """
    with st.container(border=True, key=f"{key}_slot"):
        origin = _origin(key, title)
        try:
            if origin == "Example":
                return _example(key, title, default)
            if origin == MAP:
                return _handed(key)
            return own(key, title, origin, taking)
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
            return None


def _handed(key: str) -> Clip:
    """The clip that the Map page sent, named in the address as `store/name`."""
    reference = st.query_params[f"{key}_clip"]
    clip = corpora.clip_by_reference(reference)
    clip = clip.segment(0, min(CLIP_SECONDS, clip.seconds))
    st.caption(f"{clip.name}, from {reference.split('/')[0]}")
    return clip


def _origin(key: str, title: str) -> str:
    handed = f"{key}_clip" in st.query_params
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.subheader(title, anchor=False, width="content")
        return st.segmented_control(
            f"{title} from",
            [*FROM, MAP] if handed else FROM,
            default=MAP if handed else FROM[0],
            required=True,
            key=f"{key}_from",
            label_visibility="collapsed",
            width="content",
        )


def _example(key: str, title: str, default: str) -> Clip:
    titles, names = list(examples()), [_name(row) for row in examples().values()]
    chosen = st.selectbox(
        f"{title} example",
        titles,
        index=names.index(default),
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )
    row = examples()[chosen]
    return _read(row["file"], 0.0, EXAMPLES / row["file"], _name(row), row["instrument"])


def own(key: str, title: str, origin: str, taking: Taking = RECORDING) -> Clip | None:
    """A clip of the visitor's, by "Upload" or "Microphone"; None before. Raises RavelError."""
    if origin == "Upload":
        file = st.file_uploader(
            f"{title} file", FORMATS, key=f"{key}_upload", label_visibility="collapsed"
        )
    else:
        file = st.audio_input(
            f"{title} recording",
            sample_rate=None,
            key=f"{key}_microphone",
            label_visibility="collapsed",
        )
    if file is None:
        st.caption(taking.hint)
        return None
    name = "Your recording" if origin == "Microphone" else Path(file.name).stem
    start, seconds = _part(key, file, taking)
    return _read(file.file_id, start, file, name, "", seconds, taking.normalise)


def _part(key: str, file: BinaryIO, taking: Taking) -> tuple[float, float]:
    """Say what the file holds and let the person choose what is taken: from where, how much."""
    try:
        about = soundfile.info(file)
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        return 0.0, taking.seconds  # `read` tells what is wrong
    finally:
        file.seek(0)
    start, seconds = 0.0, taking.seconds
    if seconds < about.duration <= taking.whole and st.toggle(
        "Whole recording",
        key=f"{key}_whole",
        help="One global latent for all of it, and local latents every 16 ms; it takes longer.",
    ):
        seconds = about.duration
    spare = round(about.duration - seconds, 1)
    if spare > 0:
        start = st.slider(
            "Start",
            0.0,
            spare,
            step=0.1,
            format="%.1f s",
            key=f"{key}_start",
            bind="query-params",
            help=taking.why,
        )
    st.caption(_facts(about.duration, about.channels, about.samplerate, seconds))
    return start, seconds


def _facts(seconds: float, channels: int, rate: int, taken: float) -> str:
    length = f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
    kept = "" if seconds <= taken else f"; only the chosen {taken:g} s are read"
    mixed = "" if channels == 1 else f", {channels} channels mixed to one"
    return f"{length} at {rate / 1000:g} kHz{mixed}{kept}."


@st.cache_data(max_entries=64, show_spinner=False)
def _read(
    file_id: str,
    start: float,
    _file: Path | BinaryIO,
    name: str,
    instrument: str,
    seconds: float = CLIP_SECONDS,
    normalise: bool = True,
) -> Clip:
    labels = {"instrument": instrument} if instrument else {}
    return read(_file, start=start, duration=seconds, name=name, labels=labels, normalise=normalise)
