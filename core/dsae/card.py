"""The words of a card about TS-DSAE and its baselines."""

from core.checkpoints.card import About
from core.dsae.config import RELATED, DsaeConfig

NAMES = {
    "dsae": "the plain disentangled sequential autoencoder, trained in one stage",
    "dsae-f": "DSAE-f: two stages, the global encoder frozen in the second",
    "ts-dsae-no-swaps": "TS-DSAE without the four swap terms",
    "ts-dsae": "TS-DSAE, with constrained training, informed prior and swap terms",
    "ts-dsae-players": "TS-DSAE for players, with v from another excerpt of the same player,\n"
    "similarity maximisation, swap terms and back-translation",
    "fhvae": "FHVAE (Hsu, Zhang and Glass, NeurIPS 2017), with the networks of TS-DSAE",
    "r-wae": "R-WAE with the maximum mean discrepancy (Han et al., ICLR 2021), with the networks\n"
    "of TS-DSAE",
    "c-dsvae": "C-DSVAE (Bai et al., NeurIPS 2021), carried over to sound with the networks of\n"
    "TS-DSAE",
    "s3-vae": "S3-VAE (Zhu et al., CVPR 2020), carried over to sound with the networks of TS-DSAE",
}
FACTORS = ("instrument", "octave", "scale", "tonic")
CLIPS = {
    "pre": "reconstruction",
    "global": "after a global swap",
    "local": "after a local swap",
    "round_trip": "round trip without the model",
    "original": "originals",
}
SWAPS = ("pre", "global", "local")
EMBEDDINGS = {"crepe_tiny": "CREPE tiny", "crepe_full": "CREPE full", "vggish": "VGGish"}


def _by_factor(meanings: dict[str, str]) -> dict[str, str]:
    """Scores of the model's own factor, and the same for each further factor."""
    more = {f"{k}_{factor}": f"{v}, {factor}" for factor in FACTORS for k, v in meanings.items()}
    return meanings | more


def _by_network() -> dict[str, str]:
    """Scores computed by each pitch or embedding network: pitch accuracy and Fréchet distances."""
    found = {}
    for key, by in EMBEDDINGS.items():
        for kind, clips in CLIPS.items() if key != "vggish" else ():
            found[f"rpa_{kind}_{key}"] = f"pitch accuracy, {clips}, by {by}"
            found[f"rpa_{kind}_notes_{key}"] = f"pitch accuracy to the notes, {clips}, by {by}"
        found[f"fad_{key}"] = f"FAD to originals, reconstruction, by {by}"
        found[f"fad_round_trip_{key}"] = f"FAD to originals, {CLIPS['round_trip']}, by {by}"
        found[f"fad_resynthesised_{key}"] = f"FAD to round trips, reconstruction, by {by}"
        found[f"fad_frames_{key}"] = f"frames in FAD by {by} (FAD grows as they get fewer)"
    return found


def _swaps_of_factors() -> dict[str, str]:
    """Swaps whose target differs in some of the factors that v carries (the paper's figure 7)."""
    cases = {"rebuilt": "reconstructions recognised as the original in"}
    for moved in (("instrument",), ("octave",), ("instrument", "octave")):
        words = f"swaps to another {' and '.join(moved)} recognised as the target in"
        cases[f"swap_{'_and_'.join(moved)}"] = words
    factors = {"instrument": "instrument", "octave": "octave", "all": "all factors"}
    return {
        f"{case}_told_{key}": f"{words} {what}"
        for case, words in cases.items()
        for key, what in factors.items()
    }


def _players() -> dict[str, str]:
    """Swaps of real players among several instruments."""
    nearer = "spectrum nearer to the target's than to another's at the same pitch"
    judge = "instrument by a register-balanced judge (macro-F1)"
    cases = {
        "original": "originals, half against half",
        "rebuilt": "reconstruction",
        "swap": "swaps",
    }
    found = {f"nearer_{case}": f"{nearer}, {words}" for case, words in cases.items()}
    found |= {
        f"nearer_loud_{case}": f"the same above the noise, {words}" for case, words in cases.items()
    }
    found |= {
        f"judge_{case}": f"{judge}, {words}"
        for case, words in {"rebuilt": "reconstruction", "swap": "swaps"}.items()
    }
    apart = {"near": "up to 6", "middle": "above 6 up to 12", "far": "above 12"}
    found |= {
        f"pitch_swap_{key}": f"pitch kept, registers {words} semitones apart"
        for key, words in apart.items()
    }
    return found | {
        "tracker": "pitch tracker",
        "pitch_round_trip": "pitch kept (50 cents), round trip without the model",
        "pitch_rebuilt": "pitch kept (50 cents), reconstruction",
        "pitch_swap": "pitch kept (50 cents), swaps",
        "pitch_table": "pitch kept",
        "nearer_table": "nearer to the target",
        "pitch_by_strength": "pitch kept, swaps of strength",
        "nearer_by_strength": "nearer to the target, swaps of strength",
        "register_in_v": "R² of the register by a linear probe on v",
        "instrument_in_z": "leak: instrument by a linear probe on z at one pitch (chance 0.5)",
        "judge_elsewhere": f"{judge}, other recordings",
        "judge_ceiling": f"{judge}, real notes that play the melody",
        "judge_swap_reached": f"{judge}, swaps that real notes can play",
        "judge_share": "of it, share of what real notes reach",
        "judge_swap_as_source": "swaps named as the source's instrument by the same",
        "judge_ceiling_as_source": "real notes named as the melody's instrument by the same",
    }


def _samples() -> dict[str, str]:
    """Samples from the prior, and real clips resynthesised in the same way."""
    cases = {
        "prior": "samples of v and z",
        "prior_z": "samples of z, v of a clip",
        "real": "real clips",
    }
    scores = {
        "voiced": "frames with a pitch",
        "in_scale": "pitched frames in the scale, within 50 cents",
        "notes": "different notes per clip",
        "confidence": "confidence of the independent classifier",
        "agreement": "classifier agrees with the instrument predicted from v",
    }
    found = {
        f"{case}_{key}": f"{of}: {what}"
        for case, of in cases.items()
        for key, what in scores.items()
    }
    return found | {"chance_in_scale": "share of pitches in the scale by chance"}


MEANINGS = {
    "clips": "validation clips",
    "mse": "squared error of the reconstruction, per bin",
    **_by_factor({f"f1_{kind}": f"macro-F1, {CLIPS[kind]}" for kind in SWAPS}),
    **_by_factor(
        {
            f"judge_{kind}": f"macro-F1 by an independent classifier, {CLIPS[kind]}"
            for kind in ("original", *SWAPS)
        }
    ),
    **_by_factor({"leak_z": "leak: macro-F1 of a linear probe on time-averaged z"}),
    "eer_v": "equal error rate of the instrument by v (best: 0)",
    "eer_z": "equal error rate of the instrument by time-averaged z (best: 0.5)",
    "leak_v_notes": "leak: R² of the notes by a linear probe on v",
    "leak_v_pitch": "leak: R² of a clip's pitch by a linear probe on v",
    "heard_clips": "validation clips resynthesised",
    "route": "route from log-mels to sound",
    "pitch_reference": "reference of pitch accuracy (raw, 50 cents)",
    **_by_network(),
    "counterfactual_error": "squared error of a swap to the true rendering, per bin",
    "counterfactual_closer": "swaps nearer to the true rendering than to the original",
    **_swaps_of_factors(),
    **_samples(),
    **_players(),
    "active_v": "dimensions of v in use",
    "active_z": "dimensions of z in use",
    "kl_v": "KL of v to N(0, I), nats",
    "kl_v_dimensions": "KL of v by dimension, nats",
    "kl_z": "KL of z to its prior, nats per frame",
    "kl_z_dimensions": "KL of z by dimension, nats per frame",
    "melody": "melody kept (raw pitch accuracy, CREPE tiny, 50 cents)",
    "own_encoder": "instrument by the model's own encoder (macro-F1)",
    "judge": "instrument by a classifier trained on real and rendered sound (macro-F1)",
    "real_judge": "instrument by a classifier trained on real sound only (macro-F1)",
    "fad": "FAD to the recordings, by CREPE tiny",
    "pairs": "swaps (every pair, both ways)",
    "duets": "real duets, separated",
    "separator": "separator",
    "si_snri": "SI-SNR improvement of the channels, dB",
    "recognised_stems_1": "stems: instrument most likely by v",
    "recognised_stems_3": "stems: instrument among the three most likely by v",
    "recognised_channels_1": "channels: instrument most likely by v",
    "recognised_channels_3": "channels: instrument among the three most likely by v",
    "leak_z_stems": "stems: macro-F1 of a linear probe on time-averaged z",
    "leak_z_channels": "channels: macro-F1 of a linear probe on time-averaged z",
    "rebuilt": "channel, reconstructed",
    "exchanged": "channel with the other channel's instrument",
    "preset": "channel with the mean of the other's instrument",
    "stems exchanged": "stem with the other stem's instrument",
}


def about(config: DsaeConfig, name: str) -> About:
    """Describe a model with this config and show how to use it."""
    model, kind = config.model, NAMES[config.objective.variant]
    completed = ""
    if model.equaliser:
        completed = (
            f"\nAn equaliser of {model.equaliser} numbers completes `v`: what the reconstruction "
            "lacks on average."
        )
    # The names of related methods say where they come from.
    source = "" if config.objective.variant in RELATED else " (Luo, Ewert and\nDixon, IJCAI 2022)"
    text = f"""{kind[0].upper()}{kind[1:]}{source}.
It splits four seconds of one instrument into a global latent `v` ({model.v_size} numbers: the
instrument) and local latents `z` ({model.z_size} numbers per frame of 16 ms: the melody). Posterior
{model.posterior}, decoder {model.decoder}, {model.hidden} units wide.{completed}

```python
from core.audio.clip import read
from core.audio.invert import to_waveform
from core.dsae.latents import load

model = load("{name}")
violin, trumpet = (model.encode(read(file)) for file in ("violin.wav", "trumpet.wav"))
sound = to_waveform(model.swap(violin, trumpet))  # the violin's melody, the trumpet's sound
```"""
    return About("audio, music, disentanglement", text)
