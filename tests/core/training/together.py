"""The command line as two processes of this machine's CPU."""

import os
import subprocess
import sys

from core.jobs import ROOT


def by_two_processes(*arguments: object) -> None:
    """Run `python -m core` with these arguments under torchrun, and expect it to succeed."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    result = subprocess.run(
        [*torchrun, "-m", "core", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, result.stderr[-2000:]
