"""What a card says of TS-DSAE and its baselines."""

from core.checkpoints.card import About
from core.dsae.config import DsaeConfig

NAMES = {
    "dsae": "the plain disentangled sequential autoencoder, trained in one stage",
    "dsae-f": "DSAE-f: two stages, the global encoder frozen in the second",
    "ts-dsae-no-swaps": "TS-DSAE without the four swap terms",
    "ts-dsae": "TS-DSAE, with constrained training, informed prior and swap terms",
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
    """Figures of the model's own factor, and those of further ones."""
    more = {f"{k}_{factor}": f"{v}, {factor}" for factor in FACTORS for k, v in meanings.items()}
    return meanings | more


def _heard() -> dict[str, str]:
    """What is heard by each network: pitch, and distances by its embedding."""
    found = {}
    for key, by in EMBEDDINGS.items():
        for kind, clips in CLIPS.items() if key != "vggish" else ():
            found[f"rpa_{kind}_{key}"] = f"pitch accuracy, {clips}, by {by}"
            found[f"rpa_{kind}_notes_{key}"] = f"pitch accuracy to the notes, {clips}, by {by}"
        found[f"fad_{key}"] = f"FAD to originals, reconstruction, by {by}"
        found[f"fad_round_trip_{key}"] = f"FAD to originals, {CLIPS['round_trip']}, by {by}"
        found[f"fad_resynthesised_{key}"] = f"FAD to round trips, reconstruction, by {by}"
        found[f"fad_frames_{key}"] = f"frames in FAD by {by}, which grows as they get fewer"
    return found


def _swaps_of_factors() -> dict[str, str]:
    """Swaps whose target differs in some of the factors that v carries (the paper's figure 7)."""
    cases = {"rebuilt": "rebuilt clips told as the original's in"}
    for moved in (("instrument",), ("octave",), ("instrument", "octave")):
        words = f"swaps with another {' and '.join(moved)} told as the target's in"
        cases[f"swap_{'_and_'.join(moved)}"] = words
    told = {"instrument": "instrument", "octave": "octave", "all": "all factors"}
    return {
        f"{case}_told_{key}": f"{words} {what}"
        for case, words in cases.items()
        for key, what in told.items()
    }


def _drawn() -> dict[str, str]:
    """What comes out of the prior, beside real clips that go the same way to sound."""
    cases = {
        "prior": "draws of v and z",
        "prior_z": "draws of z, v of a clip",
        "real": "real clips",
    }
    told = {
        "voiced": "frames with a pitch",
        "in_scale": "pitched frames in the scale, within 50 cents",
        "notes": "different notes a clip",
        "confidence": "the separate judge's confidence in an instrument",
        "agreement": "the judge names what v tells",
    }
    found = {
        f"{case}_{key}": f"{of}: {what}" for case, of in cases.items() for key, what in told.items()
    }
    return found | {"chance_in_scale": "any pitch in the scale's range: in the scale"}


MEANINGS = {
    "clips": "validation clips",
    "mse": "squared error of the reconstruction, a bin",
    **_by_factor({f"f1_{kind}": f"macro-F1, {CLIPS[kind]}" for kind in SWAPS}),
    **_by_factor(
        {
            f"judge_{kind}": f"macro-F1 by a separate judge, {CLIPS[kind]}"
            for kind in ("original", *SWAPS)
        }
    ),
    **_by_factor({"leak_z": "leak: macro-F1 of a linear probe on time-averaged z"}),
    "leak_v_notes": "leak: R² of the notes by a linear probe on v",
    "leak_v_pitch": "leak: R² of a clip's pitch by a linear probe on v",
    "heard_clips": "validation clips that were listened to",
    "route": "route from log-mels to sound",
    "pitch_reference": "reference of pitch accuracy (raw, 50 cents)",
    **_heard(),
    "counterfactual_error": "squared error of a swap to the true rendering, a bin",
    "counterfactual_closer": "swaps nearer to the true rendering than to the original",
    **_swaps_of_factors(),
    **_drawn(),
    "active_v": "dimensions of v in use",
    "active_z": "dimensions of z in use",
    "kl_v": "KL of v to N(0, I), nats",
    "kl_v_dimensions": "KL of v by dimension, nats",
    "kl_z": "KL of z to its prior, nats a frame",
    "kl_z_dimensions": "KL of z by dimension, nats a frame",
    "melody": "melody kept (raw pitch accuracy, CREPE tiny, 50 cents)",
    "own_encoder": "instrument by the model's own encoder (macro-F1)",
    "judge": "instrument by a judge of real and rendered sound (macro-F1)",
    "real_judge": "instrument by a judge of real sound only (macro-F1)",
    "fad": "FAD to the recordings, by CREPE tiny",
    "pairs": "swaps, every pair both ways",
    "duets": "real duets, separated",
    "separator": "separated by",
    "si_snri": "SI-SNR improvement of the channels, dB",
    "recognised_stems_1": "stems: instrument the likeliest by v",
    "recognised_stems_3": "stems: instrument among the three likeliest by v",
    "recognised_channels_1": "channels: instrument the likeliest by v",
    "recognised_channels_3": "channels: instrument among the three likeliest by v",
    "leak_z_stems": "stems: macro-F1 of a linear probe on time-averaged z",
    "leak_z_channels": "channels: macro-F1 of a linear probe on time-averaged z",
    "rebuilt": "channel, rebuilt",
    "exchanged": "channel with the other channel's instrument",
    "preset": "channel with the mean of the other's instrument",
    "stems exchanged": "stem with the other stem's instrument",
}


def about(config: DsaeConfig, name: str) -> About:
    """What a model of this config is, and how it is used."""
    model, kind = config.model, NAMES[config.objective.variant]
    text = f"""{kind[0].upper()}{kind[1:]} (Luo, Ewert and
Dixon, IJCAI 2022). It splits four seconds of one instrument into a global latent `v`
({model.v_size} numbers: the instrument) and local latents `z` ({model.z_size} numbers a frame of
16 ms: the melody). Posterior {model.posterior}, decoder {model.decoder}, {model.hidden} units wide.

```python
from core.audio.clip import read
from core.audio.invert import to_waveform
from core.dsae.latents import load

model = load("{name}")
violin, trumpet = (model.encode(read(file)) for file in ("violin.wav", "trumpet.wav"))
sound = to_waveform(model.swap(violin, trumpet))  # the violin's melody, the trumpet's sound
```"""
    return About("audio, music, disentanglement", text)
