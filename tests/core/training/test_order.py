"""The order of examples: every one once an epoch, drawn once, the same whenever it is asked for."""

import pytest
import torch

from core import registry
from core.errors import RavelError
from core.training.order import Order


def test_an_epoch_has_every_example_once_and_the_next_one_another_order():
    order = Order(100, batch_size=32, seed=3)
    assert order.epoch_steps == 4
    first, second = (torch.cat([order.batch(e * 4 + i) for i in range(4)]) for e in (0, 1))
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(100))
    assert not torch.equal(first, second)
    resumed = Order(100, batch_size=32, seed=3)
    assert torch.equal(resumed.batch(6), second[64:96])


def test_an_epoch_s_order_is_drawn_once(monkeypatch):
    drawn, draw = [], torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *a, **k: drawn.append(a) or draw(*a, **k))
    order = Order(100, batch_size=8, seed=0)
    for step in range(order.epoch_steps):
        order.batch(step)
    assert len(drawn) == 1


@pytest.mark.parametrize(("smallest", "steps"), [(1, 4), (2, 3)])
def test_what_is_left_of_an_epoch_counts_if_it_is_large_enough(smallest, steps):
    assert Order(22, batch_size=7, seed=0, smallest=smallest).epoch_steps == steps


def test_the_papers_epoch_has_19_steps_on_dmelodies_and_17_on_urmp():
    for clips, preset in ((2400, "paper"), (2079, "urmp")):
        config = registry.parse(registry.preset("dsae", preset))
        training = config.training
        epoch = Order(clips, training.batch_size, seed=0).epoch_steps
        assert (training.validate_every, training.steps) == (epoch, 4_000 * epoch)
        assert config.objective.stage1_steps == 300 * epoch


def test_more_processes_than_clips_in_a_batch_are_refused():
    with pytest.raises(RavelError, match=r"training\.batch_size is 1 .* 2 processes"):
        Order(100, batch_size=1, seed=0, processes=2)
    assert Order(17, batch_size=8, seed=0, processes=2).epoch_steps == 2


def test_no_examples_are_refused():
    with pytest.raises(RavelError, match="no training clips"):
        Order(0, batch_size=8, seed=0)
