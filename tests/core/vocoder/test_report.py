"""Vocoders scored beside Griffin-Lim by the command, on true and on swapped log-mels."""

import shutil

import numpy as np
import pytest
import torch

from core.audio import invert, pitch
from core.audio.mel import log_mel
from core.checkpoints.checkpoint import Checkpoint
from core.cli import main
from core.data import dmelodies
from core.data.store import FeatureStore
from core.dsae.samples import swap_by_name
from core.vocoder import evaluate, report
from core.vocoder.objective import stft_distance

FIGURES = {
    "stft_convergence", "stft_decibels", "log_mel_decibels", "rpa_crepe_tiny", "fad_crepe_tiny",
    "real_time",
}  # fmt: skip


@pytest.fixture
def mine(checkpoint, tmp_path):
    """A copy of the small vocoder that may be written to."""
    return Checkpoint(shutil.copytree(checkpoint.path, tmp_path / "mine"))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Eight melodies, half of them held out, with their sound and counterfactuals."""
    folder = tmp_path_factory.mktemp("stores") / "rendered"
    return dmelodies.build(folder, count=8, validation=0.5, workers=1, progress=False).path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_evaluate_keeps_three_ways_side_by_side_and_prints_them(mine, instruments, capsys):
    assert run("evaluate", mine.path, "--data", instruments, "--melodies", 3) == 0
    scores = Checkpoint(mine.path).metrics["instruments"]
    assert scores["clips"] == 3
    assert set(scores) == {"clips", "vocoder", "griffin-lim", "griffin-lim, paper"}
    for name, row in scores.items():
        if name != "clips":
            assert set(row) == FIGURES and row["real_time"] > 1
    assert scores["griffin-lim"]["rpa_crepe_tiny"]["value"] > 0.8
    printed, card = capsys.readouterr().out, (mine.path / "README.md").read_text()
    for text in (printed, card):
        assert "Griffin-Lim" in text or "griffin-lim" in text
        assert "log-mel error of the round trip, dB" in text


def test_figures_are_what_the_parts_say(instruments):
    store = FeatureStore.open(instruments)
    pairs = evaluate.held_out(store, 2)
    row = evaluate.compare(pairs, {"way": invert.to_waveform})["way"]
    made = [invert.to_waveform(mel) for mel in pairs.log_mels]
    ratios = [
        stft_distance(one[None], wave[None, : len(one)])[0].item()
        for one, wave in zip(made, pairs.waves, strict=True)
    ]
    assert row["stft_convergence"]["value"] == pytest.approx(np.mean(ratios), abs=1e-3)
    apart = [
        (log_mel(one).clamp(min=-12) - mel.clamp(min=-12)).abs().mean() * 10 / np.log(10)
        for one, mel in zip(made, pairs.log_mels, strict=True)
    ]
    assert row["log_mel_decibels"]["value"] == pytest.approx(np.mean(apart), abs=1e-3)
    right = pitched = 0
    for one, wave in zip(made, pairs.waves, strict=True):
        tracked, true = (pitch.track(x, hop_seconds=0.02) for x in (one, wave))
        voiced = true.confidence[0] >= 0.5
        cents = 1200 * np.abs(np.log2(tracked.f0[0] / true.f0[0]))
        right, pitched = right + (cents <= 50)[voiced].sum(), pitched + voiced.sum()
    assert row["rpa_crepe_tiny"]["value"] == pytest.approx(right / pitched, abs=5e-3)


def test_the_original_sound_has_no_distance(instruments):
    pairs = evaluate.held_out(FeatureStore.open(instruments), 2)
    waves = {id(mel): wave for mel, wave in zip(pairs.log_mels, pairs.waves, strict=True)}
    row = evaluate.compare(pairs, {"truth": lambda mel: waves[id(mel)]})["truth"]
    assert row["stft_convergence"]["value"] == 0 and row["log_mel_decibels"]["value"] < 1e-4
    assert row["rpa_crepe_tiny"]["value"] == 1
    assert row["fad_crepe_tiny"]["value"] == pytest.approx(0, abs=1e-4)


def test_what_a_model_swapped_is_compared_with_the_true_rendering(mine, rendered, untrained):
    pairs, where = report.swapped_pairs(str(untrained), str(rendered), 4, swap_by_name)
    assert where == "rendered, swapped by untrained"
    store = FeatureStore.open(rendered)
    truth = store.indices("counterfactual")
    assert len(pairs.waves) == len(truth) == 4
    for wave, row, mel in zip(pairs.waves, truth, pairs.log_mels, strict=True):
        assert torch.equal(wave, torch.from_numpy(store.clip(int(row)).wave[: len(wave)]))
        assert mel.shape == (251, 80)
    assert (
        run("evaluate", mine.path, "--data", rendered, "--swapped", untrained, "--melodies", 4) == 0
    )
    assert where in Checkpoint(mine.path).metrics


@pytest.mark.parametrize(
    "more, said",
    [
        (["--melodies", 1], "two clips or more"),
        (["--real", "recordings"], "is a vocoder"),
    ],
)
def test_the_error_says_why_something_cannot_be_scored(mine, instruments, capsys, more, said):
    assert run("evaluate", mine.path, "--data", instruments, *more) != 0
    assert said in capsys.readouterr().err


def test_stores_without_sound_or_true_renderings_are_refused(
    mine, instruments, melodies, untrained, capsys
):
    assert run("evaluate", mine.path, "--data", melodies) != 0
    assert "log-mels only" in capsys.readouterr().err
    swapped = ["--swapped", untrained]
    assert run("evaluate", mine.path, "--data", instruments, *swapped) != 0
    assert "no true renderings" in capsys.readouterr().err
    assert run("evaluate", mine.path, "--data", melodies, *swapped) != 0
    assert "with its audio" in capsys.readouterr().err
