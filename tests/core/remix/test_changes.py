"""What cannot become of a channel is refused, in words."""

import pytest

from core.dsae import latents
from core.errors import RavelError
from core.remix.changes import Change
from core.remix.remix import remix


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({3: Change()}, "no channel 3: the separator makes 2"),
        ({1: Change(melody=0)}, "no channel 0"),
        ({1: Change(instrument="kazoo")}, "'kazoo'.*bassoon, cello"),
        ({1: Change(level=float("nan"))}, "level of nan"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_before_any_work(
    duet, models, monkeypatch, changes, words
):
    monkeypatch.setattr(models[0], "separate", None)
    with pytest.raises(RavelError, match=words):
        remix(duet, *models, changes)


def test_a_model_that_knows_no_instruments_says_how_to_tell_it(duet, models, untrained):
    model = latents.load(untrained)
    with pytest.raises(RavelError, match="python -m core instruments"):
        remix(duet, models[0], model, {1: Change(instrument="violin")})
    made = remix(duet, models[0], model, {})
    assert made.stems[0].likeness == []
