"""What a card says of a separator."""

from core.cards import About
from core.separation.config import SeparationConfig

METHODS = {
    "mixit": "by mixture invariant training (Wisdom et al., NeurIPS 2020): no label and no "
    "isolated source was used",
    "pit": "by permutation invariant training, with the mixed clips as supervision",
}
MEANINGS = {
    "mixtures": "held-out mixtures",
}


def about(config: SeparationConfig, name: str) -> About:
    """What a separator of this config is, and how it is used."""
    model = config.model
    milliseconds = f"{model.window / 16:g}/{model.hop / 16:g} ms"
    text = f"""A TDCN++ separator (Kavalerov et al., WASPAA 2019) trained
{METHODS[config.objective.method]}. It takes a mixture apart into {model.channels} channels that add
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
