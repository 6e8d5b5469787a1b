"""Dials: each dimension of a clip's global latent as a slider, and the resulting sound."""

from __future__ import annotations

import math

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import service
from core.audio.clip import Clip
from core.checkpoints.checkpoint import Checkpoint
from lab.explore.data import Dimensions, dimensions
from lab.explore.sounds import fill, offer_latents, scale
from lab.widgets import page, route, sound_view
from lab.widgets.cell import Cell

STEP = 0.05
LIMIT = 3  # standard deviations of the prior on each side
IN_A_ROW = 2
NAMED = 4  # moved dials are named in the title up to this number
PRIOR = "prior mean"
GROUP = "dials"  # its sounds have one transport
ABOUT = "The dials that change the sound most come first."
ORDER = (
    "Each dial is a dimension of v, in standard deviations of its prior N(0, 1), and starts at the "
    "clip's own value. Beside it stands by how many dB it changes this clip's log-mel from −2 to "
    "+2. They are ordered by the same figure of a violin and a trumpet, so the order is the same "
    "for every clip."
)
EQUALISER = (
    "What a recording's spectrum has beyond v, such as its room and microphone: a gain for each "
    "band, as a sum of cosines over the mel scale. **EQ 0** is the level, **EQ 1** bass against "
    "treble; higher numbers shape ever narrower bands. A dial's unit is 4.3 dB."
)
state = st.session_state


def show(checkpoint: Checkpoint, clip: Clip, left: DeltaGenerator, right: DeltaGenerator) -> None:
    """The section: sounds on the left, dials on the right. Raises RavelError."""
    with right, st.spinner("Loading the model"):
        own = service.latents(checkpoint, clip).v.tolist()
        service.reach(checkpoint, clip)
        dimensions(checkpoint)
    _start(checkpoint, clip, own)
    with right:
        board(checkpoint, clip, left)


@st.fragment
def board(checkpoint: Checkpoint, clip: Clip, left: DeltaGenerator) -> None:
    """Dials, presets and the two sounds; a moved dial reruns only this part of the page."""
    facts, own = dimensions(checkpoint), service.latents(checkpoint, clip).v.tolist()
    limit = _limit(own, *facts.presets.values())
    _restore(own, limit)
    _tools(facts, own)
    in_use, collapsed, equaliser = facts.split()
    reach = service.reach(checkpoint, clip)
    _sliders(in_use, facts, own, reach, limit)
    if equaliser:
        with st.expander(f"Equaliser: {len(equaliser)} dials", icon=":material/equalizer:"):
            st.caption(EQUALISER)
            _sliders(equaliser, facts, own, reach, limit)
    if collapsed:
        _collapsed(collapsed, facts, own, reach, limit)
    with left, page.show_errors():
        _sounds(checkpoint, clip, own)


def _start(checkpoint: Checkpoint, clip: Clip, own: list[float]) -> None:
    """Discard the dials' settings when the clip or the model has changed."""
    now = (checkpoint.digest, clip.digest)
    if state.setdefault("dials_of", now) != now:
        state.dials_of, state.dials_preset = now, None
        st.query_params.pop("v", None)
        for i in range(len(own)):
            state.pop(_key(i), None)


def _restore(own: list[float], limit: int) -> None:
    """Set each new slider to the address's value, else to the clip's own."""
    from_address = read(st.query_params.get("v", ""))
    for i, value in enumerate(own):
        if _key(i) not in state:
            wanted = from_address.get(i, _notch(value))
            state[_key(i)] = _notch(min(max(wanted, -limit), limit))


def read(text: str) -> dict[int, float]:
    """The dials in an address, such as 15:1.2,2:-0.5, by dimension from 0; invalid ones are left
    out."""
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
    """The dials that are not at the clip's own values."""
    values = {i: state[_key(i)] for i in range(len(own)) if _key(i) in state}
    return {i: value for i, value in values.items() if abs(value - _notch(own[i])) > STEP / 2}


def _key(i: int) -> str:
    return f"dial_{i + 1}"


def _notch(value: float) -> float:
    return round(round(value / STEP) * STEP, 2)


def _limit(*sets: list[float]) -> int:
    return max(LIMIT, *(math.ceil(abs(value)) for values in sets for value in values))


def _on_move(own: list[float]) -> None:
    """After a dial was moved: update the address, and play if that is on."""
    found = moved(own)
    if found:
        st.query_params["v"] = ",".join(f"{i + 1}:{value:g}" for i, value in found.items())
    else:
        st.query_params.pop("v", None)
    state.dials_play = state.get("autoplay", False)


def _by_hand(own: list[float]) -> None:
    state.dials_preset = None
    _on_move(own)


def _set_all(values: list[float], own: list[float]) -> None:
    for i, value in enumerate(values):
        state[_key(i)] = _notch(value)
    _on_move(own)


def _take_preset(facts: Dimensions, own: list[float]) -> None:
    name = state.dials_preset
    _set_all([0.0] * len(own) if name == PRIOR else facts.presets.get(name, own), own)


def _reset(own: list[float]) -> None:
    state.dials_preset = None
    _set_all(own, own)


def _tools(facts: Dimensions, own: list[float]) -> None:
    with page.row("bottom"):
        st.pills(
            "Set all dials to",
            [*facts.presets, PRIOR],
            key="dials_preset",
            wrap=True,
            on_change=_take_preset,
            args=(facts, own),
            help="The mean v of an instrument's bundled recordings, or of the prior, which is 0 in "
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
                "Reset to the clip",
                key="dials_reset",
                icon=":material/undo:",
                on_click=_reset,
                args=(own,),
                disabled=not moved(own),
            )


def _sliders(
    dims: list[int], facts: Dimensions, own: list[float], reach: list[float], limit: int
) -> None:
    turned = moved(own)
    for first in range(0, len(dims), IN_A_ROW):
        for column, i in zip(st.columns(IN_A_ROW), dims[first : first + IN_A_ROW], strict=False):
            plain = facts.name(i)
            name = f":gray[{plain}]" if facts.collapsed[i] else f"**{plain}**"
            name = f":primary[**{plain}**]" if i in turned else name
            column.slider(
                f"{name} :gray[own {_signed(own[i])}, {reach[i]:.1f} dB]",
                -float(limit),
                float(limit),
                step=STEP,
                key=_key(i),
                on_change=_by_hand,
                args=(own,),
                help=f"From −2 to +2 this dial changes the clip's log-mel by {reach[i]:.2f} dB, "
                f"averaged over time and mel bands. Its KL is {facts.kl[i]:.3f} nats.",
            )


def _collapsed(
    dims: list[int], facts: Dimensions, own: list[float], reach: list[float], limit: int
) -> None:
    everything = len(dims) == len(own)
    most = max(reach[i] for i in dims)
    if everything:
        st.warning(
            f"None of the {len(own)} dimensions of v carries information: the largest KL is "
            f"{max(facts.kl):.4f} nats. These dials do not change the sound.",
            title="This model's global latent has collapsed",
            icon=":material/blur_off:",
        )
    title = f"Collapsed: {len(dims)} of {len(own)} dimensions do nothing"
    with st.expander(title, icon=":material/blur_off:", expanded=everything):
        st.caption(
            "For every clip, the posterior of these dimensions is the prior (KL of 0.02 nats or "
            f"less). From −2 to +2, none of them changes the log-mel by more than {most:.2f} dB."
        )
        _sliders(dims, facts, own, reach, limit)


def _sounds(checkpoint: Checkpoint, clip: Clip, own: list[float]) -> None:
    from core.dsae import edits

    turned = moved(own)
    made = service.latents(checkpoint, clip)
    if turned:
        made = edits.turn(made, turned)
    sound = service.render(checkpoint, made, route.current())
    facts = dimensions(checkpoint)
    names = ", ".join(facts.name(i) for i in facts.order if i in turned)
    sound_view.bar(GROUP, difference=("dials_result", "dials_clip"))
    original = Cell("dials_clip", "The clip", group=GROUP)
    result = Cell(
        "dials_result",
        "With the dials moved" if turned else "Rebuilt from its own latents",
        names if len(turned) <= NAMED else f"{len(turned)} dials moved",
        group=GROUP,
        short="With the dials" if turned else "Rebuilt",
    )
    log_mel = original.log_mel = service.log_mel(clip)
    shared = scale([log_mel])
    original.draw(shared)
    original.play(service.wav(clip))
    name = f"{clip.name}-{'dials' if turned else 'rebuilt'}-{checkpoint.name}"
    play = bool(state.pop("dials_play", False))
    fill(result, sound, shared, f"{name}.wav", autoplay=play)
    offer_latents(made.to_npz, f"{name}.npz", key="dials_latents")


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")  # no -0.00
