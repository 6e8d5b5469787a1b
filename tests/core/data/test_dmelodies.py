import os
import signal
import subprocess
import sys
import time
from itertools import combinations, islice, product
from pathlib import Path

import numpy as np
import pytest

from core.audio.clip import from_array
from core.audio.mel import log_mel
from core.data import dmelodies, synth
from core.data.dmelodies import Melody, filtered_rows, melody
from core.data.store import FeatureStore
from core.errors import RavelError

ROOT = Path(__file__).parents[3]


def all_rows():
    rhythms = list(combinations(range(8), 6))
    return product(range(12), (4, 5, 6), ("major", "minor", "blues"), rhythms, rhythms, *["ud"] * 4)


def test_row_numbers_are_places_in_the_product_of_all_factors():
    every = 9973
    sampled = islice(all_rows(), 0, None, every)
    for row, truth in zip(range(0, dmelodies.ROWS, every), sampled, strict=True):
        tune = melody(row)
        rhythms = dmelodies.RHYTHMS[tune.rhythm1], dmelodies.RHYTHMS[tune.rhythm2]
        key = tune.tonic, dmelodies.OCTAVES[tune.octave], list(dmelodies.SCALES)[tune.scale]
        assert (*key, *rhythms, *("ud"[arp] for arp in tune[5:])) == truth
        assert tune.row == row
    assert dmelodies.ROWS == 1_354_752


def test_a_melody_written_out_by_hand():
    # F in octave 5, blues; first bar without slots 2 and 5, second without 0 and 1.
    tune = Melody(
        tonic=5,
        octave=1,
        scale=2,
        rhythm1=dmelodies.RHYTHMS.index((0, 1, 3, 4, 6, 7)),
        rhythm2=dmelodies.RHYTHMS.index((2, 3, 4, 5, 6, 7)),
        arp1=0,
        arp2=1,
        arp3=1,
        arp4=0,
    )
    assert tune.pitches == [77, 80, 83, 89, 86, 82, 91, 87, 83, 77, 80, 83]
    assert tune.slots == [0, 1, 3, 4, 6, 7, 10, 11, 12, 13, 14, 15]
    assert tune.notes()[6] == (91, 2.5, 2.75, 90)
    assert tune.name.split("_", 1)[1].startswith("F_5_blues_")


def test_the_papers_filter_keeps_7056_melodies_to_a_key_that_begin_and_end_with_a_note():
    rows = filtered_rows()
    assert len(rows) == len(set(rows.tolist())) == 7056
    keep = set(rows.tolist())
    one_key = islice(all_rows(), 28 * 28 * 16)
    truth = {i for i, row in enumerate(one_key) if 0 in row[3] and 7 in row[4]}
    assert keep == truth
    assert len(filtered_rows((0, 7), (4, 6), ("minor", "blues"))) == 8 * 7056


def test_the_papers_set_has_equal_parts_and_no_melody_twice():
    jobs = dmelodies.draw(["Violin", "Trumpet"], filtered_rows(), 3000, 0.2, 888)
    counts = {
        (name, split): sum(job[1:] == (name, split) for job in jobs)
        for name in ("Violin", "Trumpet")
        for split in ("train", "validation", "counterfactual")
    }
    assert list(counts.values()) == [1200, 300, 300] * 2
    own = [row for row, _, split in jobs if split != "counterfactual"]
    assert len(set(own)) == 3000


def test_counterfactuals_share_the_melody_and_differ_in_the_instrument(small_store):
    labels, held_out = small_store.labels, small_store.indices("validation")
    played = {labels["melody"][i]: labels["instrument"][i] for i in held_out}
    again = small_store.indices("counterfactual")
    assert sorted(labels["melody"][again]) == sorted(played)
    assert all(labels["instrument"][i] != played[labels["melody"][i]] for i in again)


def test_a_stores_log_mels_are_those_of_its_melodies(small_store, small_settings):
    player = synth.find(small_settings["synthesiser"])
    assert small_store.synthesiser == player.description
    assert small_store.log_mel.shape[1:] == (251, 80)
    for i in (0, len(small_store) - 1):
        notes = melody(int(small_store.labels["melody"][i])).notes()
        program = synth.instrument(small_store.labels["instrument"][i]).program
        clip = from_array(player.render(notes, program), 16_000)
        np.testing.assert_array_equal(
            small_store.log_mel[i], log_mel(clip.wave).numpy().astype(np.float16)
        )
        np.testing.assert_allclose(small_store.clip(i).wave, clip.wave, atol=2e-5)


def test_a_killed_build_leaves_no_store_and_continues_to_the_same_bytes(
    tmp_path, small_store, small_settings
):
    out = tmp_path / "store"
    arguments = small_settings | {"workers": 1}
    code = f"from core.data import dmelodies; dmelodies.build({str(out)!r}, **{arguments!r})"
    build = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)
    try:
        while not list(out.glob("chunks/*.npz")):
            assert build.poll() is None
            time.sleep(0.002)
    finally:
        os.killpg(build.pid, signal.SIGKILL)
        build.wait()
    before = {path: path.stat().st_mtime_ns for path in out.glob("chunks/*.npz")}
    assert 0 < len(before) < 5
    with pytest.raises(RavelError, match="unfinished: run the same command again"):
        FeatureStore.open(out)
    chosen = arguments | {"count": 111}
    with pytest.raises(RavelError, match="count was 110, now 111"):
        dmelodies.build(out, **chosen)
    dmelodies.build(out, **arguments)
    assert files_of(out) == files_of(small_store.path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"instruments": ["Violin", "Kazoo"]}, "There is no instrument 'Kazoo': choose from Piano"),
        ({"instruments": ["Violin", "violin"]}, "each only once"),
        ({"instruments": []}, "at least one instrument"),
        ({"count": 7057}, "7056"),
        ({"count": 1}, "needs one"),
        ({"tonics": [12]}, "has no tonic 12: choose"),
        ({"octaves": [3]}, "has no octave 3: choose"),
        ({"scales": ["lydian"]}, "has no scale lydian: choose"),
        ({"scales": []}, "no scale .none was given."),
        ({"validation": 1.0}, "validation part is 1"),
        ({"synthesiser": "symusic"}, "no synthesiser"),
        ({"soundfont": "missing.sf2"}, "missing.sf2 does not exist"),
    ],
)
def test_impossible_choices_are_refused_before_anything_is_written(tmp_path, wrong, said):
    with pytest.raises(RavelError, match=said):
        dmelodies.build(tmp_path / "store", progress=False, **wrong)
    assert not (tmp_path / "store").exists()
