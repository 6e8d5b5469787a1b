"""Results are computed once however many ask at the same time, bounded, and cannot be changed."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from core import service
from core.audio.clip import Clip, read
from core.checkpoints import checkpoint as checkpoints
from core.errors import RavelError


def clip(seed: int = 0) -> Clip:
    return Clip(np.random.default_rng(seed).standard_normal(16_000).astype(np.float32))


def test_two_visitors_who_ask_at_once_wait_for_one_computation():
    calls = []

    @service.keep(4)
    def slow(clip: Clip) -> np.ndarray:
        calls.append(threading.current_thread())
        time.sleep(0.2)
        return 2 * clip.wave

    results = []
    # Clips of the same samples are the same clip, however they were read.
    threads = [threading.Thread(target=lambda: results.append(slow(clip()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and len(results) == 4
    assert all(result is results[0] for result in results)


def test_other_keys_are_computed_meanwhile():
    both = threading.Barrier(2, timeout=20)  # breaks unless two computations run side by side

    @service.keep(4)
    def meet(name: str) -> str:
        both.wait()
        return name

    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(meet(n))) for n in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["a", "b"]


def test_the_least_recently_used_results_are_dropped():
    calls = []

    @service.keep(2)
    def record(name: str, times: int = 1) -> str:
        calls.append(name)
        return name * times

    for name in "abacab":
        record(name)
    assert calls == ["a", "b", "c", "b"]
    record("b", times=1)  # a default that is written out is the same call
    assert len(calls) == 4
    service.forget()
    record("b")
    assert len(calls) == 5


def test_large_results_count_by_their_bytes():
    calls = []

    @service.keep(100, max_bytes=1000)
    def zeros(number: int) -> list[np.ndarray]:
        calls.append(number)
        return [np.zeros(100, np.uint8)] * 4

    for number in (0, 1, 2, 0):
        zeros(number)
    assert calls == [0, 1, 2, 0]  # two of 400 bytes each fit


def test_results_are_read_only_and_errors_are_not_kept():
    calls = []

    @service.keep(2)
    def compute(number: int) -> tuple[np.ndarray, list[np.ndarray]]:
        calls.append(number)
        if len(calls) == 1:
            raise RavelError("not yet")
        return np.zeros(3), [np.zeros(3)]

    with pytest.raises(RavelError, match="not yet"):
        compute(1)
    first, (second,) = compute(1)
    for array in (first, second):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert len(calls) == 2


def test_latents_are_keyed_by_what_they_decode_to(untrained_dsae, examples):
    checkpoint = checkpoints.Checkpoint(untrained_dsae)
    latents = service.latents(checkpoint, read(examples / "violin-1.flac", duration=1))
    again = service.disentangler(checkpoint).encode(read(examples / "violin-1.flac", duration=1))
    assert service.render(checkpoint, latents) is service.render(checkpoint, again)
    moved = type(latents)(latents.v + 1, latents.v_logvar, latents.z, latents.z_logvar)
    assert service.render(checkpoint, moved) is not service.render(checkpoint, latents)


def test_importing_it_loads_no_torch_and_no_screen():
    code = (
        "import sys; from core import service; from core.service import mixtures; "
        "print({'torch', 'streamlit', 'gradio', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def untrained_dsae(tmp_path_factory):
    """A small checkpoint that was never trained."""
    from core.dsae.config import DsaeConfig
    from core.dsae.model import Dsae

    folder = tmp_path_factory.mktemp("checkpoints") / "small"
    config = DsaeConfig.parse({"model": {"hidden": 8}, "data": {"store": "data/instruments"}})
    checkpoints.write(folder, config.model_dump(), Dsae(config.model).state_dict())
    return folder
