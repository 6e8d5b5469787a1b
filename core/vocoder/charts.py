"""The charts and headline figures of a vocoder's run."""

from core.registry import Chart, Figure

LOSS = (
    "Weighted sum of the terms of the next chart and the spectral convergence of magnitudes; in "
    "the last stage, noise, tonality alone. **validation** is the same on held-out clips."
)
SPECTRA = (
    "Errors of the predicted spectra. **magnitude**: mean difference of log magnitudes. "
    "**advance** and **delay**: phase change from frame to frame and from bin to bin, as 1 - cos "
    "of the error: 0 is exact, 1 is chance. The phase of noise cannot be predicted: **tonality** "
    "is the squared error of the predicted tonal share, trained in the last stage."
)
STFT = (
    "Spectral convergence between sound made of held-out log-mels and the original sound, mean of "
    "three resolutions. Loud parts weigh most."
)
STFT_DECIBELS = "Mean difference of log magnitudes in dB. Quiet parts weigh as much as loud ones."

CHARTS = (
    Chart("Loss", ("train loss", "validation criterion as validation"), LOSS, logarithmic=True),
    Chart(
        "Spectra",
        ("validation magnitude", "validation advance", "validation delay", "validation tonality"),
        SPECTRA,
        logarithmic=True,
    ),
    Chart("STFT distance", ("validation stft_convergence as convergence",), STFT),
    Chart("STFT distance, dB", ("validation stft_decibels as dB",), STFT_DECIBELS),
)
HEADLINE = (
    Figure("Validation", "validation criterion", "{:.4g}", LOSS),
    Figure("STFT convergence", "validation stft_convergence", "{:.3f}", STFT),
    Figure("STFT distance", "validation stft_decibels", "{:.1f} dB", STFT_DECIBELS),
)
