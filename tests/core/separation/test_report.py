"""The report of a separator: scores, baselines, card."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from core import registry, statistics
from core.audio.clip import read
from core.audio.mel import log_mel
from core.checkpoints import checkpoint as checkpoints
from core.data.store import Chunk, FeatureStore, StoreWriter, to_pcm
from core.errors import RavelError
from core.registry import EvaluationOptions
from core.separation import report
from core.separation.config import SeparationConfig
from core.separation.evaluate import (
    Figures,
    gained_over,
)
from core.separation.model import Separator


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)


@pytest.fixture(scope="module")
def store(tmp_path_factory, examples) -> FeatureStore:
    """The bundled recordings, each a held-out clip; two to train on."""
    rows, mels, waves = [], [], []
    for file in sorted(examples.glob("*.flac")):
        wave = read(file).segment(0.0, 1.5).wave
        label = file.stem.split("-")[0]
        rows.append({"name": file.stem, "split": "validation", "label": label})
        mels.append(log_mel(wave).numpy())
        waves.append(to_pcm(wave))
    writer = StoreWriter(tmp_path_factory.mktemp("stores") / "few", kind="t", settings={}, chunks=1)
    writer.write(0, Chunk(rows, mels, waves))
    return writer.finish()


@pytest.fixture
def checkpoint(tmp_path):
    """An untrained separator with a snapshot, and a card that waits for scores."""
    config = SeparationConfig.parse({"model": {**registry.preset("separation", "tiny")["model"]}})
    torch.manual_seed(0)
    weights, early = (Separator(config.model).state_dict() for _ in range(2))
    made = checkpoints.write(tmp_path / "fresh", config.model_dump(), weights, {0: early, 7: early})
    card = (
        "# Fresh\n<!-- scores: written by `python -m core evaluate` -->\n<!-- end of scores -->\n"
    )
    (made.path / "README.md").write_text(card)
    return made


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(report, "COUNTS", {2: 5, 3: 2, 1: 2})
    monkeypatch.setattr(report, "SECONDS", 1.0)


def test_a_report_is_printed_kept_and_put_on_the_card(store, checkpoint, few):
    said = []
    report.on_store([str(checkpoint.path)], str(store.path), said.append)
    kept = json.loads((checkpoint.path / "metrics.json").read_text())["few"]
    assert (kept["mixtures"], kept["single_sources"]) == (7, 2)
    rows = [name for name, value in kept.items() if isinstance(value, dict)]
    assert rows == list(report.ORDER)
    assert kept["nothing"]["msi_median"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert kept["ideal ratio mask"]["msi_median"]["value"] > 8
    assert kept["ideal ratio mask"]["equal"]["value"] == 1.0
    assert abs(kept["untrained"]["si_snri_2_median"]["value"]) < 4
    for row in rows:
        rates = [kept[row][name]["value"] for name in ("under", "equal", "over")]
        assert sum(rates) == pytest.approx(1.0, abs=1e-3)
        assert all(np.isfinite(list(score.values())).all() for score in kept[row].values())
    card = (checkpoint.path / "README.md").read_text()
    assert "| SI-SNR improvement, mixtures of 2: median, dB |" in card
    assert "NMF, clustered" in card and "held-out mixtures of two to four sources | 7" in card
    assert "ideal ratio mask" in said[-1] and "untrained" in said[-1]


def test_a_snapshot_is_a_row_beside_its_run_and_leaves_the_others(store, checkpoint, few):
    report.on_store([str(checkpoint.path)], str(store.path), lambda text: None)
    before = json.loads((checkpoint.path / "metrics.json").read_text())["few"]
    report.on_store([f"{checkpoint.path}@7"], str(store.path), lambda text: None)
    after = json.loads((checkpoint.path / "metrics.json").read_text())["few"]
    assert list(after) == ["mixtures", "single_sources", "separator", "step 7", *report.ORDER[1:]]
    assert {name: after[name] for name in before} == before
    assert after["step 7"] == after["untrained"]  # the same weights on the same mixtures


def test_alone_a_separator_is_scored_as_beside_the_baselines(store, checkpoint, few):
    whole = EvaluationOptions(data=str(store.path))
    report.evaluate([str(checkpoint.path)], whole, lambda text: None)
    path = checkpoint.path / "metrics.json"
    before = json.loads(path.read_text())["few"]["separator"]
    path.unlink()
    report.evaluate([str(checkpoint.path)], replace(whole, alone=True), lambda text: None)
    after = json.loads(path.read_text())["few"]
    assert list(after) == ["mixtures", "single_sources", "separator"]
    before.pop("over_nmf")
    assert after["separator"] == before


def test_rows_of_other_mixtures_are_not_kept(store, checkpoint, few, monkeypatch):
    report.on_store([f"{checkpoint.path}@7"], str(store.path), lambda text: None)
    monkeypatch.setattr(report, "COUNTS", {2: 3})
    report.on_store([str(checkpoint.path)], str(store.path), lambda text: None)
    kept = json.loads((checkpoint.path / "metrics.json").read_text())["few"]
    assert kept["mixtures"] == 3 and "step 7" not in kept


def test_published_mixtures_are_scored_as_they_are(tmp_path, checkpoint, examples):
    import soundfile

    waves = [read(examples / f"{name}-1.flac").segment(0, 1.0).wave for name in ("flute", "violin")]
    root = tmp_path / "ssdata"
    for number, gain in enumerate((1.0, 0.5, 0.25)):
        sources = root / "eval" / f"example0{number}_sources"
        sources.mkdir(parents=True)
        parts = [0.2 * waves[0], 0.2 * gain * waves[1]]
        for name, part in zip(("background0_sound", "foreground0_sound"), parts, strict=True):
            soundfile.write(sources / f"{name}.wav", part, 16_000)
        soundfile.write(root / "eval" / f"example0{number}.wav", sum(parts), 16_000)
    report.on_store([str(checkpoint.path)], str(root), lambda text: None)
    kept = json.loads((checkpoint.path / "metrics.json").read_text())["ssdata eval"]
    assert (kept["mixtures"], kept["single_sources"]) == (3, 0)
    assert kept["ideal ratio mask"]["msi_mean"]["value"] > 8


def test_a_folder_that_holds_no_mixtures_is_refused(tmp_path, checkpoint):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(RavelError, match=r"feature store|published mixtures"):
            report.on_store([str(checkpoint.path)], str(path), lambda text: None)


def test_a_paired_gain_is_of_the_mixtures_of_two_that_both_were_measured_on():
    gains = torch.tensor([3.0, 5.0, 9.0, 4.0, 100.0])
    sources, counted = torch.tensor([2, 2, 3, 2, 2]), torch.tensor([2, 2, 3, 2, 0])
    nothing = torch.zeros(5)
    one = Figures(sources, sources, counted, nothing, gains, nothing)
    other = Figures(sources, sources, sources, nothing, torch.ones(5), nothing)
    found = gained_over(one, other)["over_nmf"]
    assert found["value"] == 3.0  # of 2, 4 and 3
    assert 2.0 <= found["low"] <= found["high"] <= 4.0
