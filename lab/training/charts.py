"""The charts and headline figures of a run, as its system defines them, and throughput."""

from __future__ import annotations

import streamlit as st

from core import registry
from core.errors import RavelError
from core.registry import Chart
from lab.training.curves import Curves
from lab.training.runs import Summary
from lab.widgets import run_chart
from lab.widgets.run_chart import Line

SPEED = "Optimisation steps per second, by the worker's clock."
GPU = (
    "The worker's GPU: its total load, from all processes, and the peak memory of this run since "
    "the previous record. Sampled every few seconds."
)

ALWAYS = (Chart("Throughput", ("train steps_per_second as steps per second",), SPEED),)
ON_GPU = (
    Chart("GPU load", ("train gpu_load as per cent",), GPU, span=(-3, 105)),
    Chart("GPU memory", ("train gpu_memory as GiB",), GPU),
)


def variant(about: Summary) -> str:
    """What is trained, in a word: ts-dsae, mixit; "" of a system that is not there."""
    try:
        return registry.get(about.system).variant_of(about.config)
    except RavelError:
        return ""


def headline(about: Summary, curves: Curves) -> None:
    """The latest figures in a row."""
    figures = registry.get(about.system).headline
    columns = st.columns(len(figures) + 1)
    for column, figure in zip(columns, figures, strict=False):
        value = curves.latest(*figure.curve.split(" "))
        of = f" of {about.setting(figure.of)}" if figure.of else ""
        shown = "–" if value is None else figure.format.format(value) + of
        column.metric(figure.label, shown, help=figure.help)
    speed = curves.steps_per_second()
    columns[-1].metric("Steps per second", "–" if speed is None else f"{speed:.3g}", help=SPEED)


def charts(about: Summary, curves: Curves) -> None:
    """The curves, in two columns."""
    wanted = [c for c in registry.get(about.system).charts if c.variant in ("", variant(about))]
    wanted += ALWAYS
    if "gpu_memory" in curves.names("train"):
        wanted += ON_GPU
    columns = st.columns(2)
    for number, chart in enumerate(wanted):
        lines = [_line(curves, curve) for curve in chart.curves]
        lines = [line for line in lines if len(line.x)] or lines  # a term that is not trained
        drawn = run_chart.figure(
            lines,
            stages=curves.stages,
            same=about.name,
            logarithmic=chart.logarithmic,
            span=chart.span,
        )
        with columns[number % 2]:
            run_chart.chart(
                chart.title,
                drawn,
                key=f"{chart.title}/{about.name}",
                help=chart.help,
                alt=f"{chart.title} of {about.name}",
            )


def _line(curves: Curves, curve: str) -> Line:
    kind, name, *label = curve.replace(" as ", " ", 1).split(" ", 2)
    return Line(label[0] if label else name, *curves.curve(kind, name), kind == "validation")
