import math
from pathlib import Path

import numpy as np
import pytest
import torch

from core.audio.clip import read
from core.audio.invert import to_waveform
from core.checkpoints import checkpoint
from core.dsae.evaluation.swap_grid import average, distance, moved, moved_sound
from core.dsae.latents import Latents, load


def latents(v: list[float], variance: list[float]) -> Latents:
    z = torch.zeros(3, 2)
    return Latents(torch.tensor(v), torch.tensor(variance).log(), z, z)


SOURCE = latents([0.0, 1.0, 0.0], [0.01, 0.04, 1.0])
TARGET = latents([1.0, 0.0, 0.1], [0.03, 0.04, 1.0])


def test_the_source_itself_is_at_0_and_the_target_itself_at_1():
    assert moved(SOURCE.v, SOURCE, TARGET) == pytest.approx(0)
    assert moved(TARGET.v, SOURCE, TARGET) == pytest.approx(1)
    assert moved((SOURCE.v + TARGET.v) / 2, SOURCE, TARGET) == pytest.approx(0.5)


def test_the_place_is_that_of_the_closest_point_of_the_line():
    encoded = torch.tensor([0.3, 0.2, -2.0])
    spread = np.sqrt([0.02, 0.04, 1.0])
    start, end, here = (np.array(v) / spread for v in (SOURCE.v, TARGET.v, encoded))
    places = np.linspace(-1, 2, 30_001)
    line = start + places[:, None] * (end - start)
    closest = places[np.square(line - here).sum(1).argmin()]
    assert moved(encoded, SOURCE, TARGET) == pytest.approx(closest, abs=2e-4)


def test_the_way_back_is_what_remains():
    encoded = torch.tensor([0.3, 0.2, 0.0])
    there, back = moved(encoded, SOURCE, TARGET), moved(encoded, TARGET, SOURCE)
    assert there + back == pytest.approx(1)


def test_distance_is_in_standard_deviations():
    first, second = latents([0.0, 0.0], [0.25, 1.0]), latents([1.5, 4.0], [0.25, 1.0])
    assert distance(first, second) == pytest.approx(5)


def test_two_that_the_model_takes_for_one_have_no_way_between_them():
    near = latents([0.05, 1.0, 0.5], [0.01, 0.04, 1.0])
    assert math.isnan(moved(TARGET.v, SOURCE, near))
    assert math.isnan(moved(SOURCE.v, SOURCE, SOURCE))


def test_an_average_leaves_out_what_is_not_known():
    assert average([0.5, math.nan, 1.0]) == (0.75, 2)
    mean, count = average([math.nan])
    assert math.isnan(mean) and count == 0


def swapped(name: str, examples: Path) -> tuple[float, float]:
    """Instrument moved by the swap of two rendered examples, and by rebuilding the first."""
    if not (checkpoint.SHIPPED / name).is_dir():
        pytest.skip(f"{name} does not ship")
    model = load(name)
    source, target = (
        model.encode(read(examples / f"dmelodies-{instrument}.flac"))
        for instrument in ("violin", "trumpet")
    )
    sounds = (to_waveform(model.swap(source, of)).numpy() for of in (target, source))
    after, before = (moved_sound(model, sound, source, target) for sound in sounds)
    return after, before


def test_a_swap_by_a_trained_model_moves_the_instrument_all_the_way(examples):
    after, before = swapped("ts-dsae-dmelodies", examples)
    assert after == pytest.approx(1, abs=0.1)
    assert before == pytest.approx(0, abs=0.1)


def test_in_a_collapsed_model_nothing_can_move(examples):
    assert all(math.isnan(value) for value in swapped("dsae-dmelodies", examples))
