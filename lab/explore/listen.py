"""Blind listening tests: ABX and preference between two renderings; `mushra` has those of more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from core import service
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint, list_checkpoints
from core.service import Pair
from core.vocoder.play import GRIFFIN_LIM, PAPER, VOCODER
from lab import bundled
from lab.explore import mushra, tally
from lab.widgets import page, route, slot, switch

if TYPE_CHECKING:
    import numpy as np

    from core.listening.comparison import Kind, Round

MOST_ROUNDS = 50  # kept for a visitor
TRIALS = [5, 8, 10, 12, 16, 20, 25]
TESTS: dict[Kind, str] = {
    "ABX": "**ABX**: X is A or B, chosen at random for each trial. Which one is it? Guessing is "
    "right half of the time; being right more often shows an audible difference.",
    "Preference": "**Preference**: the two renderings are assigned to A and B at random for each "
    "trial. Which one do you prefer, without knowing which it is?",
}


CHOICES = [
    *(f"listen_{name}" for name in ("test", "compare", "trials", "other", "source", "target")),
    *mushra.CHOICES,
]


class Comparison(NamedTuple):
    """Two renderings, and whether they take a second recording to swap with."""

    description: str
    swaps: bool


class Request(NamedTuple):
    """A test to prepare; the second model and the second recording may be None."""

    kind: Kind
    what: str
    trials: int
    models: list[Checkpoint | None]
    clips: list[Clip | None]


COMPARISONS = {
    "Reconstruction": Comparison("The recording, and the model's reconstruction of it.", False),
    "Round trip": Comparison(
        "The recording, and its resynthesised log-mel: what is lost without any model.", False
    ),
    "Two models": Comparison(
        "The same swap by two models: source melody, target instrument.", True
    ),
    "Vocoder": Comparison(
        "The same swap by one model, resynthesised by the vocoder, a trained network, and by "
        "Griffin-Lim, which needs no training.",
        True,
    ),
    "Two routes": Comparison(
        "The same swap by one model, resynthesised by Griffin-Lim with a fit of the log-mel, and "
        "by the paper's route (least squares, then Griffin-Lim).",
        True,
    ),
}
state = st.session_state


@st.fragment
def show(checkpoint: Checkpoint) -> None:
    """A test in progress, or the result of the last one and the settings of the next."""
    rounds = state.setdefault("listening_rounds", [])
    place = st.empty()
    if request := state.pop("listening_request", None):
        with place:
            begin(request)
    if now := running():
        keep_choices()
        show_trial(now)
        return
    if mushra.running():
        keep_choices()
        mushra.show_trial(mushra.running())
        return
    if rounds:
        tally.show_result(rounds[-1])
        st.button(
            "Repeat this test",
            key="listen_again",
            icon=":material/replay:",
            on_click=repeat,
            args=(rounds[-1],),
        )
    prepare(checkpoint)
    if rounds:
        tally.list_rounds(rounds)


def running() -> Round | None:
    """The round in progress."""
    rounds = state.listening_rounds
    return rounds[-1] if rounds and not rounds[-1].finished else None


# -- settings ----------------------------------------------------------------------------------


def prepare(checkpoint: Checkpoint) -> None:
    """Choose what to compare, and start."""
    tests = [*TESTS, mushra.KIND]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = page.choice("listen", "Test", tests, "  \n".join([*TESTS.values(), mushra.ABOUT]))
    if kind == mushra.KIND:
        mushra.prepare(checkpoint)
        return
    kind = next(name for name in TESTS if name == kind)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        explained = (f"**{name}**: {one.description}" for name, one in COMPARISONS.items())
        what = page.choice("listen", "Compare", list(COMPARISONS), "  \n".join(explained))
        trials = st.selectbox(
            "Trials",
            TRIALS,
            TRIALS.index(10),
            key="listen_trials",
            bind="query-params",
            width=100,
            help="Choose this before you start; stopping early biases the result. More trials find "
            "smaller differences.",
        )
        other = choose_other(checkpoint) if what == "Two models" else None
    comparison = COMPARISONS[what]
    st.caption(comparison.description + required(kind, trials))
    rendered = service.corpus_of(checkpoint).startswith("dmelodies")
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
        on_click=start,
        args=(Request(kind, what, trials, [checkpoint, other], [source, target]),),
    )
    st.caption(
        "Both are cut to the same length and matched in loudness (ITU-R BS.1770) without clipping. "
        f"Use headphones. Examples: {bundled.instrument_credits()}."
    )


def choose_other(checkpoint: Checkpoint) -> Checkpoint | None:
    """The second model."""
    others = {one.name: one for one in list_checkpoints("dsae") if one.name != checkpoint.name}
    name = st.selectbox(
        "Second model",
        list(others),
        key="listen_other",
        width=200,
        disabled=not others,
        placeholder="There is no other model",
    )
    return others.get(name)


def required(kind: str, trials: int) -> str:
    """How many right answers show a difference in so many trials."""
    from core.listening.comparison import needed

    right = needed(trials)
    return f" {right} of {trials} right answers show a difference." if kind == "ABX" else ""


def start(request: Request) -> None:
    """Request a test; the page prepares it in its next run, where it can show a spinner."""
    state.listening_request = request


def begin(request: Request) -> None:
    """Make both renderings, match them and start a round of trials."""
    kind, what, trials, models, clips = request
    from core.listening.comparison import Round

    with page.show_errors(), st.spinner("Preparing both renderings"):
        renderings = render(what, models, clips)
        from core.audio.loudness import match

        state.listening_sounds = match(list(renderings.values()))
        used = [model for model in models if model] if what != "Round trip" else []
        about = {
            "comparison": what,
            "model": " and ".join(model.name for model in used),
            "recording": " by ".join(clip.name for clip in clips if clip),
        }
        first, second = renderings
        add(Round(kind, (first, second), trials, about))


def repeat(round: Round) -> None:
    """Start the same test once more."""
    from core.listening.comparison import Round

    add(Round(round.kind, round.names, round.planned, dict(round.about)))


def add(round: Round) -> None:
    """Start a round and note the time; the oldest is dropped when there are too many."""
    round.about["started"] = datetime.now(UTC).isoformat(timespec="seconds")
    state.listening_files = None
    state.listening_rounds = [*state.listening_rounds, round][-MOST_ROUNDS:]


def render(
    what: str, models: list[Checkpoint | None], clips: list[Clip | None]
) -> dict[str, np.ndarray]:
    """The two renderings [S] by name, each at its own level. Raises RavelError."""
    (model, other), (source, target) = models, clips
    assert model is not None and source is not None  # the button is disabled without them
    if what == "Round trip":
        return {"recording": source.wave, "round trip": play(service.log_mel(source))}
    if what == "Reconstruction":
        rebuilt = service.decoded(Pair(model, source, source), "source_reconstruction")
        return {"recording": source.wave, "reconstruction": play(rebuilt)}
    assert target is not None
    swapped = service.decoded(Pair(model, source, target), "swapped")
    if what == "Vocoder":
        return {
            "vocoder": play(swapped, VOCODER),
            "Griffin-Lim": play(swapped, GRIFFIN_LIM),
        }
    if what == "Two routes":
        return {
            "live route": play(swapped, GRIFFIN_LIM),
            "paper's route": play(swapped, PAPER),
        }
    assert other is not None
    by_other = service.decoded(Pair(other, source, target), "swapped")
    return {model.name: play(swapped), other.name: play(by_other)}


def play(log_mel: np.ndarray, by: str | None = None) -> np.ndarray:
    """A log-mel [T, 80] as a wave [S], by a route or by the one chosen on this page."""
    return service.waveform(log_mel, by or route.current())


# -- trials ------------------------------------------------------------------------------------


def keep_choices() -> None:
    """Keep the settings during the trials: Streamlit drops those of widgets that are not drawn."""
    for key in CHOICES:
        if key in state:
            state[key] = state[key]


def show_trial(round: Round) -> None:
    """One trial: its players and its answers."""
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
            "Stop and show the result" if number > 1 else "Stop",
            key="listen_stop",
            type="tertiary",
            on_click=stop,
            args=(round,),
        )


def question(round: Round) -> str:
    """The trial's question, which names only what the listener may know."""
    first, second = round.names
    if round.kind == "ABX":
        return (
            f"A: {first}. B: {second}. **X is one of them: which?** Play each as often as you like."
        )
    return (
        f"One is {first}, the other {second}, in random order for each trial. "
        "**Which do you prefer?** Play each as often as you like."
    )


def files(round: Round) -> dict[str, bytes]:
    """The WAV files behind the trial's letters, the same until it is answered."""
    from core.listening.comparison import disguised

    trial = len(round.answered)
    if not state.listening_files or state.listening_files[0] != trial:
        made = {
            letter: disguised(state.listening_sounds[i]) for letter, i in round.played().items()
        }
        state.listening_files = (trial, made)
    return state.listening_files[1]


def answer(round: Round, letter: str, number: int) -> None:
    """Take an answer to a trial; a second click on the same trial does not count."""
    if not round.finished and number == len(round.answered) + 1:
        round.answer(letter)


def stop(round: Round) -> None:
    """End a round early; without any answer it is discarded."""
    round.finished = True
    if not round.answered:
        state.listening_rounds = [one for one in state.listening_rounds if one is not round]
