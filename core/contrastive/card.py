"""The words of a card about an encoder of scenes."""

from core.checkpoints.card import About
from core.contrastive.config import MOST_SOUNDS, ContrastiveConfig

MIXED = range(2, MOST_SOUNDS + 1)

MEANINGS = {
    "clips": "held-out clips",
    "training_clips": "training clips",
    "classes": "classes",
    "qbe_chance": "query by example, mAP by chance",
    "folds": "folds",
    "accuracy": "accuracy of a shallow network, held-out clips",
    "map": "mAP of a shallow network, held-out clips",
    "qbe_map": "query by example, mAP",
    "knn_accuracy": "accuracy of the five nearest training clips",
    "three_shot": "accuracy of prototypes of three clips a class",
    "folds_accuracy": "accuracy of a shallow network, cross-validated over folds",
    **{f"map_of_{n}": f"mAP of a shallow network, scenes of {n} sounds" for n in MIXED},
    **{f"qbe_map_of_{n}": f"query by example, mAP, scenes of {n} sounds" for n in MIXED},
    "whole clips": "same encoder, one embedding a clip",
    "supervised": "same encoder, trained with labels",
    "untrained": "same encoder, untrained",
}


def about(config: ContrastiveConfig, name: str) -> About:
    """Describe an encoder with this config and show how to use it."""
    model, seen = config.model, config.views
    first, second = seen.pair.split("-")
    separators = ", ".join(f"`{separator}`" for separator in seen.separators)
    made = "" if seen.pair == "mixture-mixture" else f" Channels come from {separators}."
    text = f"""An encoder of sound scenes, trained without labels (Fonseca et al., WASPAA 2021) by
{config.stage(0)} of two views, {first} and {second}.{made}
An embedding `h` has {model.embedding} dimensions.

```
python -m core embed street.wav --checkpoint {name} --out embeddings.npz
```"""
    return About("audio, self-supervised-learning, embeddings", text, "feature-extraction")
