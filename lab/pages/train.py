"""Train: start a run and watch it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import streamlit as st

from core import registry
from core.checkpoints.card import train_command
from core.checkpoints.checkpoint import list_checkpoints
from core.errors import RavelError
from core.service import fitting
from core.training import launcher
from core.training.config import RunConfig, merge
from core.training.devices import places, resolve
from core.training.estimate import PROBE_STEPS, Timing, from_runs, measure
from core.training.run import Run
from lab.training import runs
from lab.training.form import changed, form
from lab.training.run_view import badge, watch
from lab.widgets import corpus

ABOUT = (
    "A **run** is a folder under runs/, trained in a separate process: you can close this page or "
    "restart the lab meanwhile. Runs can be stopped, resumed and exported here and on the command "
    "line alike."
)
CHOSEN_APART = ("data.store", "training.device", "training.processes")


def pick_system() -> str:
    """Choose the system to train."""
    return st.selectbox(
        "System",
        list(registry.systems()),
        format_func=lambda name: registry.get(name).title,
        key="system",
        bind="query-params",
        help=" ".join(system.summary for system in registry.systems().values()),
    )


def starting_points(system: str) -> dict[str, dict[str, Any]]:
    """The configs a new run can start from: presets, checkpoints to fine-tune, earlier runs."""
    presets = registry.get(system).presets
    points = {f"preset {name}": {**presets[name], "system": system} for name in preferred(presets)}
    for checkpoint in list_checkpoints(system):
        with suppress(RavelError):  # a damaged one is not offered
            points[f"fine-tune {checkpoint.name}"] = fitting.fine_tuning(checkpoint)
    for about in runs.summaries():
        if about.system == system:
            points[f"run {about.name}"] = about.config
    return points


def preferred(presets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The presets by their number of steps: a first try needs a short one."""
    return sorted(presets, key=lambda name: presets[name].get("training", {}).get("steps", 1e9))


def pick_corpus(base: RunConfig) -> str:
    """Choose a feature store: one under data/, or any path."""
    corpus.choose_new(f"corpus_{base.system}", runs.store_path)
    found = runs.stores()
    options = list(dict.fromkeys([*found, base.data.store]))
    return st.selectbox(
        "Corpus",
        options,
        index=options.index(base.data.store if base.data.store in found else options[0]),
        format_func=lambda path: f"{path} ({found[path]})" if path in found else path,
        accept_new_options=True,
        key=f"corpus_{base.system}",
        bind="query-params",
        help="A feature store: a folder of log-mels and labels, built by `python -m core data`. "
        "Lists those under data/; type the path of any other.",
    )


def pick_place(base: RunConfig) -> tuple[str, int]:
    """Choose the device and the number of processes: the CPU, one GPU, or all GPUs."""
    devices = places()
    wanted = resolve(base.training.device), base.training.processes
    options = list(devices)
    return st.selectbox(
        "Device",
        options,
        index=options.index(wanted) if wanted in options else 0,
        format_func=devices.__getitem__,
        key="device",
        help="A device trains one run at a time; the others wait in a queue. Several processes "
        "share each batch: faster with a GPU for each, on a CPU only with cores to spare.",
    )


def estimate(config: RunConfig) -> None:
    """Show how long training will take, and which measurement says so."""
    values = config.model_dump()
    key = json.dumps(values, sort_keys=True)
    stages = {config.stage(0), config.stage(config.training.steps - 1)}
    measured = st.session_state.get("measured", (None, None))
    timing = (
        measured[1] if measured[0] == key else comparable(key, tuple(runs.names()), tuple(stages))
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if timing:
            seconds = timing.seconds(values, config.stage)
            st.markdown(
                f"**About {runs.duration(seconds)}** "
                f":gray[for {config.training.steps:,} steps, estimated from {timing.source}.]",
                width="content",
            )
        else:
            st.caption("No comparable run yet. Measure to estimate the time.")
        if st.button(
            "Measure",
            key="measure",
            type="tertiary",
            icon=":material/timer:",
            help="Times a few training steps of each stage and a validation, in its own process.",
        ):
            try:
                with st.spinner("Measuring"):
                    timing = measure(values, config.shortened(PROBE_STEPS))
                st.session_state["measured"] = (key, timing)
                st.rerun()
            except RavelError as error:
                st.error(str(error), icon=":material/error:")


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def comparable(key: str, names: tuple[str, ...], stages: tuple[str, ...]) -> Timing | None:
    """The speed of an earlier comparable run, if there is one."""
    return from_runs(json.loads(key), [Run(runs.path(name)) for name in names], set(stages))


def start(config: RunConfig, name: str) -> str:
    """Create the run, start its process, and return its name. Raises RavelError."""
    if name:
        return launcher.start(runs.FOLDER / name, config.model_dump()).path.name
    folder = runs.FOLDER / suggested(config)
    return launcher.start_numbered(folder, config.model_dump()).path.name


def fitted(base: RunConfig, store: str) -> tuple[RunConfig, str]:
    """The settings with the label column that the corpus has, and its name; "" for none."""
    try:
        factor = fitting.factor_for(base, fitting.facts(store))
    except RavelError:  # `check_corpus` shows it
        return base, ""
    if factor is None:
        return base, ""
    return registry.parse(merge(base.model_dump(), {"data.factor": factor})), factor


def check_corpus(config: RunConfig) -> None:
    """Say what is worth knowing of the corpus; raises RavelError where it cannot be trained on."""
    findings = fitting.check(config, fitting.facts(config.data.store))
    if findings.problems:
        raise RavelError(" ".join(findings.problems))
    for note in findings.notes:
        st.caption(f":material/info: {note}")


def suggested(config: RunConfig) -> str:
    """The default name of a run: its variant and its corpus."""
    corpus = config.data.store.rstrip("/").rsplit("/", 1)[-1] or "run"
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in corpus).strip("-")
    return f"{registry.get(config.system).variant_of(config.model_dump())}-{kept or 'run'}"


def new_run() -> None:
    """The form for a new run."""
    first, second = st.columns(2)
    with first:
        system = pick_system()
    points = starting_points(system)
    with second:
        origin = st.selectbox(
            "Start from",
            list(points),
            key="from",
            bind="query-params",
            help="A preset, a trained model to **fine-tune** on another corpus, or the settings of "
            "an earlier run. **paper** trains as in the paper; **quick**, **small** and **tiny** "
            "suit a CPU.",
        )
    try:
        base = registry.parse(points[origin])
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        return
    with first, st.container(horizontal=True, vertical_alignment="bottom", wrap=False):
        store = pick_corpus(base)
        corpus.add_button("train")
    with second:
        device, processes = pick_place(base)
    base, factor = fitted(base, store)
    given = form(
        type(base),
        base.model_dump(),
        key=f"{system} {origin}",
        without=CHOSEN_APART,
        renewed={"data.factor": factor},
    )
    different = changed(base.model_dump(), given)
    st.caption(f"Changed: {different}." if different else f"Same settings as {origin}.")
    name = st.text_input(
        "Name",
        key="name",
        placeholder="Default: model and corpus",
        max_chars=100,
        help="The run's folder under runs/. Empty: named after its model and corpus.",
    ).strip()
    values = merge({"system": system}, given)
    values = merge(values, {"data.store": store or "", "training.device": device})
    values = merge(values, {"training.processes": processes})
    try:
        config = registry.parse(values)
        if name:
            launcher.check_name(name)
        check_corpus(config)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=True)
        return
    estimate(config)
    # No callback: it would get the fields' values from before the last one was edited.
    if st.button("Start training", key="start", type="primary", icon=":material/play_arrow:"):
        try:
            st.session_state["turn_to"] = start(config, name)
            st.rerun()
        except RavelError as error:
            st.error(str(error), icon=":material/error:")
    with st.expander("Command line", icon=":material/terminal:"):
        st.code(train_command(config, name or suggested(config)), language="bash")


@st.fragment(run_every=3)
def active_runs() -> None:
    """The runs that are trained or queued, with a link to each."""
    active = [about for about in runs.summaries() if about.alive]
    for about in active:
        with st.container(horizontal=True, vertical_alignment="center"):
            badge(about.state)
            st.page_link("lab/pages/train.py", label=about.name, query_params={"run": about.name})
            share = about.step / max(1, about.steps)
            st.caption(f"{share:.0%} on {about.device}", width="content")


if "turn_to" in st.session_state:
    st.session_state["run"] = st.session_state["turn_to"]
requested, names = st.query_params.get("run"), runs.names()
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    st.title("Train", anchor=False, width="content", help=ABOUT)
    shown = st.selectbox(
        "Run",
        names,
        index=None,
        placeholder="A new run",
        key="run",
        bind="query-params",
        width=320,
        help="The run to watch. Empty: start a new one.",
    )
st.session_state.pop("turn_to", None)  # only now: an interrupted script run turns again
if shown:
    watch(shown)
else:
    if requested and requested not in names:
        st.warning(
            f"There is no run called {requested!r}: it was deleted, or is on another machine.",
            icon=":material/search_off:",
        )
    active_runs()
    corpus.show_builds()
    new_run()
