import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from core import statistics
from core.cli import main
from core.dsae.evaluation import judged_swaps, swap_pairs
from core.dsae.evaluation.judged_swaps import JudgeSources
from core.dsae.evaluation.player_swaps import PlayerOptions, measure, prepared, score
from core.dsae.evaluation.real_counterfactuals import Counterfactuals
from core.dsae.latents import Latents
from core.errors import RavelError
from tests.core.dsae.evaluation import tones


class Copy:
    """A model whose swaps are copies of the source: every note is kept and no instrument moves."""

    config = SimpleNamespace(model=SimpleNamespace(floor=-12.0))

    def encode(self, x: np.ndarray) -> Latents:
        z = torch.from_numpy(x)
        return Latents(z.mean(0), torch.zeros(80), z, torch.zeros_like(z))

    def decode(self, v: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return z


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(swap_pairs, "RESAMPLES", 50)
    monkeypatch.setattr(statistics, "RESAMPLES", 50)


MELODIES = [[67, 69, 71, 72], [69, 71, 72, 74], [71, 72, 74, 76]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("players")
    low = [[note - 5 for note in melody] for melody in MELODIES]
    tones.folder(
        root / "duo",
        [("flute", melody, {}) for melody in MELODIES] + [("oboe", melody, {}) for melody in low],
    )
    tones.folder(
        root / "judge",
        [
            (name, [note + offset for note in MELODIES[0]], {"set": "learnt"})
            for name in ("flute", "oboe")
            for offset in (-6, 0, 6)
        ],
    )
    tones.folder(
        root / "notes",
        [
            (name, [pitch], {"kind": "note", "midi_pitch": str(pitch), "set": "notes"})
            for name in ("flute", "oboe")
            for pitch in range(61, 78, 4)
        ],
    )
    return root


def sources(root, **more):
    judge, notes = str(root / "judge"), str(root / "notes")
    return JudgeSources((judge,), notes=(notes,), **more)


@pytest.fixture(scope="module")
def options(folders):
    """The second test finds what the first has kept, wherever they run in order."""
    return PlayerOptions(
        (str(folders / "duo"),),
        tracker="swift",
        judge=sources(folders, elsewhere=(str(folders / "duo"),)),
        judge_seeds=1,
        judge_steps=40,
        cache=str(folders / "kept"),
    )


def test_a_model_that_copies_keeps_every_note_and_moves_no_instrument(options):
    found = score(Copy(), options)
    assert found["duo/pitch_swap"] > 0.9
    assert found["duo/pitch_swap"] == pytest.approx(found["duo/pitch_round_trip"], abs=0.02)
    assert set(found) >= {"duo/pitch_swap_near", "duo/pitch_table/flute as oboe"}
    assert "duo/pitch_swap_far" not in found  # the registers are 5 semitones apart
    assert found["duo/nearer_swap"] == 0.0
    assert found["duo/nearer_rebuilt"] == found["duo/nearer_original"] == 1.0
    assert found["duo/judge_original"] > 0.9 and found["duo/judge_ceiling"] > 0.9
    assert found["duo/judge_elsewhere"] == found["duo/judge_original"]  # the same recordings
    assert found["duo/judge_swap"] < 0.1 and found["duo/judge_swap_as_source"] > 0.9
    assert found["duo/judge_ceiling_as_source"] < 0.1
    assert found["duo/instrument_in_z"] > 0.9


class Blend(Copy):
    """A model that moves the mean spectrum by what v says, of the way to the target's."""

    def decode(self, v: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return z - z.mean(0) + v


def test_swaps_of_strength_0_are_reconstructions_and_of_1_the_swaps(options):
    several = replace(options, judge=None, strengths=(0.0, 0.5, 1.0))
    found = score(Blend(), several)
    kept = [found[f"duo/pitch_by_strength/{s}"] for s in ("0", "0.5", "1")]
    nearer = [found[f"duo/nearer_by_strength/{s}"] for s in ("0", "0.5", "1")]
    assert kept[0] > 0.9 and kept[2] == found["duo/pitch_swap"]
    assert nearer[0] == 0.0 and nearer[2] == found["duo/nearer_swap"]
    assert nearer == sorted(nearer)


def test_what_does_not_depend_on_the_model_is_computed_once(options, monkeypatch):
    first = measure(Copy(), options)
    monkeypatch.setattr(judged_swaps.judge_clips, "excerpts", None)  # what is kept is not made
    monkeypatch.setattr(judged_swaps.real_counterfactuals, "play", None)
    assert measure(Copy(), options) == first


def test_a_judge_that_learns_from_the_players_is_tested_on_other_recordings(options, folders):
    asked = []

    class Judge:
        def predict(self, clips, among):
            asked.append(len(clips))
            return np.array(among)[np.zeros(len(clips), int)]

    clips = prepared(options.folders[0], options)
    assert clips.first.tolist() == [True, False, False] * 2  # three recordings of each instrument
    pairs = swap_pairs.between_instruments(clips.instrument, None, clips.first)
    made = {"swap": (pairs, clips.log_mel[pairs.source])}
    judged_swaps.scores(Judge(), clips, made, None, own=True)
    assert asked == [4, 8, 8]  # originals and swaps of the second half
    own = sources(folders, own=True)
    learnt = judged_swaps.learnt(own, ["flute", "oboe"], 60, 76, "swift", options.folders)
    assert set(learnt.collection.tolist()) == {"learnt", "duo"}


class Told:
    """A judge that gets the right answers for as many clips as it is asked about, or guesses."""

    def __init__(self, answers):
        self.answers = answers

    def predict(self, clips, among):
        return self.answers.get(len(clips), np.array([among[0]] * len(clips)))


def test_swaps_are_measured_by_what_the_judge_makes_of_real_instruments(options):
    clips = prepared(options.folders[0], options)
    other = np.where(clips.instrument == "flute", "oboe", "flute")
    real = Counterfactuals(clips.log_mel, np.arange(6), other)  # 6 of them, and 8 or 10 swaps
    pairs = swap_pairs.between_instruments(clips.instrument, None, clips.first)
    made = {"swap": (pairs, clips.log_mel[pairs.source])}
    expected = clips.instrument[pairs.target]
    wrong = expected.copy()
    wrong[:5] = clips.instrument[pairs.source[:5]]
    sure = judged_swaps.scores(Told({6: other, len(pairs): wrong}), clips, made, real)
    assert sure["judge_ceiling"]["value"] == 1.0
    assert sure["judge_ceiling_as_source"]["value"] == 0.0
    assert sure["judge_swap_as_source"]["value"] == pytest.approx(5 / len(pairs), abs=1e-3)
    assert (
        sure["judge_share"]
        == sure["judge_swap_reached"]["value"]
        == pytest.approx(f1_score(expected, wrong, average="macro"), abs=1e-3)
    )
    blind = judged_swaps.scores(Told({len(pairs): expected}), clips, made, real)
    assert "judge_share" not in blind  # one that guesses on real notes cannot judge swaps


def test_a_judge_is_not_checked_with_what_it_learnt_from(folders):
    shared = JudgeSources((str(folders / "notes"),), notes=(str(folders / "notes"),))
    options = PlayerOptions((str(folders / "duo"),), judge=shared)
    with pytest.raises(RavelError, match="choose other collections"):
        measure(Copy(), options)


def test_recordings_that_cannot_check_the_judge_are_refused(folders):
    with pytest.raises(RavelError, match="cannot check the judge"):
        judged_swaps.on_others(None, [str(folders / "duo")], ["tuba", "oboe"])


def test_evaluate_prints_and_records_the_scores_of_players(folders, untrained, tmp_path, capsys):
    checkpoint = shutil.copytree(untrained, tmp_path / "mine")
    given = ["evaluate", str(checkpoint), "--players", str(folders / "duo"), "--most", "2"]
    assert main(given) == 0
    scores = json.loads((checkpoint / "metrics.json").read_text())["players of duo"]
    assert scores["tracker"] == "crepe"
    assert set(scores["pitch_swap"]) == {"value", "low", "high"}
    assert set(scores["register_in_v"]) == set()  # three clips of each are too few
    said = capsys.readouterr().out
    assert "pitch kept (50 cents), swaps" in said and "nearer to the target" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--players", "nowhere"], "nowhere is not a folder"),
        (["--players", "DUO", "--notes", "NOTES"], "give --judge FOLDER"),
        (["--players", "DUO", "--judge", "JUDGE", "--judge-sets", "x"], "collection 'x'"),
    ],
)
def test_what_cannot_be_scored_is_refused(folders, untrained, words, message, capsys):
    names = {"DUO": "duo", "NOTES": "notes", "JUDGE": "judge"}
    words = [str(folders / names[word]) if word in names else word for word in words]
    assert main(["evaluate", str(untrained), *words]) != 0
    assert message in capsys.readouterr().err
