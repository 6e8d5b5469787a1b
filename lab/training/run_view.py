"""A run while it is trained: progress, figures, the worker's log, and actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from core.errors import RavelError
from core.training import launcher
from core.training.devices import gpus, places, resolve
from lab.training import charts, runs, samples
from lab.training.curves import Curves
from lab.training.runs import Summary

ALIVE_SECONDS, AT_REST_SECONDS = 2.0, 4.0  # between two updates
SAMPLE_SECONDS = 10.0
LOG_HEIGHT = 190
Kind = Literal["primary", "secondary"]
Colour = Literal["blue", "green", "orange", "gray", "primary", "red"]
LOOKS: dict[str, tuple[Colour, str]] = {
    "queued": ("blue", ":material/hourglass_top:"),
    "running": ("green", ":material/play_arrow:"),
    "stopping": ("orange", ":material/pending:"),
    "stopped": ("gray", ":material/pause:"),
    "finished": ("primary", ":material/check:"),
    "failed": ("red", ":material/error:"),
}


def badge(state: str) -> None:
    """A run's state as a coloured word."""
    colour, icon = LOOKS.get(state, ("gray", ""))
    st.badge(state.capitalize(), color=colour, icon=icon or None)


def watch(name: str) -> None:
    """Draw a run, live or ended. Errors are shown in its place."""
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
    st.fragment(samples.draw, run_every=SAMPLE_SECONDS if about.alive else None)(name)


def _live(name: str, state: str) -> None:
    try:
        about = runs.summary(name)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    if about.state != state:
        st.rerun()  # its actions have changed
    curves = runs.curves(name)
    _progress(about, curves)
    charts.headline(about, curves)
    charts.charts(about, curves)
    _log(name)


def _progress(about: Summary, curves: Curves) -> None:
    step = _step(about, curves)
    speed = curves.steps_per_second() if about.state == "running" else None
    parts = [f"Step {step:,} of {about.steps:,}"]
    parts += [f"stage {about.stage}"] if about.stage else []
    parts += [f"{runs.duration((about.steps - step) / speed)} left"] if speed else []
    st.progress(min(1.0, step / max(1, about.steps)), " · ".join(parts))
    st.caption(_sentence(about))


def _step(about: Summary, curves: Curves) -> int:
    steps = curves.steps.get("train")
    latest = steps[-1] if steps and about.alive else 0  # the state is at most two seconds older
    return max(about.step, latest)


def _sentence(about: Summary) -> str:
    if about.state == "queued" and about.job:
        return f"Waiting for its turn as a job ({about.job.title()})."
    if about.state == "queued":
        wanted = set(about.devices)
        busy = [r.name for r in runs.summaries() if wanted & set(r.devices) and r.at_work]
        return f"Waiting for {about.device}: {busy[0]} is using it." if busy else "Starting."
    if about.state == "stopping":
        return "Stopping: it finishes its step, saves, and ends."
    if about.state == "running":
        several = f", with {about.processes} processes" if about.processes > 1 else ""
        return f"Training on {about.device}{several}{_load(about.device)}."
    ended = runs.ago(about.changed)
    if about.state == "failed":
        return f"{about.message[:1].upper()}{about.message[1:].rstrip('.')}. Last active {ended}."
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


def _log(name: str) -> None:
    st.markdown("**Log**", help="The end of log.txt in the run's folder.")
    with st.container(height=LOG_HEIGHT, autoscroll=True):
        log = runs.log_tail(name) or "Empty, or printed in the terminal that started the run."
        st.code(log, language=None, wrap_lines=True)


def _actions(about: Summary) -> None:
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        if about.alive and about.state != "stopping":
            _button("Stop", "stop", about.name, launcher.stop, ":material/stop:", "primary")
        elif about.state == "stopping":
            if st.button("End it now", key="kill", icon=":material/dangerous:"):
                _ask_kill(about.name)
        elif about.state != "finished":
            _resume(about)
        st.button(
            "Clone with changes", key="clone", icon=":material/content_copy:",
            on_click=_clone, args=(about,),
        )  # fmt: skip
        if not about.alive and st.button("Delete", key="delete", icon=":material/delete:"):
            _ask_delete(about.name)
        st.page_link(
            "lab/pages/runs.py", label="Compare", icon=":material/table_chart:",
            query_params={"runs": about.name},
        )  # fmt: skip


def _resume(about: Summary) -> None:
    """Resume on the same device, or on another where there are several."""
    devices = places()
    place: tuple[str, int] | None = (
        resolve(str(about.setting("training.device", "auto"))),
        about.processes,
    )
    if len(devices) > 1:
        options = list(devices)
        place = st.selectbox(
            "Resume on",
            options,
            index=options.index(place) if place in options else 0,
            format_func=devices.__getitem__,
            key=f"place/{about.name}",
            label_visibility="collapsed",
            width=220,
        )
    _button("Resume", "resume", about.name, launcher.resume, ":material/resume:", "primary", place)


def _button(
    label: str, key: str, name: str, action: Callable, icon: str, kind: Kind, *given: Any
) -> None:
    st.button(label, key=key, icon=icon, type=kind, on_click=_do, args=(action, name, *given))


def _do(action: Callable, name: str, *given: Any) -> None:
    try:
        action(runs.find(name), *given)
    except RavelError as error:
        st.session_state["problem"] = str(error)


def _clone(about: Summary) -> None:
    st.session_state["turn_to"] = None
    st.session_state["system"], st.session_state["from"] = about.system, f"run {about.name}"


@st.dialog("End the process now?")
def _ask_kill(name: str) -> None:
    st.write(
        f"**{name}** was asked to stop: it will save and end after its current step or "
        "validation. If you end it now, training since its last saved state is lost; it can be "
        "resumed from there."
    )
    if st.button(
        "End it now", type="primary", key="kill_yes", on_click=_do, args=(launcher.kill, name)
    ):
        st.rerun()


@st.dialog("Delete this run?")
def _ask_delete(name: str) -> None:
    st.write(f"**{name}**, its metrics and its saved states will be deleted permanently.")
    if st.button("Delete", type="primary", key="delete_yes", on_click=_delete, args=(name,)):
        st.rerun()


def _delete(name: str) -> None:
    _do(launcher.delete, name)
    if name not in runs.names():
        st.session_state["turn_to"] = None
