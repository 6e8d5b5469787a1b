"""The charts and headline figures of a separator's run."""

from core.registry import Chart, Figure

LOSS = (
    "Negative SNR of the clips in dB, each reconstructed from the best assignment of channels: "
    "lower is better. **validation** is the same on held-out mixtures."
)
SEPARATION = (
    "Improvement over the mixture, in dB, on held-out mixtures of two clips. **MoMi**: of the best "
    "sums of channels. **SI-SNRi**: of single channels."
)
BALANCE = (
    "Level of the quieter channels relative to the louder ones, in dB: near 0 all channels carry "
    "as much sound; far below, one channel carries nearly everything."
)

CHARTS = (
    Chart("Loss", ("train loss", "validation criterion as validation"), LOSS),
    Chart(
        "Separation",
        ("validation momi_median as MoMi, dB", "validation si_snri_median as SI-SNRi, dB"),
        SEPARATION,
    ),
    Chart("Channel balance", ("validation channel_balance as balance, dB",), BALANCE),
)
HEADLINE = (
    Figure("Validation", "validation criterion", "{:.4g}", LOSS),
    Figure("MoMi", "validation momi_median", "{:.2f} dB", SEPARATION),
    Figure("SI-SNRi", "validation si_snri_median", "{:.2f} dB", SEPARATION),
    Figure("Channel balance", "validation channel_balance", "{:.1f} dB", BALANCE),
)
