"""Blind listening between two renderings of the same thing: ABX and preference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.errors import RavelError
from core.vocoder.play import GRIFFIN_LIM, PAPER, VOCODER, play
from lab import bundled
from lab.explore import tally
from lab.swap import data as live
from lab.widgets import played, slot, switch

if TYPE_CHECKING:
    import numpy as np

    from core.listening import Round

KEPT = 50  # rounds of a visitor
TRIALS = [5, 8, 10, 12, 16, 20, 25]
TESTS = {
    "ABX": "**ABX**: X is A or B, drawn by chance for each trial. Say which. Guessing is right "
    "half of the time; who is right more often hears a difference.",
    "Preference": "**Preference**: which of the two plays as A is drawn by chance for each trial. "
    "Say which one you like better, without knowing what it is.",
}


CHOICES = [f"listen_{name}" for name in ("test", "compare", "trials", "other", "source", "target")]


class Comparison(NamedTuple):
    """Two renderings: what they tell, and whether they take a second recording to swap with."""

    says: str
    swaps: bool


class Wanted(NamedTuple):
    """A test that was asked for; the second model and the second recording may be None."""

    kind: str
    what: str
    trials: int
    models: list[Checkpoint | None]
    clips: list[Clip | None]


COMPARISONS = {
    "Reconstruction": Comparison("The recording, and the model's reconstruction of it.", False),
    "Round trip": Comparison(
        "The recording, and its log-mel made audible again: what is lost before any model.", False
    ),
    "Two models": Comparison(
        "The same swap by two models: source melody, target instrument.", True
    ),
    "Vocoder": Comparison(
        "The same swap by one model, made audible by the vocoder, a network trained for it, and by "
        "Griffin-Lim, which needs no training.",
        True,
    ),
    "Two routes": Comparison(
        "The same swap by one model, made audible by Griffin-Lim with a fit of the log-mel, and by "
        "the paper's route (least squares, then Griffin-Lim).",
        True,
    ),
}
state = st.session_state


@st.fragment
def show(checkpoint: Checkpoint) -> None:
    """A test in progress, or the result of the last one and the way to the next."""
    rounds = state.setdefault("listening_rounds", [])
    place = st.empty()
    if wanted := state.pop("listening_wanted", None):
        with place:
            begin(wanted)
    if now := running():
        keep_choices()
        ask(now)
        return
    if rounds:
        tally.tell(rounds[-1])
        st.button(
            "The same again",
            key="listen_again",
            icon=":material/replay:",
            on_click=again,
            args=(rounds[-1],),
        )
    prepare(checkpoint)
    if rounds:
        tally.list_rounds(rounds)


def running() -> Round | None:
    """The round in progress."""
    rounds = state.listening_rounds
    return rounds[-1] if rounds and not rounds[-1].finished else None


# -- before ------------------------------------------------------------------------------------


def prepare(checkpoint: Checkpoint) -> None:
    """Choose what to compare, and begin."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = choose("Test", list(TESTS), "  \n".join(TESTS.values()))
        explained = (f"**{name}**: {one.says}" for name, one in COMPARISONS.items())
        what = choose("Compare", list(COMPARISONS), "  \n".join(explained))
        trials = st.selectbox(
            "Trials",
            TRIALS,
            TRIALS.index(10),
            key="listen_trials",
            bind="query-params",
            width=100,
            help="How many, decided beforehand: who stops when it looks good finds something in "
            "everything. More trials find smaller differences.",
        )
        other = choose_other(checkpoint) if what == "Two models" else None
    comparison = COMPARISONS[what]
    st.caption(comparison.says + enough(kind, trials))
    rendered = live.corpus(checkpoint).startswith("dmelodies")
    violin, trumpet = list(slot.rendered()) if rendered else ("violin-1", "trumpet-1")
    left, right = st.columns(2)
    with left:
        title = "Source" if comparison.swaps else "Recording"
        source = slot.slot("listen_source", title, default=violin)
    target = None
    if comparison.swaps:
        with right:
            target = slot.slot("listen_target", "Target", default=trumpet)
    ready = source and (target or not comparison.swaps) and (other or what != "Two models")
    st.button(
        "Begin",
        type="primary",
        icon=":material/hearing:",
        key="listen_begin",
        disabled=not ready,
        on_click=want,
        args=(Wanted(kind, what, trials, [checkpoint, other], [source, target]),),
    )
    st.caption(
        "Both are cut to one length and brought to one loudness (ITU-R BS.1770) without clipping. "
        f"Use headphones. Examples: {bundled.instrument_credits()}."
    )


def choose(label: str, options: list[str], says: str) -> str:
    """A choice between a few, kept in the address."""
    return st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        key=f"listen_{label.lower()}",
        bind="query-params",
        width="content",
        help=says,
    )


def choose_other(checkpoint: Checkpoint) -> Checkpoint | None:
    """The second model."""
    known = {one.name: one for one in list_checkpoints("dsae") if one.name != checkpoint.name}
    name = st.selectbox(
        "Second model",
        list(known),
        key="listen_other",
        width=200,
        disabled=not known,
        placeholder="There is no other model",
    )
    return known.get(name)


def enough(kind: str, trials: int) -> str:
    """What it takes to show something with so many trials."""
    from core.listening import needed

    right = needed(trials)
    return f" It takes {right} of {trials} right to show a difference." if kind == "ABX" else ""


def want(wanted: Wanted) -> None:
    """Ask for a test; it is prepared where the page can say so."""
    state.listening_wanted = wanted


def begin(wanted: Wanted) -> None:
    """Make both renderings, match them and start a round of trials."""
    kind, what, trials, models, clips = wanted
    from core.listening import Round

    try:
        with st.spinner("Preparing both renderings"):
            renderings = render(what, models, clips)
            from core.audio.loudness import match

            state.listening_sounds = match(list(renderings.values()))
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    used = [model for model in models if model] if what != "Round trip" else []
    about = {
        "comparison": what,
        "model": " and ".join(model.name for model in used),
        "recording": " by ".join(clip.name for clip in clips if clip),
    }
    add(Round(kind, tuple(renderings), trials, about))


def again(round: Round) -> None:
    """The same two renderings once more, for as many trials."""
    from core.listening import Round

    add(Round(round.kind, round.names, round.planned, dict(round.about)))


def add(round: Round) -> None:
    """Start a round, its time noted; the oldest is forgotten when there are too many."""
    round.about["started"] = datetime.now(UTC).isoformat(timespec="seconds")
    state.listening_files = None
    state.listening_rounds = [*state.listening_rounds, round][-KEPT:]


def render(
    what: str, models: list[Checkpoint | None], clips: list[Clip | None]
) -> dict[str, np.ndarray]:
    """The two renderings [S] by name, each at its own level. Raises RavelError."""
    (model, other), (source, target) = models, clips
    if what == "Round trip":
        return {"recording": source.wave, "round trip": heard(live.log_mel(source))}
    if what == "Reconstruction":
        rebuilt = live.made(live.Pair(model, source, source), "source_reconstruction")
        return {"recording": source.wave, "reconstruction": heard(rebuilt)}
    swapped = live.made(live.Pair(model, source, target), "swapped")
    if what == "Vocoder":
        return {
            "vocoder": heard(swapped, VOCODER),
            "Griffin-Lim": heard(swapped, GRIFFIN_LIM),
        }
    if what == "Two routes":
        return {
            "live route": heard(swapped, GRIFFIN_LIM),
            "paper's route": heard(swapped, PAPER),
        }
    by_other = live.made(live.Pair(other, source, target), "swapped")
    return {model.name: heard(swapped), other.name: heard(by_other)}


def heard(log_mel: np.ndarray, way: str | None = None) -> np.ndarray:
    """A log-mel [T, 80] as a wave [S], played in a way, or as was chosen on this page."""
    return play(log_mel, way or played.now()).numpy()


# -- meanwhile ---------------------------------------------------------------------------------


def keep_choices() -> None:
    """Let what was chosen outlive the trials, during which the choices are not drawn."""
    for key in CHOICES:
        if key in state:
            state[key] = state[key]


def ask(round: Round) -> None:
    """One trial: hear, and answer."""
    number = len(round.answered) + 1
    st.progress((number - 1) / round.planned, f"**Trial {number} of {round.planned}**")
    st.caption(question(round))
    switch.show(files(round), key="listen_switch")
    with st.container(horizontal=True, horizontal_alignment="center"):
        for letter in "AB":
            st.button(
                f"X is {letter}" if round.kind == "ABX" else f"I prefer {letter}",
                key=f"listen_answer_{letter}",
                type="primary",
                shortcut=letter,
                on_click=answer,
                args=(round, letter, number),
            )
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button(
            "Stop and see the tally" if number > 1 else "Stop",
            key="listen_stop",
            type="tertiary",
            on_click=stop,
            args=(round,),
        )


def question(round: Round) -> str:
    """What the trial asks, naming what may be known."""
    first, second = round.names
    if round.kind == "ABX":
        return (
            f"A: {first}. B: {second}. **X is one of them: which?** Hear each as often as you like."
        )
    return (
        f"One is {first}, the other {second}, in an order drawn anew for each trial. "
        "**Which do you prefer?** Hear each as often as you like."
    )


def files(round: Round) -> dict[str, bytes]:
    """What the trial's letters sound like: files made for this trial, the same until answered."""
    from core.listening import disguised

    trial = len(round.answered)
    if not state.listening_files or state.listening_files[0] != trial:
        made = {
            letter: disguised(state.listening_sounds[i]) for letter, i in round.played().items()
        }
        state.listening_files = (trial, made)
    return state.listening_files[1]


def answer(round: Round, letter: str, number: int) -> None:
    """Take an answer to a trial; a second one, of an impatient click, is none."""
    if not round.finished and number == len(round.answered) + 1:
        round.answer(letter)


def stop(round: Round) -> None:
    """End a round before its time; without an answer it never was."""
    round.finished = True
    if not round.answered:
        state.listening_rounds = [one for one in state.listening_rounds if one is not round]
