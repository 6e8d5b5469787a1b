"""The words of a card about a separator."""

from core.checkpoints.card import About
from core.separation.config import SeparationConfig

METHODS = {
    "mixit": "by mixture invariant training (Wisdom et al., NeurIPS 2020): no label and no "
    "isolated source was used",
    "pit": "by permutation invariant training, with the mixed clips as supervision",
    "self-remixing": "by Self-Remixing (Saijo and Ogawa, ICASSP 2023), beginning with another "
    "separator: no label and no isolated source was used",
    "remixit": "by RemixIT (Tzinis et al., JSTSP 2022), beginning with another separator: no label "
    "and no isolated source was used",
}
MEANINGS = {
    "over_nmf": "SI-SNR improvement over that of NMF, mean over mixtures of 2, dB",
    "mixtures": "held-out mixtures of two to four sources",
    "single_sources": "single sources, given as input unmixed",
    **{
        f"si_snri_{n}_{kind}": f"SI-SNR improvement, mixtures of {n}: {kind}, dB"
        for n in (2, 3, 4)
        for kind in ("median", "mean")
    },
    **{
        f"si_snri_{n}_per_source": f"SI-SNR improvement, mixtures of {n}: mean over sources, dB"
        for n in (2, 3, 4)
    },
    "msi_per_source": "SI-SNR improvement, all mixtures (MSi): mean over sources, dB",
    **{
        f"{name}_{kind}": f"{meaning}: {kind}, dB"
        for name, meaning in {
            "msi": "SI-SNR improvement, all mixtures (MSi)",
            "momi": "SI-SNR improvement of best-assigned sums, mixtures of 2 (MoMi)",
            "one_source": "SI-SNR of a single source, 80 at most (1S)",
        }.items()
        for kind in ("median", "mean")
    },
    "under": "inputs with fewer active channels than sources (under-separated)",
    "equal": "inputs with as many active channels as sources",
    "over": "inputs with more active channels than sources (over-separated)",
    "nothing": "no separation",
    "nmf": "NMF, clustered",
    "oracle-grouped nmf": "NMF, grouped by an oracle",
    "ideal ratio mask": "ideal ratio mask (oracle)",
}


def about(config: SeparationConfig, name: str) -> About:
    """Describe a separator with this config and show how to use it."""
    model = config.model
    milliseconds = f"{model.window / 16:g}/{model.hop / 16:g} ms"
    text = f"""A TDCN++ separator (Kavalerov et al., WASPAA 2019) trained
{METHODS[config.objective.method]}. It separates a mixture into {model.channels} channels that add
up to it. Frames of {milliseconds}, {model.basis} basis functions, bottleneck {model.bottleneck},
hidden {model.hidden}, {model.blocks} blocks x {model.repeats} repeats.

```
python -m core separate mixture.wav --checkpoint {name} --out channels/
```

```python
from core.audio.clip import read
from core.separation.separate import load

channels = load("{name}").separate(read("mixture.wav"))  # [{model.channels}, samples]
```"""
    return About("audio, source-separation, mixit", text)
