"""The curves of a run, read from its metrics and continued where reading ended."""

from __future__ import annotations

import itertools
import json
import threading
from array import array
from pathlib import Path
from typing import Any

import numpy as np

POINTS = 2000  # of a curve on the screen


class Curves:
    """A run's metrics by kind and name, read incrementally; shared by all tabs."""

    def __init__(self, file: Path) -> None:
        self.file, self.offset, self.inode = file, 0, 0
        self.lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.offset = 0
        self.steps: dict[str, array] = {}
        self.columns: dict[str, dict[str, array]] = {}
        self.stages: list[tuple[int, str]] = []  # the first step of each, in order

    def read_on(self) -> Curves:
        """Read what was appended. A half-written last line waits until it is whole."""
        with self.lock:
            try:
                about = self.file.stat()
                if about.st_ino != self.inode or about.st_size < self.offset:
                    self._forget()
                    self.inode = about.st_ino
                with open(self.file, "rb") as file:
                    file.seek(self.offset)
                    whole, newline, _ = file.read().rpartition(b"\n")
            except FileNotFoundError:
                self._forget()
                return self
            self.offset += len(whole) + len(newline)
            for line in whole.splitlines():
                self._take(line)
        return self

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            kind, step = str(record["kind"]), int(record["step"])
        except (ValueError, KeyError, TypeError):
            return
        steps = self.steps.setdefault(kind, array("q"))
        while steps and steps[-1] >= step:  # resumed from an earlier state: the later record counts
            steps.pop()
        columns = self.columns.setdefault(kind, {})
        for name, column in columns.items():
            del column[len(steps) :]
            column.append(_number(record.get(name)))
        for name in record.keys() - columns.keys() - {"kind", "step", "stage"}:
            columns[name] = array("d", [np.nan] * len(steps) + [_number(record[name])])
        steps.append(step)
        self._mark(step, str(record.get("stage", "")))

    def _mark(self, step: int, stage: str) -> None:
        while self.stages and self.stages[-1][0] >= step and self.stages[-1][1] != stage:
            self.stages.pop()
        if not self.stages or self.stages[-1][1] != stage:
            self.stages.append((step, stage))

    def names(self, kind: str) -> list[str]:
        """The names of the figures in a kind of record, in no order."""
        with self.lock:
            return list(self.columns.get(kind, {}))

    def curve(self, kind: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values, at most POINTS: of each stretch its least and its greatest value."""
        with self.lock:
            x = np.array(self.steps.get(kind, []), dtype=np.int64)
            y = np.array(self.columns.get(kind, {}).get(name, []), dtype=np.float64)
        finite = np.isfinite(y)
        return thinned(x[: len(y)][finite], y[finite])

    def latest(self, kind: str, name: str) -> float | None:
        """The last value, or none."""
        _, values = self.curve(kind, name)
        return float(values[-1]) if len(values) else None

    def steps_per_second(self, last: int = 20) -> float | None:
        """Steps per second over the last few training records, validations included."""
        x, y = self.curve("train", "time")
        steps, seconds = np.diff(x[-last:]), np.diff(y[-last:])
        each = seconds / steps
        # Gaps while it was stopped do not count.
        worked = each < 20 * np.median(each) if len(each) else each > 0
        passed = float(seconds[worked].sum())
        return float(steps[worked].sum()) / passed if passed > 0 else None


def thinned(x: np.ndarray, y: np.ndarray, most: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """A curve with at most `most` points; its first, last, and every peak and dip are kept."""
    if len(x) <= most:
        return x, y
    edges = np.linspace(0, len(x), (most - 2) // 2 + 1).astype(int)
    kept = {0, len(x) - 1}
    for start, end in itertools.pairwise(edges):
        kept |= {start + int(y[start:end].argmin()), start + int(y[start:end].argmax())}
    rows = sorted(kept)
    return x[rows], y[rows]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
