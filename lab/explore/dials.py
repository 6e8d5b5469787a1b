"""Dials: every dimension of one clip's global latent as a slider, and the sound that follows."""

from __future__ import annotations

import math

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from lab.explore import data as live
from lab.explore.pictures import fill, in_words, offer_latents, scale
from lab.swap.data import log_mel, wav
from lab.widgets.cell import Cell

STEP = 0.05
LIMIT = 3  # standard deviations of the prior on each side
IN_A_ROW = 2
FEW = 4  # dials that are named beside a title
PRIOR = "prior mean"
ABOUT = "The first dials hold most: they are ordered by KL."
ORDER = (
    "Each dial is a dimension of v, in standard deviations of its prior N(0, 1), and starts at the "
    "clip's own value. The order is by how much the model writes into a dimension: the KL "
    "divergence of its posterior from the prior, in nats, averaged over the bundled recordings, "
    "so that it is the same for every clip."
)
state = st.session_state


def show(checkpoint: Checkpoint, clip: Clip, left: DeltaGenerator, right: DeltaGenerator) -> None:
    """The section: sounds on the left, dials on the right. Raises RavelError."""
    with right, st.spinner("Loading the model"):
        own = live.latents(checkpoint, clip).v.tolist()
        live.reach(checkpoint, clip)
        live.bank(checkpoint)
    _start(checkpoint, clip, own)
    with right:
        board(checkpoint, clip, left)


@st.fragment
def board(checkpoint: Checkpoint, clip: Clip, left: DeltaGenerator) -> None:
    """Dials, presets and the two sounds; a moved dial runs this alone."""
    bank, own = live.bank(checkpoint), live.latents(checkpoint, clip).v.tolist()
    limit = _limit(own, *bank.presets.values())
    _restore(own, limit)
    _tools(bank, own)
    with_use = [i for i in bank.order if not bank.collapsed[i]]
    without = [i for i in bank.order if bank.collapsed[i]]
    reach = live.reach(checkpoint, clip)
    _sliders(with_use, bank, own, reach, limit)
    if without:
        _collapsed(without, bank, own, reach, limit)
    with left, in_words():
        _sounds(checkpoint, clip, own)


def _start(checkpoint: Checkpoint, clip: Clip, own: list[float]) -> None:
    """Another clip or another model has values of its own: let go of what was set by hand."""
    now = (checkpoint.digest, clip.digest)
    if state.setdefault("dials_of", now) != now:
        state.dials_of, state.dials_preset = now, None
        st.query_params.pop("v", None)
        for i in range(len(own)):
            state.pop(_key(i), None)


def _restore(own: list[float], limit: int) -> None:
    """Give each slider its value: what it was, what the address says, or the clip's own."""
    asked = read(st.query_params.get("v", ""))
    for i, value in enumerate(own):
        if _key(i) not in state:
            wanted = asked.get(i, _notch(value))
            state[_key(i)] = _notch(min(max(wanted, -limit), limit))


def read(text: str) -> dict[int, float]:
    """What an address says of the dials, such as 15:1.2,2:-0.5; what makes no sense is left out."""
    found = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        try:
            i, number = int(name) - 1, float(value)
        except ValueError:
            continue
        if i >= 0 and math.isfinite(number):
            found[i] = number
    return found


def moved(own: list[float]) -> dict[int, float]:
    """The dials that do not stand at the clip's own values."""
    values = {i: state[_key(i)] for i in range(len(own)) if _key(i) in state}
    return {i: value for i, value in values.items() if abs(value - _notch(own[i])) > STEP / 2}


def _key(i: int) -> str:
    return f"dial_{i + 1}"


def _notch(value: float) -> float:
    return round(round(value / STEP) * STEP, 2)


def _limit(*sets: list[float]) -> int:
    return max(LIMIT, *(math.ceil(abs(value)) for values in sets for value in values))


def _heed(own: list[float]) -> None:
    """After a dial was moved: keep the address, and play if that is wanted."""
    found = moved(own)
    if found:
        st.query_params["v"] = ",".join(f"{i + 1}:{value:g}" for i, value in found.items())
    else:
        st.query_params.pop("v", None)
    state.dials_play = state.get("autoplay", False)


def _by_hand(own: list[float]) -> None:
    state.dials_preset = None
    _heed(own)


def _set_all(values: list[float], own: list[float]) -> None:
    for i, value in enumerate(values):
        state[_key(i)] = _notch(value)
    _heed(own)


def _take_preset(bank: live.Bank, own: list[float]) -> None:
    name = state.dials_preset
    _set_all([0.0] * len(own) if name == PRIOR else bank.presets.get(name, own), own)


def _reset(own: list[float]) -> None:
    state.dials_preset = None
    _set_all(own, own)


def _tools(bank: live.Bank, own: list[float]) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.pills(
            "Set all dials to",
            [*bank.presets, PRIOR],
            key="dials_preset",
            wrap=True,
            on_change=_take_preset,
            args=(bank, own),
            help="The mean v of the bundled recordings of an instrument, or of the prior: 0 in "
            "every dimension.",
        )
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.toggle(
                "Play when a dial moves",
                key="autoplay",
                persist_state="session",
                width="content",
            )
            st.button(
                "Back to the clip's own",
                key="dials_reset",
                icon=":material/undo:",
                on_click=_reset,
                args=(own,),
                disabled=not moved(own),
            )


def _sliders(
    dims: list[int], bank: live.Bank, own: list[float], reach: list[float], limit: int
) -> None:
    turned = moved(own)
    for first in range(0, len(dims), IN_A_ROW):
        for column, i in zip(st.columns(IN_A_ROW), dims[first : first + IN_A_ROW], strict=False):
            name = f":gray[v {i + 1}]" if bank.collapsed[i] else f"**v {i + 1}**"
            name = f":primary[**v {i + 1}**]" if i in turned else name
            column.slider(
                f"{name} :gray[own {_signed(own[i])}, KL {bank.kl[i]:.2f}]",
                -float(limit),
                float(limit),
                step=STEP,
                key=_key(i),
                on_change=_by_hand,
                args=(own,),
                help=f"From −2 to +2 this dial changes the clip's sound by {reach[i]:.2f} dB, on "
                f"average over time and mel bands. Its KL is {bank.kl[i]:.3f} nats.",
            )


def _collapsed(
    dims: list[int], bank: live.Bank, own: list[float], reach: list[float], limit: int
) -> None:
    everything = len(dims) == len(own)
    most = max(reach[i] for i in dims)
    if everything:
        st.warning(
            f"None of the {len(own)} dimensions of v holds anything: the largest KL is "
            f"{max(bank.kl):.4f} nats. Turn what you like, the sound stays.",
            title="This model's global latent has collapsed",
            icon=":material/blur_off:",
        )
    title = f"Collapsed: {len(dims)} of {len(own)} dimensions do nothing"
    with st.expander(title, icon=":material/blur_off:", expanded=everything):
        st.caption(
            "The posterior of these dimensions is the prior, whatever the clip: a KL of 0.02 nats "
            f"or less. From −2 to +2 none of them changes the sound by more than {most:.2f} dB."
        )
        _sliders(dims, bank, own, reach, limit)


def _sounds(checkpoint: Checkpoint, clip: Clip, own: list[float]) -> None:
    from core.dsae import edits

    turned = moved(own)
    made = live.latents(checkpoint, clip)
    if turned:
        made = edits.turn(made, turned)
    sound = live.render(checkpoint, made)
    names = ", ".join(f"v {i + 1}" for i in live.bank(checkpoint).order if i in turned)
    original = Cell("dials_clip", "The clip")
    result = Cell(
        "dials_result",
        "As the dials say" if turned else "Rebuilt from its own latents",
        names if len(turned) <= FEW else f"{len(turned)} dials moved",
    )
    original.log_mel = log_mel(clip)
    shared = scale([original.log_mel])
    original.draw(shared)
    original.play(wav(clip))
    name = f"{clip.name}-{'dials' if turned else 'rebuilt'}-{checkpoint.name}"
    play = bool(state.pop("dials_play", False))
    fill(result, sound, shared, f"{name}.wav", autoplay=play)
    offer_latents(made.to_npz, f"{name}.npz", key="dials_latents")


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")  # no -0.00
