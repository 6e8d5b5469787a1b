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
)
HEADLINE = (
    Figure("Validation", "validation criterion", "{:.4g}", LOSS),
    Figure("Swap F1", "validation f1_global", "{:.2f}", F1),
    Figure("Active v", "validation active_v", "{:.0f}", ACTIVE, of="model.v_size"),
    Figure("Active z", "validation active_z", "{:.0f}", ACTIVE, of="model.z_size"),
)
