"""A run as it is trained: how far, how well, what its worker says, and what can be done to it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.errors import RavelError
from core.training import launcher
from core.training.devices import gpus
from lab import runs
from lab.runs import Curves, Summary
from lab.widgets import player, run_chart
from lab.widgets.run_chart import Line

ALIVE_SECONDS, AT_REST_SECONDS = 2.0, 4.0  # between two looks
SOUND_SECONDS = 10.0
LOG_HEIGHT = 190
LOOKS = {
    "queued": ("blue", ":material/hourglass_top:"),
    "running": ("green", ":material/play_arrow:"),
    "stopping": ("orange", ":material/pending:"),
    "stopped": ("gray", ":material/pause:"),
    "finished": ("primary", ":material/check:"),
    "failed": ("red", ":material/error:"),
}
LOSS_HELP = (
    "**loss** is what training minimises, **reconstruction** its part that compares the rebuilt "
    "log-mel with the true one; **validation** is the criterion on clips it does not train on, "
    "which picks the best state. At the start of a stage the loss changes its meaning."
)
KL_HELP = (
    "How much the latents say, in KL divergence from their priors: of the global latent v and of "
    "the local latents z. A part that falls to nothing has collapsed: it carries no information."
)
SWAP_HELP = (
    "The terms that TS-DSAE adds in its second stage. After a global swap z must stay (z_gswap) "
    "and v must follow (v_gswap); after a local swap v must stay (v_lswap) and z follow (z_lswap)."
)
F1_HELP = (
    "How well the label is told from v of validation clips, as macro-F1: **f1_pre** with no swap, "
    "**f1_global** after v was swapped in from another label, **f1_local** after z was. "
    "All three near 1 is what we want; at chance, v carries no instrument."
)
ACTIVE_HELP = (
    "Dimensions of v and z that carry something on validation clips. None of v: global collapse. "
    "None of z: local collapse."
)
SOUND_HELP = (
    "Two validation clips of different labels, rebuilt from their own latents and with their "
    "global latents swapped, as the model did it at the step of the slider."
)
SPEED_HELP = "Optimisation steps a second, by the worker's own clock."


def badge(state: str) -> None:
    """A run's state as a coloured word."""
    colour, icon = LOOKS.get(state, ("gray", None))
    st.badge(state.capitalize(), color=colour, icon=icon)


def watch(name: str) -> None:
    """Draw a run that goes on, or has ended. What is wrong with it is said in its place."""
    try:
        about = runs.summary(name)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        badge(about.state)
        _actions(about)
    problem = st.session_state.pop("problem", None)
    if problem:
        st.error(problem, icon=":material/error:")
    every = ALIVE_SECONDS if about.alive else AT_REST_SECONDS
    st.fragment(_live, run_every=every)(name, about.state)
    st.fragment(_sounds, run_every=SOUND_SECONDS if about.alive else None)(name)


def _live(name: str, state: str) -> None:
    try:
        about = runs.summary(name)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    if about.state != state:
        st.rerun()  # what can be done to it has changed
    curves = runs.curves(name)
    _progress(about, curves)
    _figures(about, curves)
    _charts(about, curves)


def _progress(about: Summary, curves: Curves) -> None:
    step = _step(about, curves)
    pace = curves.pace() if about.state == "running" else None
    told = [f"Step {step:,} of {about.steps:,}"]
    told += [f"stage {about.stage}"] if about.stage else []
    told += [f"{runs.duration((about.steps - step) / pace)} left"] if pace else []
    st.progress(min(1.0, step / max(1, about.steps)), " · ".join(told))
    st.caption(_sentence(about))


def _step(about: Summary, curves: Curves) -> int:
    steps = curves.steps.get("train")
    latest = steps[-1] if steps and about.alive else 0  # the state is at most two seconds older
    return max(about.step, latest)


def _sentence(about: Summary) -> str:
    if about.state == "queued":
        busy = [r.name for r in runs.summaries() if r.device == about.device and r.at_work]
        return f"Waits for {about.device}: {busy[0]} is trained on it." if busy else "Starts."
    if about.state == "stopping":
        return "Asked to stop: it finishes its step, saves, and ends."
    if about.state == "running":
        return f"Trains on {about.device}{_load(about.device)}."
    ended = runs.ago(about.changed)
    if about.state == "failed":
        return f"{about.message[:1].upper()}{about.message[1:].rstrip('.')}. Last sign {ended}."
    why = about.message or about.state
    return f"{why[0].upper()}{why[1:]} {ended}."


@st.cache_data(ttl=2, max_entries=1, show_spinner=False)
def _gpus() -> list:
    return gpus()


def _load(device: str) -> str:
    if not device.startswith("cuda"):
        return ""
    for gpu in _gpus():
        if gpu.name == device and None not in (gpu.load, gpu.memory, gpu.free):
            used = gpu.memory - gpu.free
            return f" ({gpu.title}): load {gpu.load:.0f} %, {used:.1f} of {gpu.memory:.0f} GiB used"
    return ""


def _figures(about: Summary, curves: Curves) -> None:
    pace = curves.pace()
    shown = {
        "Validation": (curves.latest("validation", "criterion"), "{:.4g}", LOSS_HELP),
        "Swap F1": (curves.latest("validation", "f1_global"), "{:.2f}", F1_HELP),
        "Active v": (curves.latest("validation", "active_v"), "{:.0f}", ACTIVE_HELP),
        "Active z": (curves.latest("validation", "active_z"), "{:.0f}", ACTIVE_HELP),
        "Steps a second": (pace, "{:.3g}", SPEED_HELP),
    }
    sizes = {"Active v": "model.v_size", "Active z": "model.z_size"}
    for column, (label, (value, form, help)) in zip(
        st.columns(len(shown)), shown.items(), strict=True
    ):
        of = f" of {about.setting(sizes[label])}" if label in sizes else ""
        column.metric(label, "–" if value is None else form.format(value) + of, help=help)


def _charts(about: Summary, curves: Curves) -> None:
    def lines(kind: str, *names: str) -> list[Line]:
        return [Line(name, *curves.curve(kind, name), kind == "validation") for name in names]

    validated = Line("validation", *curves.curve("validation", "criterion"), marked=True)
    left, right = st.columns(2)
    losses = [*lines("train", "loss", "reconstruction"), validated]
    _chart(left, about, curves, "Loss", losses, LOSS_HELP, logarithmic=True)
    signals = lines("validation", "f1_pre", "f1_global", "f1_local")
    _chart(right, about, curves, "Swap F1", signals, F1_HELP, span=(-0.03, 1.05))
    kl = lines("train", "kl_v", "kl_z")
    _chart(left, about, curves, "KL by part", kl, KL_HELP, logarithmic=True)
    active = lines("validation", "active_v", "active_z")
    _chart(right, about, curves, "Active units", active, ACTIVE_HELP)
    if about.setting("objective.variant") == "ts-dsae":
        terms = lines("train", "z_gswap", "v_gswap", "v_lswap", "z_lswap")
        _chart(left, about, curves, "Swap terms", terms, SWAP_HELP, logarithmic=True)
    speed = lines("train", "steps_per_second")
    _chart(right, about, curves, "Throughput", speed, SPEED_HELP)
    st.markdown("**Log**", help="The end of log.txt in the run's folder.")
    with st.container(height=LOG_HEIGHT, autoscroll=True):
        said = runs.log_tail(about.name) or "Nothing yet, or it is printed where it was started."
        st.code(said, language=None, wrap_lines=True)


def _chart(
    place, about: Summary, curves: Curves, title: str, lines: list[Line], help: str, **options
) -> None:
    if title == "Throughput":
        lines = [Line("steps a second", *lines[0][1:])]
    drawn = run_chart.figure(lines, stages=curves.stages, same=about.name, **options)
    with place:
        run_chart.chart(
            title, drawn, key=f"{title}/{about.name}", help=help, alt=f"{title} of {about.name}"
        )


def _sounds(name: str) -> None:
    """What the model made of two validation clips, at every step that was kept."""
    found = runs.samples(name)
    if not found:
        return
    steps, key, seen = list(found), f"heard/{name}", f"seen/{name}"
    if st.session_state.get(key) in (None, st.session_state.get(seen)):
        st.session_state[key] = steps[-1]  # whoever listens to the latest goes on to the next
    st.session_state[seen] = steps[-1]
    st.markdown("**Sound through training**", help=SOUND_HELP)
    step = steps[0]
    if len(steps) > 1:
        step = st.select_slider(
            "Step", steps, key=key, format_func="{:,}".format, label_visibility="collapsed"
        )
    for column, file in zip(st.columns(len(found[step])), found[step], strict=True):
        with column:
            title = file.stem.split(" ", 1)[-1]
            st.caption(f"{title[0].upper()}{title[1:]}")
            player.player(file.read_bytes(), name=f"{title}, step {step}")
    player.one_at_a_time()


def _actions(about: Summary) -> None:
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if about.alive and about.state != "stopping":
            _button("Stop", "stop", about.name, launcher.stop, ":material/stop:", "primary")
        elif about.state == "stopping":
            if st.button("End it now", key="kill", icon=":material/dangerous:"):
                _ask_kill(about.name)
        elif about.state != "finished":
            _button("Resume", "resume", about.name, launcher.resume, ":material/resume:", "primary")
        st.button(
            "Clone with changes", key="clone", icon=":material/content_copy:",
            on_click=_clone, args=(about.name,),
        )  # fmt: skip
        if not about.alive and st.button("Delete", key="delete", icon=":material/delete:"):
            _ask_delete(about.name)
        st.page_link(
            "lab/pages/runs.py", label="Compare", icon=":material/table_chart:",
            query_params={"runs": about.name},
        )  # fmt: skip


def _button(
    label: str, key: str, name: str, action: Callable, icon: str, kind: str = "secondary"
) -> None:
    st.button(label, key=key, icon=icon, type=kind, on_click=_do, args=(action, name))


def _do(action: Callable, name: str) -> None:
    try:
        action(runs.find(name))
    except RavelError as error:
        st.session_state["problem"] = str(error)


def _clone(name: str) -> None:
    st.session_state["turn_to"] = None
    st.session_state["from"] = f"run {name}"


@st.dialog("End the process now?")
def _ask_kill(name: str) -> None:
    st.write(
        f"**{name}** was asked to stop, and will save and end by itself after its step or its "
        "validation. Ended now, it loses what it learnt since its last saved state; it can be "
        "resumed from there."
    )
    if st.button(
        "End it now", type="primary", key="kill_yes", on_click=_do, args=(launcher.kill, name)
    ):
        st.rerun()


@st.dialog("Delete this run?")
def _ask_delete(name: str) -> None:
    st.write(f"**{name}**, its metrics and its saved states are deleted for good.")
    if st.button("Delete", type="primary", key="delete_yes", on_click=_delete, args=(name,)):
        st.rerun()


def _delete(name: str) -> None:
    _do(launcher.delete, name)
    if name not in runs.names():
        st.session_state["turn_to"] = None
