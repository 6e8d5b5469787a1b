"""Which figures of a run tell how its training goes, by system: charts, headline, table."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from lab.training.runs import Curves, Summary
from lab.widgets import run_chart
from lab.widgets.run_chart import Line


class Chart(NamedTuple):
    """A chart: its title, curves as 'kind name' or 'kind name as label', what it tells, options."""

    title: str
    curves: tuple[str, ...]
    help: str
    logarithmic: bool = False
    span: tuple[float, float] | None = None
    only: str = ""  # the variant it is for


class Figure(NamedTuple):
    """A latest figure: its label, 'kind name', how it is written, what it tells."""

    label: str
    curve: str
    form: str
    help: str
    of: str = ""  # the setting that says of how many


LOSS = (
    "**loss** is what training minimises, **reconstruction** its part that compares the rebuilt "
    "log-mel with the true one; **validation** is the criterion on clips it does not train on, "
    "which picks the best state. At the start of a stage the loss changes its meaning."
)
KL = (
    "How much the latents say, in KL divergence from their priors: of the global latent v and of "
    "the local latents z. A part that falls to nothing has collapsed: it carries no information."
)
SWAP = (
    "The terms that TS-DSAE adds in its second stage. After a global swap z must stay (z_gswap) "
    "and v must follow (v_gswap); after a local swap v must stay (v_lswap) and z follow (z_lswap)."
)
F1 = (
    "How well the label is told from v of validation clips, as macro-F1: **f1_pre** with no swap, "
    "**f1_global** after v was swapped in from another label, **f1_local** after z was. "
    "All three near 1 is what we want; at chance, v carries no instrument."
)
ACTIVE = (
    "Dimensions of v and z that carry something on validation clips. None of v: global collapse. "
    "None of z: local collapse."
)
SEPARATION_LOSS = (
    "Negative SNR in dB of the clips, each put together from the channels in the best way: lower "
    "is better. **validation** is the same on mixtures it does not train on."
)
APART = (
    "On held-out mixtures of two clips, in dB. **MoMi**: how much nearer the best-assigned sums of "
    "channels are to the clips than the mixture is. **SI-SNRi**: the same of single channels."
)
BALANCE = (
    "The level of the quieter channels against the louder ones, in dB: near 0 the sound is shared "
    "out evenly, far below it one channel holds nearly everything."
)
VOCODER_LOSS = (
    "The weighted sum of what the other chart shows, and how far magnitudes are from the true "
    "sound's by spectral convergence; in the last stage, of noise, tonality alone. **validation** "
    "is the same on clips it does not train on."
)
SPECTRA = (
    "How far the spectra are from the true sound's. **magnitude**: mean difference of logarithms. "
    "**advance** and **delay**: how phases change from frame to frame and from bin to bin, as "
    "1 - cos of the error: 0 is right, 1 is chance. Noise has no phase to foretell: **tonality** "
    "is the squared error of what is said to have one, learnt in the last stage."
)
STFT = (
    "How far sound made of held-out log-mels is from the true sound: spectral convergence, which "
    "weighs what is loud, mean of three resolutions."
)
STFT_DECIBELS = "The same as the mean difference of log magnitudes, in dB: all that is quiet, too."
SPEED = "Optimisation steps a second, by the worker's own clock."
GPU = (
    "What the worker's GPU does: its load, whoever causes it, and the memory that this run has "
    "taken at most since the record before, looked at every few seconds."
)

CHARTS = {
    "dsae": (
        Chart(
            "Loss", ("train loss", "train reconstruction", "validation criterion as validation"),
            LOSS, True,
        ),
        Chart(
            "Swap F1", ("validation f1_pre", "validation f1_global", "validation f1_local"), F1,
            span=(-0.03, 1.05),
        ),
        Chart("KL by part", ("train kl_v", "train kl_z"), KL, True),
        Chart("Active units", ("validation active_v", "validation active_z"), ACTIVE),
        Chart(
            "Swap terms",
            ("train z_gswap", "train v_gswap", "train v_lswap", "train z_lswap"), SWAP, True,
            only="ts-dsae",
        ),
    ),
    "separation": (
        Chart("Loss", ("train loss", "validation criterion as validation"), SEPARATION_LOSS),
        Chart(
            "Separation",
            ("validation momi_median as MoMi, dB", "validation si_snri_median as SI-SNRi, dB"),
            APART,
        ),
        Chart("Channel balance", ("validation channel_balance as balance, dB",), BALANCE),
    ),
    "vocoder": (
        Chart("Loss", ("train loss", "validation criterion as validation"), VOCODER_LOSS, True),
        Chart(
            "Spectra",
            (
                "validation magnitude", "validation advance", "validation delay",
                "validation tonality",
            ),
            SPECTRA, True,
        ),
        Chart("STFT distance", ("validation stft_convergence as convergence",), STFT),
        Chart("STFT distance, dB", ("validation stft_decibels as dB",), STFT_DECIBELS),
    ),
}  # fmt: skip
ALWAYS = (Chart("Throughput", ("train steps_per_second as steps a second",), SPEED),)
ON_GPU = (
    Chart("GPU load", ("train gpu_load as per cent",), GPU, span=(-3, 105)),
    Chart("GPU memory", ("train gpu_memory as GiB",), GPU),
)
HEADLINES = {
    "dsae": (
        Figure("Validation", "validation criterion", "{:.4g}", LOSS),
        Figure("Swap F1", "validation f1_global", "{:.2f}", F1),
        Figure("Active v", "validation active_v", "{:.0f}", ACTIVE, "model.v_size"),
        Figure("Active z", "validation active_z", "{:.0f}", ACTIVE, "model.z_size"),
    ),
    "separation": (
        Figure("Validation", "validation criterion", "{:.4g}", SEPARATION_LOSS),
        Figure("MoMi", "validation momi_median", "{:.2f} dB", APART),
        Figure("SI-SNRi", "validation si_snri_median", "{:.2f} dB", APART),
        Figure("Channel balance", "validation channel_balance", "{:.1f} dB", BALANCE),
    ),
    "vocoder": (
        Figure("Validation", "validation criterion", "{:.4g}", VOCODER_LOSS),
        Figure("STFT convergence", "validation stft_convergence", "{:.3f}", STFT),
        Figure("STFT distance", "validation stft_decibels", "{:.1f} dB", STFT_DECIBELS),
    ),
}
MADE_OF = "objective.variant", "objective.method"  # the setting that tells models of a system apart


def variant(about: Summary) -> str:
    """What is trained, in a word: ts-dsae, mixit."""
    return next((str(v) for v in map(about.setting, MADE_OF) if v), "")


def headline(about: Summary, curves: Curves) -> None:
    """The latest figures in a row."""
    figures = HEADLINES.get(about.system, ())
    columns = st.columns(len(figures) + 1)
    for column, figure in zip(columns, figures, strict=False):
        value = curves.latest(*figure.curve.split(" "))
        of = f" of {about.setting(figure.of)}" if figure.of else ""
        shown = "–" if value is None else figure.form.format(value) + of
        column.metric(figure.label, shown, help=figure.help)
    pace = curves.pace()
    columns[-1].metric("Steps a second", "–" if pace is None else f"{pace:.3g}", help=SPEED)


def charts(about: Summary, curves: Curves) -> None:
    """The curves, in two columns."""
    wanted = [c for c in CHARTS.get(about.system, ()) if c.only in ("", variant(about))]
    wanted += ALWAYS
    if "gpu_memory" in curves.names("train"):
        wanted += ON_GPU
    columns = st.columns(2)
    for number, chart in enumerate(wanted):
        lines = [_line(curves, told) for told in chart.curves]
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


def _line(curves: Curves, told: str) -> Line:
    kind, name, *label = told.replace(" as ", " ", 1).split(" ", 2)
    return Line(label[0] if label else name, *curves.curve(kind, name), kind == "validation")
