"""The charts and headline figures of a separator's run."""

from core.registry import Chart, Figure

LOSS = (
    "Negative SNR of the clips in dB, each reconstructed from the best assignment of channels: "
    "lower is better. Weighted penalties, if any, are included. **validation** is the same on "
    "held-out mixtures."
)
SEPARATION = (
    "Improvement over the mixture, in dB, on held-out mixtures of two clips. **MoMi**: of the best "
    "sums of channels. **SI-SNRi**: of single channels."
)
ONE_SOURCE = (
    "SI-SNR in dB of a single clip's best channel (1S): how much of it stays together. Training by "
    "mixtures alone tends to tear single sounds apart."
)
ACTIVE = (
    "Channels less than 20 dB below the mixture, on average, of mixtures of two clips and of "
    "single clips."
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
    Chart("Single sources", ("validation one_source_median as 1S, dB",), ONE_SOURCE),
    Chart(
        "Active channels",
        ("validation active as of mixtures", "validation active_of_one as of single clips"),
        ACTIVE,
    ),
    Chart("Channel balance", ("validation channel_balance as balance, dB",), BALANCE),
)
HEADLINE = (
    Figure("Validation", "validation criterion", "{:.4g}", LOSS),
    Figure("MoMi", "validation momi_median", "{:.2f} dB", SEPARATION),
    Figure("SI-SNRi", "validation si_snri_median", "{:.2f} dB", SEPARATION),
    Figure("Channel balance", "validation channel_balance", "{:.1f} dB", BALANCE),
)
