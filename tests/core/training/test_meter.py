"""A GPU's load and memory, by a pretended driver and torch's counters where there is no GPU."""

import time
from types import SimpleNamespace

import pytest
import torch

from core.training import meter
from core.training.meter import Meter
from core.training.run import Run
from tests.core.training import fake_nvml
from tests.core.training.toy import Toy, small


@pytest.fixture
def one_gpu(tmp_path, monkeypatch):
    """A GPU 37 % busy, of which this process has had 3 GiB."""
    fake_nvml.install(tmp_path, monkeypatch, [("GPU-1234", "Small", 8192, 1024, 37)])
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 3 * 2**30)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    about = SimpleNamespace(uuid="1234")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: about)


def test_load_and_memory_are_read_now_and_then_without_waiting(one_gpu, monkeypatch):
    looked = Meter(torch.device("cuda", 0))
    assert looked.read() == {"gpu_memory": 3.0}  # the load is not there yet
    assert looked.read() == {}  # too soon
    looked.query.join()
    looked.next_look = time.monotonic()
    assert looked.read() == {"gpu_memory": 3.0, "gpu_load": 37.0}


def test_a_load_that_the_driver_does_not_give_is_left_out(one_gpu, tmp_path, monkeypatch):
    fake_nvml.install(tmp_path, monkeypatch, [("GPU-1234", "Small", 8192, 1024, None)])
    looked = Meter(torch.device("cuda", 0))
    looked.read()
    looked.query.join()
    looked.next_look = 0.0
    assert looked.read() == {"gpu_memory": 3.0}


def test_the_records_of_a_run_on_a_cpu_have_no_gpu_figures(tmp_path):
    from core.training.engine import train

    config = small(steps=6)
    run = Run.create(tmp_path / "run", config.model_dump())
    train(Toy(config), run, progress=False)
    assert not any("gpu_memory" in record for record in run.metrics())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_the_records_of_a_run_on_a_gpu_have_its_memory(tmp_path, monkeypatch):
    from core.training.engine import train

    monkeypatch.setattr(meter, "LOOK_SECONDS", 0.0)
    config = small(steps=20, device="cuda")
    run = Run.create(tmp_path / "run", config.model_dump())
    train(Toy(config), run, progress=False)
    assert list(run.metrics("train"))[-1]["gpu_memory"] > 0
