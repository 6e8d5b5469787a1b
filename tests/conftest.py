"""Fixtures for all tests, and the order of the files."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

# Before torch is imported: on two cores shared by workers, more threads only wait for each other.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# No lab prepares for visitors: compiling UMAP and unpacking sounds would slow down all tests.
os.environ.setdefault("RAVEL_WARM", "0")
if "RAVEL_UPLOADS" not in os.environ:  # else what tests upload would stay beside the corpora
    os.environ["RAVEL_UPLOADS"] = tempfile.mkdtemp(prefix="ravel-uploads-")

ROOT = Path(__file__).parent.parent

# Files that take longer than ten seconds, the slowest first. They are started first, so that no
# worker is left with a long file while the others have nothing to do (see `make test`).
SLOWEST = (
    "tests/lab/test_own_recordings_browser.py",
    "tests/lab/test_axe_browser.py",
    "tests/lab/test_visitors_browser.py",
    "tests/lab/training/test_train_browser.py",
    "tests/core/training/test_launcher.py",
    "tests/lab/map/test_map_browser.py",
    "tests/lab/explore/test_explore_listen_browser.py",
    "tests/lab/find/test_find_browser.py",
    "tests/core/remix/test_evaluate.py",
    "tests/core/training/test_engine.py",
    "tests/core/training/test_reading.py",
    "tests/lab/remix/test_remix_browser.py",
    "tests/lab/training/test_runs_page.py",
    "tests/core/cli/test_cli.py",
    "tests/core/training/test_evaluation.py",
    "tests/lab/training/test_train_page.py",
    "tests/lab/explore/test_explore_browser.py",
    "tests/core/separation/test_task.py",
    "tests/core/experiments/test_grid.py",
    "tests/core/experiments/test_sweep.py",
    "tests/core/test_cluster.py",
    "tests/core/data/test_urmp.py",
    "tests/core/data/test_shards.py",
    "tests/lab/demo/test_load.py",
    "tests/core/maps/test_projection.py",
    "tests/core/contrastive/test_task.py",
    "tests/core/contrastive/external/test_hear.py",
    "tests/lab/swap/test_swap_browser.py",
    "tests/lab/demo/test_deploy.py",
    "tests/lab/separate/test_separate_browser.py",
    "tests/lab/demo/test_demo_browser.py",
    "tests/lab/results/test_results_browser.py",
    "tests/core/contrastive/test_objective.py",
    "tests/core/data/test_instruments.py",
    "tests/gpu/test_second_device.py",
    "tests/core/dsae/evaluation/test_report.py",
    "tests/core/checkpoints/test_shipped.py",
    "tests/core/data/test_dmelodies.py",
    "tests/core/cli/test_cli_remix.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first; the order within a file, and of all other files, stays."""
    rank = {path: number for number, path in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.split("::")[0], len(SLOWEST)))


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that `build(folder)` makes, built by the first worker that needs it.

    Each worker gets a copy of its own, to which its tests may write.
    """
    temporary = factory.getbasetemp()
    # Under xdist each worker's temporary folder lies in the folder of the whole run.
    shared = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    original = shared / "built-once" / name
    original.parent.mkdir(exist_ok=True)
    with (original.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait here while one builds
        if not original.exists():
            build(original.with_name(f"{name}.part"))
            original.with_name(f"{name}.part").rename(original)
    return Path(shutil.copytree(original, factory.mktemp("built") / name))


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of the bundled recordings, with their metadata.csv."""
    return ROOT / "lab" / "examples"


@pytest.fixture(scope="session")
def melodies(tmp_path_factory):
    """A small dMelodies store: 24 melodies to train on, 6 to validate, their counterfactuals."""
    from core.data import dmelodies

    def build(folder):
        dmelodies.build(folder, count=30, audio=False, workers=1, progress=False)

    return built_once(tmp_path_factory, "dmelodies", build)
