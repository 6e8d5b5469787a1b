"""Every system on a pretended second device, where tensors made on the wrong one are found."""

import json

import pytest
import torch

from core.separation import task
from tests.gpu import cases, checks, pretended
from tests.gpu.__main__ import Row, check_systems, main, write


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A corpus and a separator."""
    folder = tmp_path_factory.mktemp("gpu")
    return cases.corpus(folder / "tones").path, cases.separator(folder / "separator")


# Weights are loaded into modules that were moved: PyTorch takes the device for one without values.
pytestmark = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")

# Here the host waits: lengths of packed sequences, silent excerpts that are drawn again,
# assignments of channels, and clips that are grouped by their separator.
WAITS = {"ts-dsae, recurrent", "mixit", "pit, stft", "self-remixing", "contrastive"}
RUNS = ("ts-dsae", "players", "mixit", "self-remixing", "vocoder")  # the script's: contrastive


@pytest.fixture(autouse=True)
def few_mixtures(monkeypatch):
    monkeypatch.setattr(task, "HELD_OUT", 6)
    monkeypatch.setattr(task, "SINGLE", 3)


@pytest.mark.parametrize("name", cases.CASES)
def test_a_system_s_steps_are_those_of_the_cpu(name, material):
    config = cases.config(name, *material)
    with pretended.device():
        found = checks.step(config, pretended.DEVICE)
    assert max(found) < 1e-5, found


@pytest.mark.parametrize("name", RUNS)
def test_a_run_crosses_over_and_comes_back(name, material, tmp_path):
    config = cases.config(name, *material)
    with pretended.device():
        found = checks.crossing(config, "meta", tmp_path)
    assert max(found) < 1e-4, found


@pytest.mark.parametrize("name", sorted(set(cases.CASES) - WAITS))
def test_a_step_lets_the_host_go_on(name, material):
    with pretended.device() as events:
        assert not checks.waits(cases.config(name, *material), pretended.DEVICE, events)


def test_a_tensor_on_the_wrong_device_is_found():
    with pretended.device() as events:
        there = torch.randn(3, 4, device="meta")
        for wrong in (
            lambda: there + torch.zeros(3, 4),
            lambda: torch.cat([there, torch.zeros(1, 4)]),
            lambda: torch.where(torch.zeros(3, 4) > 0, there, there),
            lambda: torch.randn(2, generator=torch.Generator(), device="meta"),
        ):
            with pytest.raises(pretended.WrongDevice):
                wrong()
        with pytest.raises((TypeError, RuntimeError)):
            there.numpy()
        assert not events
        assert float(there.sum()) == pytest.approx(float(there.cpu().sum()))
        assert there[torch.tensor([2, 0])].shape == (2, 4) and (2.0 * there).device == there.device
        assert events == {"value": 1, "copy to the host": 1}


def test_without_a_gpu_the_script_says_so_and_ends_well(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--out", str(tmp_path / "gpu")]) == 0
    assert "no GPU" in capsys.readouterr().out
    assert not (tmp_path / "gpu").exists()


def test_the_table_says_what_is_beyond_its_bound(tmp_path):
    rows = [Row("step", "mixit, fp32", 2e-6, 1e-4), Row("step", "players, bf16", 0.3, 0.02)]
    rows += [Row("speed", "players, steps a second", 31.5), Row("launcher", "gpu_load", None, 1)]
    assert write(tmp_path, rows, {"device": "a card"}) == 2
    made = json.loads((tmp_path / "gpu.json").read_text())
    assert [row["passed"] for row in made["rows"]] == [True, False, None, False]
    table = (tmp_path / "gpu.md").read_text()
    assert "| step | players, bf16 | 0.3 | 0.02 | no |" in table and "a card" in table


def test_the_script_s_checks_run_on_the_pretended_device(material, tmp_path):
    with pretended.device():
        rows = list(
            check_systems(pretended.DEVICE, *material, tmp_path, ["contrastive"], bf16=False)
        )
    assert all(row.passed for row in rows)
    assert {row.about for row in rows} == {
        *("contrastive, fp32: loss", "contrastive, fp32: gradient"),
        *("contrastive: to the device", "contrastive: back to the CPU"),
    }
