"""python -m tests.core.job_child: a process for `test_jobs`, which does as its arguments say."""

import sys
import time
from pathlib import Path

from core import jobs
from core.errors import RavelError


def work(arguments: list[str], report: jobs.Report) -> None:
    result, then = Path(arguments[0]), arguments[1]
    print("some output", flush=True)
    report(0.5, "half of it")
    if then == "fail":
        raise RavelError("There is no such thing.")
    if then == "crash":
        raise ValueError("a bug")
    while then == "wait" and not result.with_name("go").exists():
        time.sleep(0.01)
    result.touch()


if __name__ == "__main__":
    sys.exit(jobs.main(work))
