"""What lets pages answer sooner."""

import gc
import subprocess
import sys
import textwrap

from lab import pace


def frozen_after(monkeypatch, spared: int) -> int:
    """How many objects more the collector leaves alone when so many modules had been spared."""
    monkeypatch.setattr(pace, "_spared", spared)
    before = gc.get_freeze_count()
    pace.spare_imports()
    try:
        return gc.get_freeze_count() - before
    finally:
        gc.unfreeze()


def test_modules_are_spared_once_many_have_come_and_not_for_a_few(monkeypatch):
    many, few = (len(sys.modules) - n for n in (pace.GROWN + 1, pace.GROWN))
    assert frozen_after(monkeypatch, many) > 10_000
    assert frozen_after(monkeypatch, few) == 0


def test_what_is_spared_is_not_searched_and_what_comes_later_is():
    says = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                import gc, weakref
                import plotly.graph_objects, torch
                from lab import pace

                class Ring: pass

                searched = len(gc.get_objects())
                pace.spare_imports()
                print(len(gc.get_objects()) / searched)
                ring = Ring(); ring.itself = ring; gone = weakref.ref(ring)
                del ring; gc.collect()
                print(gone() is None)
            """),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert float(says[0]) < 0.01 and says[1] == "True"
