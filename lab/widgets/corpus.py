"""New corpora, on every page that has one to choose: rendered here, or of one's own recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from core.audio.clip import CLIP_SECONDS
from core.data import own
from core.data.own import LABEL, Surveyed
from core.data.recording import Recording
from core.errors import RavelError
from core.service import building, corpora, uploads
from lab.public import is_public
from lab.widgets.page import plain, show_errors
from lab.widgets.slot import FORMATS

if TYPE_CHECKING:
    import pandas as pd

READY, STARTED = "corpus_ready", "corpus_started"  # in a session: names of stores
FAILED = "corpus_failed"  # in a session: why a build was not started
USE, FILE, LENGTH, PROBLEM = "Use", "File", "Seconds", "Problem"
ABOUT = "Render a corpus here, or make one of your own recordings."
SETS = {
    "dmelodies": (
        "dMelodies",
        "Melodies of two bars by violin and trumpet: the corpus of TS-DSAE's paper.",
        {"dmelodies-600": "600 clips", "dmelodies": "All 3,600"},
    ),
    "instruments": (
        "Many instruments",
        "Phrases of ten instruments, in many soundfonts, rooms and levels.",
        {"instruments-600": "600 clips", "instruments": "12,000 phrases"},
    ),
}
SIZE = "600 clips take less than a minute; all of them take several, and more room on the disk."
WAYS = ["Files", "Folder"]
DROP = (
    "Sound files or zip files. Labels come from a metadata.csv (a column `file`, and columns of "
    "labels), from sub-folders of a zip, or from names such as violin-3.wav. None are needed."
)


class Source(NamedTuple):
    """Recordings to look through: the name of their corpus, and the id of uploaded files."""

    found: list[Surveyed]
    name: str
    upload: str | None = None


def choose_new(key: str, value_of: Callable[[str], Any] = str) -> None:
    """Let a corpus that was built just now be the choice of the widget `key`, drawn next."""
    name = st.session_state.pop(READY, None)
    if name in corpora.stores():
        st.session_state[key] = value_of(name)


def add_button(key: str) -> None:
    """A button that opens the dialog; not in a public lab, whose corpora are everybody's."""
    if is_public():
        return
    if st.button("Add a corpus", key=f"{key}_add", icon=":material/library_add:", help=ABOUT):
        _dialog()


def has_files() -> bool:
    """Whether the dialog holds files that were dropped and are not a corpus yet."""
    return bool(st.session_state.get("own_files"))


def show_builds() -> None:
    """The corpora that are being built, for all visitors; nothing while there are none."""
    if not is_public() and (building.builds() or st.session_state.get(STARTED)):
        _watch()


@st.fragment(run_every=1.0)
def _watch() -> None:
    """How far each build is."""
    mine = st.session_state.setdefault(STARTED, [])
    done = [name for name in mine if building.progress(name).state == "done"]
    if done:
        st.session_state[STARTED] = [name for name in mine if name not in done]
        st.session_state[READY] = done[-1]
        st.rerun()
    for name, progress in building.builds().items():
        if progress.state == "running":
            st.progress(
                progress.part,
                f"Building **{plain(name)}**: {progress.text[:1].lower()}{progress.text[1:]}. You "
                "can close this page meanwhile.",
            )
            continue
        st.error(f"{plain(name)} could not be built: {progress.text}", icon=":material/error:")
        with st.container(horizontal=True):
            st.button("Try again", key=f"build_{name}", on_click=_again, args=(name,))
            st.button(
                "Discard", key=f"discard_{name}", on_click=building.discard, args=(name,),
                type="tertiary",
            )  # fmt: skip


def _again(name: str) -> None:
    with show_errors():
        building.again(name)
        _remember(name)


def _remember(name: str) -> None:
    st.session_state[STARTED] = [*st.session_state.get(STARTED, []), name]


@st.dialog("Add a corpus", width="large")
def _dialog() -> None:
    rendered, recorded = st.tabs(["Render music", "Add recordings"])
    with rendered:
        for kind, column in zip(SETS, st.columns(2), strict=True):
            with column.container(border=True):
                _offer_set(kind)
    with recorded:
        _offer_recordings()


def _offer_set(kind: str) -> None:
    """One of the corpora that can be rendered."""
    title, about, sizes = SETS[kind]
    st.markdown(f"**{title}**  \n{about}")
    name = st.segmented_control(
        "Size", list(sizes), default=next(iter(sizes)), required=True, key=f"size_{kind}",
        format_func=sizes.__getitem__, help=SIZE,
    )  # fmt: skip
    there = name in corpora.stores()
    pressed = st.button(
        f"Build {title if kind == 'dmelodies' else title.lower()}",
        key=f"render_{kind}",
        type="primary",
        icon=":material/library_music:",
        disabled=there,
        width="stretch",
        on_click=_render,
        args=(kind, name),
    )
    if there:
        st.caption(f"It is there already: choose the corpus {name}.")
    _close_or_explain(pressed)


def _render(kind: str, name: str) -> None:
    _try(name, lambda: building.render(kind, name))


def _try(name: str, start: Callable[[], None]) -> None:
    """Start a build; the error, if any, is for `_close_or_explain`."""
    try:
        start()
        _remember(name)
    except RavelError as error:
        st.session_state[FAILED] = str(error)


def _close_or_explain(pressed: bool) -> None:
    """Close the dialog where a build was started, or show why it was not."""
    error = st.session_state.pop(FAILED, None)
    if error:
        st.error(error, icon=":material/error:")
    elif pressed:
        st.rerun()


def _offer_recordings() -> None:
    """Own recordings: where they are, their labels, and how they are cut."""
    with show_errors():
        source = _source()
        if source is None:
            return
        if not source.found:
            raise RavelError("There is no sound in it: give WAV, FLAC, Ogg, MP3 or AIFF files.")
        chosen = _edited(source)
        columns = st.columns([2, 1, 1])
        name = columns[0].text_input("Name of the corpus", source.name, key="own_name").strip()
        seconds = columns[1].number_input(
            "Seconds per clip", 0.5, 60.0, CLIP_SECONDS, 0.5, key="own_seconds",
            help="Long recordings are cut into clips of this length. 4 s suit music.",
        )  # fmt: skip
        labels = [k for k in dict.fromkeys(k for r in chosen for k in r.labels) if k != "split"]
        usual = own.common_label(chosen)
        factor = columns[2].selectbox(
            "Split by", labels or [LABEL], labels.index(usual) if usual in labels else 0,
            key="own_factor", help="A tenth is held out, of every value of this label.",
        )  # fmt: skip
        st.caption(_summary(chosen, source, seconds, factor))
        pressed = st.button(
            "Build corpus",
            key="own_build",
            type="primary",
            icon=":material/library_add:",
            disabled=not chosen,
            on_click=_record,
            args=(name, chosen, seconds, factor, source.upload),
        )
        _close_or_explain(pressed)


def _record(
    name: str, chosen: list[Recording], seconds: float, factor: str, upload: str | None
) -> None:
    def start() -> None:
        building.record(name, chosen, seconds=seconds, factor=factor, upload=upload)
        st.session_state.pop("own_source", None)

    _try(name, start)


def _source() -> Source | None:
    """The recordings that were dropped, or that are in the folder that was named."""
    way = st.segmented_control(
        "From", WAYS, default=WAYS[0], required=True, key="own_way", label_visibility="collapsed"
    )
    if way == "Folder":
        folder = st.text_input(
            "Folder", key="own_folder", placeholder="/home/me/recordings",
            help="A folder on the computer on which the lab runs. Its files are not changed.",
        ).strip()  # fmt: skip
        if not folder:
            return None
        path = Path(folder).expanduser()
        return Source(_survey(str(path), path.stat().st_mtime if path.exists() else 0), path.name)
    files = st.file_uploader(
        "Recordings", [*FORMATS, "zip", "csv"], accept_multiple_files=True, key="own_files",
        help=DROP, label_visibility="collapsed",
    )  # fmt: skip
    if not files:
        st.caption(DROP)
        return None
    return _kept(files)


@st.cache_data(max_entries=8, show_spinner="Looking through the folder")
def _survey(folder: str, changed: float) -> list[Surveyed]:
    return own.survey(folder)


def _kept(files: Sequence[Any]) -> Source:
    """Uploaded files, written into a folder of their own once."""
    ids = [file.file_id for file in files]
    kept = st.session_state.get("own_source")
    if kept is None or kept[0] != ids:
        if kept is not None and kept[1].upload:
            uploads.remove(kept[1].upload)
        with st.spinner("Looking through the recordings"):
            id, folder = uploads.new_folder(sum(file.size for file in files))
            for file in files:
                _put(file, folder)
            zips = [Path(file.name).stem for file in files if file.name.lower().endswith(".zip")]
            kept = ids, Source(own.survey(folder), _named(zips), id)
        st.session_state["own_source"] = kept
    return kept[1]


def _put(file: Any, folder: Path) -> None:
    """A zip file unpacked, any other file as it is; of equal names each gets a number."""
    if file.name.lower().endswith(".zip"):
        packed = folder / ".packed.zip"
        packed.write_bytes(file.getbuffer())
        own.unzip(packed, folder)
        packed.unlink()
        return
    name = Path(file.name.replace("\\", "/")).name
    place, number = folder / name, 1
    while place.exists():
        number += 1
        place = folder / f"{Path(name).stem} ({number}){Path(name).suffix}"
    place.write_bytes(file.getbuffer())


def _named(zips: Sequence[str]) -> str:
    """A name for a corpus that no other has."""
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in zips[0]) if zips else ""
    stem = kept.strip("-") or "my-recordings"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next(name for name in names if name not in corpora.stores())


def _edited(source: Source) -> list[Recording]:
    """The recordings that are to be used, with their labels as the visitor has edited them."""
    frame = _frame(source.found)
    fixed = [FILE, LENGTH, *([PROBLEM] if PROBLEM in frame else [])]
    edited = st.data_editor(
        frame, hide_index=True, disabled=fixed, key="own_labels", width="stretch",
        height=min(320, 40 + 35 * len(frame)),
        column_config={LENGTH: st.column_config.NumberColumn(format="%.1f")},
    )  # fmt: skip
    labels = [name for name in edited.columns if name not in (USE, *fixed)]
    chosen = []
    for one, row in zip(source.found, edited.to_dict("records"), strict=True):
        if row[USE] and not one.problem:
            given = {name: str(row[name] or "").strip() for name in labels}
            kept = {name: value for name, value in given.items() if value or name != LABEL}
            chosen.append(Recording(one.recording.path, one.recording.name, kept))
    return chosen


def _frame(found: Sequence[Surveyed]) -> pd.DataFrame:
    import pandas as pd

    columns = dict.fromkeys([LABEL, *(name for one in found for name in one.recording.labels)])
    frame = pd.DataFrame(
        {
            USE: [not one.problem for one in found],
            FILE: [one.recording.name for one in found],
            **{c: [one.recording.labels.get(c, "") for one in found] for c in columns},
            LENGTH: [one.seconds for one in found],
        }
    )
    if any(one.problem for one in found):
        frame.insert(2, PROBLEM, [one.problem for one in found])
    return frame


def _summary(chosen: Sequence[Recording], source: Source, seconds: float, factor: str) -> str:
    """How many clips there will be, and of how many labels."""
    lengths = {one.recording.name: one.seconds for one in source.found}
    clips = sum(max(1, round(lengths[item.name] / seconds)) for item in chosen)
    labels = {item.labels.get(factor, "") for item in chosen} - {""}
    said = f"{len(labels)} labels" if labels else "no labels, which is fine"
    return f"{len(chosen):,} recordings, about {clips:,} clips of {seconds:g} s, {said}."
