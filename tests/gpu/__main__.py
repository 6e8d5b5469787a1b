"""python -m tests.gpu: prove training and inference on a GPU, in a few minutes.

It writes gpu.json and a table, gpu.md, and fails if anything is beyond its bound. Without a GPU it
says so and checks nothing.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tests.gpu import cases, checks, speed

FP32 = 1e-4  # relative difference of a step's loss and gradient from the CPU's
BF16 = {"loss": 0.02, "gradient": 0.15}  # of bfloat16 on the device from single precision
CROSSED = 1e-2  # of the criterion after six steps, in which differences grow


class Row(NamedTuple):
    """A figure, and the most (or, with `least`, the least) that it may be, if anything."""

    check: str
    about: str
    value: float | None
    bound: float | None = None
    least: bool = False

    @property
    def passed(self) -> bool | None:
        """Whether it is within its bound; None where it has none."""
        if self.bound is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.bound if self.least else self.value <= self.bound


def main(words: Sequence[str]) -> int:
    """The exit status: 0 where all is within its bounds, or where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--out", default="runs/gpu", help="folder of gpu.json and gpu.md")
    out = Path(parser.parse_args(words).out)
    if not torch.cuda.is_available():
        print("There is no GPU that PyTorch can use on this machine: nothing was checked.")
        return 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ravel-gpu-") as folder:
        rows = []
        for row in check_all(torch.device("cuda:0"), Path(folder)):
            print(f"{time.monotonic() - begun:4.0f} s  {_line(row)}", flush=True)
            rows.append(row)
    about = {
        "device": torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "seconds": round(time.monotonic() - begun),
    }
    beyond = write(out, rows, about)
    print(f"wrote {out / 'gpu.json'} and {out / 'gpu.md'}: {beyond} of {len(rows)} beyond bounds")
    return 1 if beyond else 0


def check_all(device: torch.device, folder: Path) -> Iterator[Row]:
    """Every check, as each is done; a check that fails is a row without a value."""
    store, start = cases.corpus(folder / "tones").path, cases.separator(folder / "separator")
    yield from check_systems(device, store, start, folder, list(cases.CASES))
    for name, measure in (
        ("inference", speed.inference),
        ("launcher", lambda device: speed.launched(device, store, folder)),
        ("speed", speed.steps),
    ):
        try:
            for about, *figures in measure(device):
                yield Row(name, about, *figures)
        except Exception as error:  # the others are to be known as well
            yield Row(name, f"{type(error).__name__}: {error}"[:200], None, 0.0)


def check_systems(
    device: torch.device,
    store: Path,
    start: Path,
    folder: Path,
    names: Sequence[str],
    *,
    bf16: bool = True,
) -> Iterator[Row]:
    """Steps against the CPU's in both precisions, and runs that cross over and come back."""
    for number, name in enumerate(names):
        config = cases.config(name, store, start)
        try:
            with checks.exact():
                for about, value in checks.step(config, device)._asdict().items():
                    yield Row("step", f"{name}, fp32: {about}", value, FP32)
                if bf16:
                    found = checks.step(config, device, "bf16")._asdict()
                    for about, value in found.items():
                        yield Row("step", f"{name}, bf16: {about}", value, BF16[about])
                crossed = checks.crossing(config, str(device), folder / f"runs-{number}")
            yield Row("resumed", f"{name}: to the device", crossed.to_device, CROSSED)
            yield Row("resumed", f"{name}: back to the CPU", crossed.from_device, CROSSED)
        except Exception as error:
            yield Row("step", f"{name}: {type(error).__name__}: {error}"[:200], None, 0.0)


def write(out: Path, rows: Sequence[Row], about: dict[str, Any]) -> int:
    """Write the JSON and the table; return how many rows are beyond their bounds."""
    out.mkdir(parents=True, exist_ok=True)
    made = {**about, "rows": [{**row._asdict(), "passed": row.passed} for row in rows]}
    (out / "gpu.json").write_text(json.dumps(made, indent=2) + "\n")
    heading = ", ".join(f"{name} {value}" for name, value in about.items())
    lines = [heading, "", "| check | of | value | bound | within |", "|---|---|---|---|---|"]
    (out / "gpu.md").write_text("\n".join([*lines, *map(_line, rows)]) + "\n")
    return sum(row.passed is False for row in rows)


def _line(row: Row) -> str:
    value = "-" if row.value is None else f"{row.value:.3g}"
    bound = "-" if row.bound is None else f"{row.bound:g}"
    within = {None: "-", True: "yes", False: "no"}[row.passed]
    return f"| {row.check} | {row.about} | {value} | {bound} | {within} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
