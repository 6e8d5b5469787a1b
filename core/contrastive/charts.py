"""The charts and headline figures of an encoder's run."""

from core.registry import Chart, Figure

LOSS = (
    "**loss** is what training minimises: the weighted sum of **similarity** (NT-Xent) and "
    "**coincidence** (cross entropy of coincidence prediction). **validation** is the same on "
    "held-out pairs; it selects the best state, without any label."
)
ALIGNMENT = (
    "Mean squared distance between the embeddings of two views of a held-out clip, on the unit "
    "sphere: 0 is the best. It only means something together with uniformity."
)
UNIFORMITY = (
    "Logarithm of the mean Gaussian potential between embeddings of held-out clips: the lower, the "
    "more evenly they cover the sphere. Near 0 all clips have one embedding: collapse."
)
PROBE = (
    "Share of held-out clips whose label most of the five nearest training clips have. Labels are "
    "used for this figure only, never for training."
)

CHARTS = (
    Chart(
        "Loss",
        (
            "train loss",
            "train similarity",
            "train coincidence",
            "validation criterion as validation",
        ),
        LOSS,
    ),
    Chart("Alignment", ("validation alignment",), ALIGNMENT),
    Chart("Uniformity", ("validation uniformity",), UNIFORMITY),
    Chart("Probe", ("validation knn_accuracy as accuracy",), PROBE, span=(-0.03, 1.05)),
)
HEADLINE = (
    Figure("Validation", "validation criterion", "{:.4g}", LOSS),
    Figure("Alignment", "validation alignment", "{:.3f}", ALIGNMENT),
    Figure("Uniformity", "validation uniformity", "{:.2f}", UNIFORMITY),
    Figure("Probe accuracy", "validation knn_accuracy", "{:.2f}", PROBE),
)
