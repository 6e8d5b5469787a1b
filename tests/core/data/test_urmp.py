"""URMP in its real layout and naming, as a small copy made of the bundled recordings."""

import numpy as np
import pytest
import soundfile
import soxr

from core.audio import pitch
from core.audio.clip import CLIP_SAMPLES, read
from core.audio.mel import log_mel
from core.cli import main
from core.data import urmp
from core.data.store import FeatureStore
from core.errors import RavelError

RATE = 48_000  # of the published files
SURE = 0.6  # between the recordings and the noise, by the small CREPE


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, examples):
    """Three pieces of the layout: two to five players, their mixtures, scores and annotations.

    The cello's part is noise; the second violin's is softer than the first's.
    """
    rng = np.random.default_rng(0)
    violin, trumpet = (
        np.concatenate([read(examples / f"{name}-{i}.flac").wave for i in (1, 2)])[:80_000]
        for name in ("violin", "trumpet")
    )
    parts = {
        "01_Jupiter_vn_vc": {"1_vn": 0.5 * violin, "2_vc": 0.1 * rng.standard_normal(80_000)},
        "05_Entertainer_tpt_tpt": {"1_tpt": 0.8 * trumpet, "2_tpt": 0.4 * trumpet[16_000:]},
        "36_Rondeau_vn_tpt": {"1_vn": 0.1 * violin[::-1], "2_tpt": 0.2 * trumpet},
    }
    root = tmp_path_factory.mktemp("URMP") / "Dataset"
    for piece, players in parts.items():
        number, title, *_ = piece.split("_")
        for player, wave in players.items():
            write(root / piece / f"AuSep_{player}_{number}_{title}.wav", wave)
            for kind in ("F0s", "Notes"):
                (root / piece / f"{kind}_{player}_{number}_{title}.txt").write_text("0.0\t440.0\n")
        write(root / piece / f"AuMix_{piece}.wav", 0.5 * next(iter(players.values())))
        (root / piece / f"Sco_{piece}.pdf").write_bytes(b"%PDF")
        (root / piece / f"Vid_{piece}.mp4").write_bytes(b"")
    return root


def write(path, wave):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, soxr.resample(wave, 16_000, RATE), RATE, subtype="PCM_24")


def build(dataset, out, **options):
    settings = {"confidence": SURE, "crepe": "tiny", "workers": 1, "progress": False}
    return urmp.build(dataset, out, **(settings | options))


@pytest.fixture(scope="module")
def store(dataset, tmp_path_factory) -> FeatureStore:
    return build(dataset, tmp_path_factory.mktemp("stores") / "urmp")


def test_violin_and_trumpet_are_cut_into_four_seconds_that_begin_a_second_apart(store):
    assert set(store.labels["instrument"]) == {"violin", "trumpet"}
    assert set(store.labels["piece"]) == {"01_Jupiter", "05_Entertainer", "36_Rondeau"}
    assert set(store.labels["start"]) == {"0", "1"}  # the parts last five seconds
    assert (store.lengths == 251).all()
    assert store.audio.shape == (len(store), CLIP_SAMPLES)
    assert len(set(store.labels["name"])) == len(store) == 9
    assert "AuSep_2_tpt_05_Entertainer-0" in store.labels["name"]


def test_an_instrument_has_one_level_over_the_whole_corpus(store):
    """The loudest kept segment reaches 1, and a soft part stays as soft beside it as it was."""
    peaks = np.abs(store.audio).max(1) / 32_767
    for name in ("violin", "trumpet"):
        assert peaks[store.labels["instrument"] == name].max() == pytest.approx(1, abs=1e-3)
    trumpets = store.labels["instrument"] == "trumpet"
    soft = peaks[trumpets & (store.labels["piece"] == "36_Rondeau")].max()
    assert soft == pytest.approx(0.2 / 0.8, rel=0.01)


def test_a_segment_is_the_part_resampled_to_16_khz(store, dataset):
    row = int(np.flatnonzero(store.labels["name"] == "AuSep_1_vn_01_Jupiter-1")[0])
    file = dataset / "01_Jupiter_vn_vc" / "AuSep_1_vn_01_Jupiter.wav"
    wave = read(file, normalise=False).wave[16_000 : 16_000 + CLIP_SAMPLES]
    kept = store.clip(row).wave
    assert np.corrcoef(wave, kept)[0, 1] > 0.99999
    expected = log_mel(wave * np.abs(kept).max() / np.abs(wave).max()).numpy()
    assert np.abs(store.log_mel[row].astype(np.float32) - expected).max() < 0.02  # half precision


def test_confidence_is_the_mean_over_the_segment_alone(dataset):
    part = urmp.listing(dataset, ["vn"])[0]
    first, second = urmp.measure("tiny", "cpu", 1.0, [part])
    wave = read(part.path, normalise=False).wave
    found = pitch.track(wave).confidence[0]
    assert first.confidence == pytest.approx(found[:400].mean(), abs=1e-5)
    assert second.confidence == pytest.approx(found[100:500].mean(), abs=1e-5)
    assert second.start == 16_000


def test_noise_is_left_out_and_all_of_an_unsure_instrument_is_an_error(dataset, tmp_path):
    out = tmp_path / "store"
    with pytest.raises(RavelError, match="nowhere confident enough of cello"):
        build(dataset, out, instruments=None)
    store = build(dataset, out, instruments=None, confidence=0.0)  # the same folder, another try
    assert set(store.labels["instrument"]) == {"violin", "trumpet", "cello"}


def test_crepe_runs_once_for_several_confidences(dataset, tmp_path, monkeypatch):
    out = tmp_path / "store"
    with pytest.raises(RavelError, match="confidence below 1"):
        build(dataset, out, instruments=["trumpet"], confidence=1.0)
    monkeypatch.setattr(urmp, "measure", lambda *_: pytest.fail("measured again"))
    assert len(build(dataset, out, instruments=["tpt"])) == 5


def parts_of(counts):
    """Recordings with so many segments, all of them certain."""
    parts = [
        urmp.Recording(None, f"{i}", {"instrument": who, "piece": piece, "part": "1"})
        for i, (who, piece, _) in enumerate(counts)
    ]
    return parts, [[urmp.Segment(16_000 * i, 0.9, 0.5) for i in range(n)] for *_, n in counts]


def test_the_papers_counts_come_of_dealing_80_10_10_within_each_instrument():
    parts, measured = parts_of([("violin", "a", 1000), ("violin", "b", 931), ("trumpet", "a", 668)])
    plan = urmp.choose(parts, measured, 0.85, "segments", seed=0)
    kept = [segment for part in plan for segment in part]
    counts = {
        who: [
            sum(k.instrument == who and k.split == s for k in kept) for s in ("train", "validation")
        ]
        for who in ("violin", "trumpet")
    }
    assert counts == {"violin": [1545, 193], "trumpet": [534, 67]}
    assert plan == urmp.choose(parts, measured, 0.85, "segments", seed=0)
    assert plan != urmp.choose(parts, measured, 0.85, "segments", seed=1)


def test_whole_pieces_can_be_held_out():
    counts = [(who, f"{i}", 5) for i in range(12) for who in ("violin", "trumpet")[: 1 + i % 2]]
    parts, measured = parts_of(counts)
    plan = urmp.choose(parts, measured, 0.85, "pieces", seed=0)
    kept = [segment for part in plan for segment in part]
    splits = {k.recording.labels["piece"]: set() for k in kept}
    for k in kept:
        splits[k.recording.labels["piece"]].add(k.split)
    assert all(len(of_piece) == 1 for of_piece in splits.values())
    held = {k.instrument for k in kept if k.split == "validation"}
    assert held == {"violin", "trumpet"}


def test_too_few_pieces_cannot_be_held_out(dataset, tmp_path):
    with pytest.raises(RavelError, match="too few"):
        build(dataset, tmp_path / "store", split="pieces")


def test_the_error_for_another_folder_says_what_was_expected(examples, tmp_path):
    with pytest.raises(RavelError, match=r"is not URMP: expected .*01_Jupiter_vn_vc.*AuSep_1_vn"):
        build(examples, tmp_path / "store")
    with pytest.raises(RavelError, match="is not a folder"):
        build(tmp_path / "nowhere", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_the_error_for_a_missing_instrument_names_those_there_are(dataset, tmp_path):
    with pytest.raises(RavelError, match=r"No part is by 'flute' .* cello, trumpet, violin"):
        build(dataset, tmp_path / "store", instruments=["fl"])


def test_the_command_line_builds_the_same_store(dataset, store, tmp_path, capsys):
    out = tmp_path / "store"
    arguments = ["--confidence", str(SURE), "--crepe", "tiny", "--workers", "1", "--no-audio"]
    assert main(["data", "urmp", str(dataset.parent), "--out", str(out), *arguments]) == 0
    said = capsys.readouterr().out
    assert "9 of 9 segments are kept" in said
    assert f"9 clips in {out}: 2 test, 5 train, 2 validation" in said
    assert np.array_equal(FeatureStore.open(out).log_mel, store.log_mel)
    assert (
        main(["data", "urmp", str(dataset), "--out", str(tmp_path / "x"), "--confidence", "2"]) == 2
    )
    assert "choose 0 to 1" in capsys.readouterr().err
