"""Scores of real duets: which channel stands for which player, and what a remix keeps of both."""

import numpy as np
import pytest
import soundfile
import torch

from core.audio.clip import SAMPLE_RATE, read
from core.checkpoints.checkpoint import SHIPPED, Checkpoint
from core.cli import main
from core.dsae import latents
from core.errors import RavelError
from core.remix import evaluate
from core.vocoder.play import play

SECONDS = 1.5


@pytest.fixture(scope="module")
def stems(examples, tmp_path_factory):
    """A folder of two pieces: violin and trumpet, and violin and clarinet that rests at the end."""
    folder, rows = tmp_path_factory.mktemp("stems"), ["file,instrument,piece"]
    parts = [("violin-1", "one"), ("trumpet-1", "one"), ("violin-2", "two"), ("clarinet-1", "two")]
    for name, piece in parts:
        wave = np.tile(read(examples / f"{name}.flac").wave, 2)[: round(3.2 * SAMPLE_RATE)] / 2
        if name == "clarinet-1":
            wave[round(SECONDS * SAMPLE_RATE) :] *= 1e-4
        soundfile.write(folder / f"{name}.wav", wave, SAMPLE_RATE)
        rows.append(f"{name}.wav,{name.split('-')[0]},{piece}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def duets(stems, monkeypatch):
    monkeypatch.setattr(evaluate, "SECONDS", SECONDS)
    return evaluate.read_duets([str(stems)])


class Perfect:
    """Gives two stems back, the second one first, each with a little of the other."""

    name = "perfect"

    def __init__(self, duets):
        waves = [torch.from_numpy(np.stack([c.wave for c in duet.stems])) for duet in duets]
        self.known = [(stems.sum(0), stems) for stems in waves]

    def separate(self, mixture):
        stems = next(stems for known, stems in self.known if torch.equal(known, mixture))
        return stems.flip(0) * 0.99 + stems * 0.01


def test_a_duet_is_two_players_of_one_piece_while_both_play(duets):
    found = [(duet.piece, *(clip.name for clip in duet.stems)) for duet in duets]
    one = ("one", "trumpet-1", "violin-1")
    assert found == [one, one, ("two", "clarinet-1", "violin-2")]
    assert {len(clip.wave) for duet in duets for clip in duet.stems} == {24_000}
    assert not np.array_equal(duets[0].stems[0].wave, duets[1].stems[0].wave)


def test_stems_keep_the_level_they_were_recorded_with(duets):
    assert 0.3 < np.abs(duets[0].stems[0].wave).max() < 0.51


def test_fewer_duets_are_spread_over_all(stems, monkeypatch):
    monkeypatch.setattr(evaluate, "SECONDS", SECONDS)
    assert [d.piece for d in evaluate.read_duets([str(stems)], most=2)] == ["one", "two"]
    with pytest.raises(RavelError, match="--most 1"):
        evaluate.read_duets([str(stems)], most=1)


def test_a_folder_without_pieces_is_refused(examples):
    with pytest.raises(RavelError, match="'piece'"):
        evaluate.read_duets([str(examples)])


def test_each_channel_stands_for_the_stem_it_is_nearest_to(duets):
    made = evaluate.Duets(duets, Perfect(duets))
    stems, channels = made.originals.waves, made.channels
    for stem, channel, other in zip(stems, channels, made.pairs, strict=True):
        assert torch.allclose(channel, 0.99 * stem + 0.01 * stems[other[1]], atol=1e-6)
    assert made.improvement.min() > 10  # a hundredth of the other is some 40 dB below
    assert made.pairs[:4] == [(0, 1), (1, 0), (2, 3), (3, 2)]
    assert made.pieces.tolist() == ["one"] * 4 + ["two"] * 2


@pytest.fixture(scope="module")
def model():
    return latents.load("ts-dsae-instruments")


def test_what_a_model_makes_of_separated_duets_is_judged(duets, model):
    made = evaluate.Duets(duets, Perfect(duets))
    counts = []

    def violins(log_mels):
        counts.append(len(log_mels))
        return np.array(["violin"] * len(log_mels))

    scores = evaluate.score(model, made, {"judge": violins}, play, progress=False)
    assert scores["duets"] == 3 and scores["si_snri"]["value"] > 10
    assert scores["stem"]["melody"]["value"] == 1.0
    assert scores["channel"]["melody"]["value"] > 0.95
    for row in ("rebuilt", "exchanged", "preset", "stems exchanged"):
        assert scores[row]["melody"]["value"] > 0.6, row
        assert scores[row]["fad"]["value"] > scores["channel"]["fad"]["value"]
    # Three of six are violins, two trumpets, one a clarinet: F1 2/3, 0 and 0.
    assert scores["exchanged"]["judge"]["value"] == pytest.approx(2 / 9, abs=1e-3)
    assert sum(counts) == 6 * 6
    assert scores["recognised_stems_3"]["value"] >= scores["recognised_stems_1"]["value"] > 0.3
    assert scores["leak_z_stems"] == {}  # six stems are too few for a probe


def test_a_silent_channel_keeps_no_melody(duets, model):
    class Mute(Perfect):
        def separate(self, mixture):
            return torch.stack([mixture, torch.zeros_like(mixture)])

    scores = evaluate.score(model, evaluate.Duets(duets, Mute(duets)), {}, play, progress=False)
    assert scores["recognised_channels_3"]["value"] <= 0.5
    assert scores["exchanged"]["melody"]["value"] < 0.2


def test_for_a_model_without_instruments_the_error_says_how_to_add_them(duets, untrained):
    made = evaluate.Duets(duets, Perfect(duets))
    with pytest.raises(RavelError, match="python -m core instruments"):
        evaluate.score(latents.load(untrained), made, {}, play)


@pytest.mark.parametrize(
    ("label", "name"),
    [("violin", "violin"), ("Saxophone", "tenor saxophone"), ("French-Horn", "french horn")],
)
def test_a_label_is_found_among_the_names(label, name):
    assert evaluate.matching_instrument(label, ["tenor saxophone", "violin", "french horn"]) == name


def test_a_label_that_no_name_fits_is_refused():
    with pytest.raises(RavelError, match="not include harp"):
        evaluate.matching_instrument("harp", ["violin", "harpsichord"])


def test_from_the_command_line_the_scores_are_kept(stems, examples, monkeypatch, tmp_path, capsys):
    """Two pieces through the models that ship; the judge learns from the examples alone."""
    import shutil

    monkeypatch.setattr(evaluate, "SECONDS", SECONDS)
    shutil.copytree(SHIPPED / "ts-dsae-instruments", tmp_path / "model")
    given = ["--duets", str(stems), "--judge", str(examples), "--route", "live"]
    assert main(["evaluate", str(tmp_path / "model"), *given]) == 0
    assert "| what | model |" in capsys.readouterr().out
    kept = Checkpoint(tmp_path / "model").metrics["real duets"]
    assert kept["duets"] == 3 and kept["route"] == "live"
    assert kept["separator"] == "separator-duets"
    assert "**real duets**" in (tmp_path / "model" / "README.md").read_text()


def test_duets_are_for_models_that_disentangle(stems, capsys):
    assert main(["evaluate", "separator-duets", "--duets", str(stems)]) == 2
    assert "mixtures" in capsys.readouterr().err
