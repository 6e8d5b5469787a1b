"""Swaps set beside the true renderings, on a toy corpus where a perfect model is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.data.store import Chunk, FeatureStore, StoreWriter
from core.dsae.config import ModelConfig
from core.dsae.evaluation.counterfactual import counterfactual
from core.dsae.layers import Gaussian

T = 6
COLOURS = {"Violin": -3.0, "Trumpet": 3.0}


def certain(mean: torch.Tensor) -> Gaussian:
    return Gaussian(mean, torch.full_like(mean, -40.0))


def perfect() -> SimpleNamespace:
    """v holds the last two of 80 bands, the colour and the octave; z the others."""

    def encode(x, lengths=None):
        return certain(x[..., -2:].mean(1)), certain(x[..., :-2])

    def decode(z, v, lengths=None):
        return torch.cat([z, v[:, None].expand(-1, z.shape[1], -1)], -1)

    return SimpleNamespace(config=ModelConfig(), encode=encode, decoder=decode)


def stored(folder, kinds, counterfactuals) -> FeatureStore:
    rows, mels = [], []
    for split, of in (("train", kinds), ("validation", kinds), ("counterfactual", counterfactuals)):
        for melody, (instrument, octave) in enumerate(of):
            about = {"name": f"{split}-{melody}", "split": split, "melody": str(melody)}
            rows.append(about | {"instrument": instrument, "octave": octave})
            tune = np.random.default_rng(melody).standard_normal((T, 78))
            global_part = np.tile([COLOURS[instrument], 10.0 * int(octave)], (T, 1))
            mels.append(np.hstack([tune, global_part]))
    writer = StoreWriter(folder, kind="toy", settings={}, chunks=1)
    writer.write(0, Chunk(rows, mels))
    return writer.finish()


def test_a_swap_of_the_instrument_keeps_the_octave(tmp_path):
    kinds = [("Violin", "4"), ("Trumpet", "4"), ("Violin", "5"), ("Trumpet", "5")] * 3
    other = [("Trumpet" if name == "Violin" else "Violin", octave) for name, octave in kinds]
    found = counterfactual(perfect(), stored(tmp_path / "toy", kinds, other), "instrument")
    assert found["counterfactual_error"]["value"] == pytest.approx(0.0, abs=1e-4)
    assert found["counterfactual_closer"]["value"] == 1.0


def test_a_rendering_that_no_validation_clip_is_like_is_left_out(tmp_path):
    kinds = [("Violin", "4"), ("Trumpet", "5")] * 3
    other = [("Trumpet", "4"), ("Violin", "5")] * 3
    assert counterfactual(perfect(), stored(tmp_path / "none", kinds, other), "instrument") == {}
    some = stored(tmp_path / "some", kinds, [("Trumpet", "4"), ("Violin", "4"), ("Trumpet", "5")])
    found = counterfactual(perfect(), some, "instrument")
    assert found["counterfactual_error"]["value"] == pytest.approx(0.0, abs=1e-4)
