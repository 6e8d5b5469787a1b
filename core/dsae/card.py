"""What a card says of TS-DSAE and its baselines."""

from core.cards import About
from core.dsae.config import DsaeConfig

NAMES = {
    "dsae": "the plain disentangled sequential autoencoder, trained in one stage",
    "dsae-f": "DSAE-f: two stages, the global encoder frozen in the second",
    "ts-dsae-no-swaps": "TS-DSAE without the four swap terms",
    "ts-dsae": "TS-DSAE, with constrained training, informed prior and swap terms",
}
MEANINGS = {
    "clips": "validation clips",
    "mse": "squared error of the reconstruction, a bin",
    "f1_pre": "macro-F1 of the reconstruction",
    "f1_global": "macro-F1 after a global swap",
    "f1_local": "macro-F1 after a local swap",
    "counterfactual_error": "squared error of a swap to the true rendering, a bin",
    "counterfactual_closer": "swaps nearer to the true rendering than to the original",
    "active_v": "dimensions of v in use",
    "active_z": "dimensions of z in use",
    "kl_v": "KL of v to N(0, I), nats",
    "melody": "melody kept (raw pitch accuracy, CREPE tiny, 50 cents)",
    "own_encoder": "instrument by the model's own encoder (macro-F1)",
    "judge": "instrument by a judge of real and rendered sound (macro-F1)",
    "real_judge": "instrument by a judge of real sound only (macro-F1)",
    "pairs": "swaps, every pair both ways",
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
