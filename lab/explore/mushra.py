"""MUSHRA on the page: recordings and their renderings rated beside a reference, in random order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import streamlit as st

from core import service
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.service import Pair
from core.vocoder.play import GRIFFIN_LIM, VOCODER, is_available
from lab import bundled
from lab.explore import grid
from lab.widgets import page, slot, switch

if TYPE_CHECKING:
    import numpy as np

    from core.listening.mushra import Summary, Test, Trial

KIND = "MUSHRA"
ABOUT = (
    "**MUSHRA** (ITU-R BS.1534): rate several renderings from 0 to 100 beside the recording. The "
    "recording itself is hidden among them, and so is a low-pass filtered copy, the anchor."
)
CHOICES = [f"mushra_{name}" for name in ("recordings", "renderings", "listener", "mid")]
ROUND_TRIP, GRIFFIN = "Vocoder round trip", "Griffin-Lim round trip"
MADE_BY = "Reconstruction by "
MOST_ITEMS = 10
DEFAULT_ITEMS = ("violin-1", "trumpet-1", "flute-1")
LETTERS = "ABCDEFGHIJKL"
COLUMNS = {
    "condition": "Rendering",
    "mean": "Mean",
    "mean_low": "95% from",
    "mean_high": "to",
    "median": "Median",
    "median_low": "95% from ",
    "median_high": "to ",
    "size": "N",
}
state = st.session_state


def running() -> Test | None:
    """The test in progress."""
    test = state.get("mushra_test")
    return test if test and not test.finished else None


# -- settings ----------------------------------------------------------------------------------


def prepare(checkpoint: Checkpoint) -> None:
    """The result of the last test, the settings of the next one, and the summary of several."""
    if done := state.get("mushra_test"):
        show_result(done)
    st.caption(
        "Rate renderings of recordings from 0 to 100 beside the recording; everything is in random "
        "order. Each listener takes the test in a visit of their own and saves a CSV file."
    )
    clips = choose_items()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offered = [*([ROUND_TRIP] if is_available() else []), GRIFFIN]
        offered += [MADE_BY + one.name for one in list_checkpoints("dsae")]
        systems = st.multiselect(
            "Renderings",
            offered,
            [*offered[: len(offered) - len(list_checkpoints("dsae"))], MADE_BY + checkpoint.name],
            key="mushra_renderings",
            max_selections=9,
            help="A round trip is the recording's log-mel, resynthesised: no model is involved.",
        )
        listener = st.text_input(
            "Listener",
            "1",
            key="mushra_listener",
            max_chars=40,
            width=140,
            help="A number or a pseudonym; it stands in the CSV file.",
        )
        mid = st.toggle("Second anchor, 7 kHz", key="mushra_mid")
    st.button(
        "Begin",
        type="primary",
        icon=":material/hearing:",
        key="mushra_begin",
        disabled=not (clips and systems and listener.strip()),
        on_click=begin,
        args=(listener, clips, systems, mid),
    )
    st.caption(
        "The renderings of a recording are cut to one length and matched in loudness (ITU-R "
        f"BS.1770). Use headphones. Examples: {bundled.instrument_credits()}."
    )
    summarise()


def choose_items() -> dict[str, Clip]:
    """The recordings to rate, by name: examples and the visitor's own."""
    titles = {title: row for title, row in bundled.instruments().items()}
    first = [title for title, row in titles.items() if row["file"].startswith(DEFAULT_ITEMS)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Recordings",
            list(titles),
            first,
            key="mushra_recordings",
            max_selections=MOST_ITEMS,
            help=f"Up to {MOST_ITEMS}; the first 4 s of each are used. Each is one trial.",
        )
        with st.popover("Add your own", icon=":material/upload:"):
            files = st.file_uploader(
                "Your recordings", slot.FORMATS, accept_multiple_files=True, key="mushra_upload"
            )
    clips: dict[str, Clip] = {}
    for source in [*files, *chosen]:
        with page.show_errors():
            clip = grid.open_clip(source)
            clips.setdefault(clip.name, clip)
    return dict(list(clips.items())[:MOST_ITEMS])


def begin(listener: str, clips: dict[str, Clip], systems: list[str], mid: bool) -> None:
    """Start a test."""
    from core.listening import mushra

    state.mushra_clips, state.mushra_files = clips, None
    state.mushra_test = mushra.start(listener, list(clips), systems, mid_anchor=mid)


# -- trials ------------------------------------------------------------------------------------


def show_trial(test: Test | None) -> None:
    """One trial: the reference and the renderings to switch between, and their ratings."""
    trial = test and test.current
    if not test or not trial:
        return
    number, letters = len(test.rated) + 1, LETTERS[: len(trial.order)]
    count = len(test.trials)
    st.progress((number - 1) / count, f"**Trial {number} of {count}**: {page.plain(trial.item)}")
    st.caption(
        "Rate the overall quality of each sound beside the reference. **One of them is the "
        "reference itself: give it 100.** Play each as often as you like. Below 20 is bad, below "
        "40 poor, below 60 fair, below 80 good, from 80 on excellent."
    )
    with page.show_errors(), st.spinner("Preparing the renderings"):
        sounds = files(number, trial)
        switch.show(sounds, key="mushra_switch")
        ratings = [choose_rating(number, letter) for letter in letters]
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.button(
                "Next" if number < count else "Finish",
                key="mushra_next",
                type="primary",
                disabled=not any(ratings),
                help=None if any(ratings) else "Rate the sounds first.",
                on_click=rate,
                args=(test, number, ratings),
            )
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button("Stop", key="mushra_stop", type="tertiary", on_click=stop, args=(test,))


def choose_rating(number: int, letter: str) -> int:
    """A sound's rating, with its word on the scale."""
    from core.listening import mushra

    key = f"mushra_rating_{number}_{letter}"
    word = mushra.label(state.get(key, 0))
    return st.slider(f"**{letter}** {word}", 0, 100, 0, key=key)


def files(number: int, trial: Trial) -> dict[str, bytes]:
    """The WAV files of a trial, the same until it is rated. Raises RavelError."""
    from core.listening.comparison import disguised

    if not state.mushra_files or state.mushra_files[0] != number:
        made = render(state.mushra_clips[trial.item], trial)
        named = {"Ref": made[None]} | dict(
            zip(LETTERS, (made[name] for name in trial.order), strict=False)
        )
        state.mushra_files = number, {letter: disguised(wave) for letter, wave in named.items()}
    return state.mushra_files[1]


def render(clip: Clip, trial: Trial) -> dict[str | None, np.ndarray]:
    """The reference (None) and every condition [S], of one loudness but for the anchors."""
    from core.audio.loudness import match
    from core.listening import mushra

    systems = [name for name in trial.order if name not in (*mushra.CUTOFFS, mushra.REFERENCE)]
    reference, *others = match([clip.wave, *(made_by(name, clip) for name in systems)])
    found: dict[str | None, np.ndarray] = {None: reference, mushra.REFERENCE: reference}
    for name, cutoff in mushra.CUTOFFS.items():
        found[name] = mushra.anchor(reference, cutoff)
    return found | dict(zip(systems, others, strict=True))


def made_by(name: str, clip: Clip) -> np.ndarray:
    """A rendering of a clip [S]. Raises RavelError."""
    if name == ROUND_TRIP:
        return service.waveform(service.log_mel(clip), VOCODER)
    if name == GRIFFIN:
        return service.waveform(service.log_mel(clip), GRIFFIN_LIM)
    models = {MADE_BY + one.name: one for one in list_checkpoints("dsae")}
    pair = Pair(models[name], clip, clip)
    return service.waveform(service.decoded(pair, "source_reconstruction"))


def rate(test: Test, number: int, ratings: list[int]) -> None:
    """Take a trial's ratings; a second click on the same trial does not count."""
    if not test.finished and number == len(test.rated) + 1:
        test.rate(ratings)


def stop(test: Test) -> None:
    """End a test early; without any rating it is discarded."""
    test.finished = True
    if not test.rated:
        state.mushra_test = None


# -- results -----------------------------------------------------------------------------------


def show_result(test: Test) -> None:
    """A listener's test: whether it passes post-screening, and its file."""
    from core.listening import mushra

    share = mushra.missed(test.ratings())[test.listener]
    count = f"{len(test.rated)} of {len(test.trials)} trials rated"
    fine = share <= mushra.TOLERATED
    verdict = (
        "passes post-screening"
        if fine
        else f"fails post-screening: the hidden reference got less than {mushra.FINE} in "
        f"{share:.0%} of the trials"
    )
    with st.container(border=True, key="mushra_result"):
        st.markdown(f"**Listener {page.plain(test.listener)}**: {count}; {verdict}.")
        with page.show_errors():
            show_summary(mushra.summarise(test.ratings(), screen=False))
        name = re.sub(r"[^\w-]", "-", test.listener)
        page.download(
            "Ratings",
            test.to_csv,
            f"mushra-{name}.csv",
            key="mushra_save",
            mime="text/csv",
            help="One row per rating, as CSV: keep it for the summary of all listeners.",
        )


def summarise() -> None:
    """The summary of several listeners' files."""
    from core.listening import mushra

    with st.expander("Summarise listeners", icon=":material/groups:"):
        given = st.file_uploader(
            "CSV files of ratings, one a listener",
            ["csv"],
            accept_multiple_files=True,
            key="mushra_files_given",
        )
        screen = st.toggle(
            "Post-screening",
            True,
            key="mushra_screen",
            help="Leaves out listeners who rate the hidden reference below 90 in more than 15% of "
            "their trials (ITU-R BS.1534-3, 4.1.2).",
        )
        if given:
            with page.show_errors():
                ratings = [one for file in given for one in read(file)]
                show_summary(mushra.summarise(ratings, screen=screen))


def read(file: Any) -> list[Any]:
    """The ratings in an uploaded file. Raises RavelError."""
    from core.listening import mushra

    return mushra.read_csv(file.getvalue(), file.name)


def show_summary(summary: Summary) -> None:
    """The conditions, best first, with their intervals."""
    from core.listening import mushra

    figure = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(
        [{COLUMNS[key]: row[key] for key in COLUMNS} for row in mushra.table(summary)],
        hide_index=True,
        column_config={name: figure for key, name in COLUMNS.items() if key.startswith("me")},
        alt="Mean and median rating of each rendering, with 95% intervals",
    )
    st.caption(" ".join(mushra.remarks(summary)))
