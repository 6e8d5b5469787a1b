"""The charts and headline figures of a run of TS-DSAE or one of its baselines."""

from core.registry import Chart, Figure

LOSS = (
    "**loss** is what training minimises, **reconstruction** its part that compares the "
    "reconstructed log-mel with the original; **validation** is the criterion on held-out clips, "
    "which selects the best state. Each stage has a loss of its own: they do not compare."
)
KL = (
    "KL divergence of the posteriors of the global latent v and the local latents z from their "
    "priors. A part that falls to zero has collapsed: it carries no information."
)
SWAP = (
    "The terms that TS-DSAE adds in its second stage. After a global swap z must stay (z_gswap) "
    "and v must follow (v_gswap); after a local swap v must stay (v_lswap) and z follow (z_lswap)."
)
PLAYERS = (
    "The terms for players. **similarity** is NT-Xent between the v of two excerpts of a player. "
    "After a global swap z must stay (z_gswap) and v must follow (v_gswap), both in units of the "
    "latents' variance: 1 is as far as another clip. **back_translation** is the error of a swap "
    "that is encoded again and decoded with the clip's own v."
)
FHVAE = (
    "Negative log-probability of a segment's own clip, among those of the batch, given its v, over "
    "the size of v. At 0 every clip is recognised."
)
R_WAE = (
    "Squared maximum mean discrepancy of v from N(0, I) and of z from the transition prior: 0 for "
    "equal distributions. Estimates of it may be negative."
)
C_DSVAE = (
    "**contrast_v** and **contrast_z** are NT-Xent between the v of a clip's halves, and between "
    "the z of a frame and of the same frame through a random filter. **information** is the mutual "
    "information of v and z in nats, estimated within the batch."
)
S3_VAE = (
    "**triplet**: the v of a clip's halves should be nearer to each other than to another clip's. "
    "**dynamics**: the share of the variance of loudness that is not a linear function of z. "
    "**information** is the mutual information of v and z in nats, estimated within the batch."
)
F1 = (
    "Macro-F1 of the label predicted from v of validation clips: **f1_pre** without a swap, "
    "**f1_global** after a global swap, against the label of the clip that gave v; **f1_local** "
    "after a local swap. Best: all three near 1. At chance, v carries no instrument."
)
ACTIVE = (
    "Dimensions of v and z that vary between validation clips. None of v: global collapse. "
    "None of z: local collapse."
)

CHARTS = (
    Chart(
        "Loss",
        ("train loss", "train reconstruction", "validation criterion as validation"),
        LOSS,
        logarithmic=True,
    ),
    Chart(
        "Swap F1",
        ("validation f1_pre", "validation f1_global", "validation f1_local"),
        F1,
        span=(-0.03, 1.05),
    ),
    Chart("KL by part", ("train kl_v", "train kl_z"), KL, logarithmic=True),
    Chart("Active units", ("validation active_v", "validation active_z"), ACTIVE),
    Chart(
        "Swap terms",
        ("train z_gswap", "train v_gswap", "train v_lswap", "train z_lswap"),
        SWAP,
        logarithmic=True,
        variant="ts-dsae",
    ),
    Chart(
        "Terms for players",
        ("train similarity", "train z_gswap", "train v_gswap", "train back_translation"),
        PLAYERS,
        logarithmic=True,
        variant="ts-dsae-players",
    ),
    Chart("Discriminative term", ("train discriminative",), FHVAE, variant="fhvae"),
    Chart("Discrepancies", ("train mmd_v", "train mmd_z"), R_WAE, variant="r-wae"),
    Chart(
        "Contrast and shared information",
        ("train contrast_v", "train contrast_z", "train information"),
        C_DSVAE,
        variant="c-dsvae",
    ),
    Chart(
        "Self-supervision and shared information",
        ("train triplet", "train dynamics", "train information"),
        S3_VAE,
        variant="s3-vae",
    ),
)
HEADLINE = (
    Figure("Validation", "validation criterion", "{:.4g}", LOSS),
    Figure("Swap F1", "validation f1_global", "{:.2f}", F1),
    Figure("Active v", "validation active_v", "{:.0f}", ACTIVE, of="model.v_size"),
    Figure("Active z", "validation active_z", "{:.0f}", ACTIVE, of="model.z_size"),
)
