import numpy as np
import pytest

from core.dsae.evaluation import balanced_judge
from core.dsae.evaluation.judge_clips import Excerpts
from core.errors import RavelError

LOW, HIGH = 50.0, 70.0


def excerpts(rows: list[tuple[str, float]]) -> Excerpts:
    """Log-mels whose loudest band is the register, and a weaker one the instrument."""
    rng = np.random.default_rng(0)
    mels = rng.normal(0, 0.5, (len(rows), 64, 80)) - 8
    for mel, (label, register) in zip(mels, rows, strict=True):
        mel[:, 4 if register < 60 else 14] += 8
        mel[:, 60 if label == "oboe" else 68] += 1.5
    names, registers = zip(*rows, strict=True)
    collection = np.array(["one"] * len(rows))
    return Excerpts(mels.astype(np.float16), np.array(names), np.array(registers), collection)


# Flutes are high and oboes low, but for one in fifty.
USUAL = [("oboe", LOW)] * 98 + [("oboe", HIGH)] * 2 + [("flute", LOW)] * 2 + [("flute", HIGH)] * 98
COUNTER = [("oboe", HIGH)] * 20 + [("flute", LOW)] * 20


@pytest.fixture(scope="module")
def judges():
    learnt = excerpts(USUAL)
    return {
        balanced: balanced_judge.train(learnt, seeds=1, steps=40, balanced=balanced)
        for balanced in (True, False)
    }


def test_the_balanced_judge_goes_by_the_instrument_where_the_other_goes_by_register(judges):
    asked = excerpts(COUNTER)
    clips = asked.log_mel.astype(np.float32)
    right = {
        balanced: (judge.predict(clips, judge.labels) == asked.label).mean()
        for balanced, judge in judges.items()
    }
    assert right[True] > 0.9
    assert right[False] < 0.5  # a swap that transposes would please it


def test_both_name_recordings_in_their_usual_register(judges):
    asked = excerpts(USUAL)
    for judge in judges.values():
        named = judge.predict(asked.log_mel.astype(np.float32), ["flute", "oboe"])
        assert (named == asked.label).mean() > 0.9


def test_level_does_not_count_and_longer_clips_are_averaged(judges):
    clips = excerpts(COUNTER[:3]).log_mel.astype(np.float32)
    once = judges[True].probabilities(clips)
    assert judges[True].probabilities(clips + 5) == pytest.approx(once, abs=1e-4)
    assert judges[True].probabilities(np.tile(clips, (1, 2, 1))) == pytest.approx(once, abs=0.01)
    assert once.sum(1) == pytest.approx(np.ones(3), abs=1e-5)


def test_a_small_collection_counts_as_much_as_a_large_one():
    """Of two collections with opposite answers the larger decides, unless both count the same."""
    rows = [("oboe", LOW)] * 50 + [("flute", LOW)] * 50
    learnt = excerpts(rows)
    rng = np.random.default_rng(0)
    names = np.where(np.arange(100) % 50 < 45, "large", "small")
    cells = balanced_judge.cells_of(
        np.unique(learnt.label, return_inverse=True)[1], learnt._replace(collection=names)
    )
    picked = [balanced_judge.drawn(cells, rng) for _ in range(2000)]
    assert (names[picked] == "small").mean() == pytest.approx(0.5, abs=0.05)
    assert (learnt.label[picked] == "oboe").mean() == pytest.approx(0.5, abs=0.05)


def test_what_it_cannot_judge_is_refused(judges):
    with pytest.raises(RavelError, match="64 frames or more"):
        judges[True].probabilities(np.zeros((2, 50, 80)))
    with pytest.raises(RavelError, match="not trained on 'tuba'"):
        judges[True].predict(np.zeros((1, 64, 80)), ["flute", "tuba"])


def test_what_it_cannot_learn_from_is_refused():
    with pytest.raises(RavelError, match="two instruments"):
        balanced_judge.train(excerpts([("flute", LOW)] * 4))
    with pytest.raises(RavelError, match="share a register"):
        balanced_judge.train(excerpts([("flute", HIGH)] * 4 + [("oboe", LOW)] * 4))
