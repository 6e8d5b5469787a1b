"""Figure 7 on the Results page: shares of swaps as they were scored, and one swap computed live."""

import io
import json
import shutil
import zlib

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from core.audio.clip import read
from core.checkpoints import checkpoint
from core.dsae.latents import load, swap_clips
from lab import bundled
from lab.results import factors
from tests.lab.conftest import APP
from tests.lab.pages import pictures, sent

CASES = ("rebuilt", "swap_instrument", "swap_octave", "swap_instrument_and_octave")


def scored() -> dict[str, dict[str, float]]:
    found = {}
    for number, case in enumerate(CASES):
        for factor in ("instrument", "octave", "all"):
            value = 0.9 - 0.1 * number - (0.05 if factor == "octave" else 0.0)
            found[f"{case}_told_{factor}"] = {"value": value, "low": value - 0.02, "high": value}
    return found


@pytest.fixture
def page(untrained, tmp_path, monkeypatch):
    """The page with a checkpoint that has the scores, and one that has not."""
    shutil.copytree(untrained / "ts-dsae-players", tmp_path / "two-factors")
    shutil.copytree(untrained / "dsae-dmelodies", tmp_path / "one-factor")
    judged = {"judge_global_octave": {"value": 0.4, "low": 0.3, "high": 0.5}}
    metrics = {"octaves": {"clips": 9, **judged, **scored()}}
    checkpoint.find(tmp_path / "two-factors").write_metrics(metrics)
    checkpoint.find(tmp_path / "one-factor").write_metrics({"dmelodies": {"clips": 9}})
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    return AppTest.from_file(APP, default_timeout=120).switch_page("lab/pages/results.py")


def test_the_shares_of_every_case_are_drawn_with_their_intervals(page):
    page.run()
    assert not page.exception
    assert "**two-factors** on octaves" in " ".join(caption.value for caption in page.caption)
    assert any("octave 0.400" in caption.value for caption in page.caption)
    drawn = json.loads(page.get("plotly_chart")[0].proto.spec)
    places = drawn["layout"]["yaxis"]["ticktext"]
    dots = {trace["name"]: trace for trace in drawn["data"] if "customdata" in trace}
    assert sorted(dots) == ["Both", "Instrument", "Octave"]
    assert sorted(t["name"] for t in drawn["data"] if t["showlegend"]) == sorted(dots)
    assert places[2] == "Another octave"
    assert dots["Octave"]["x"] == pytest.approx([0.85, 0.75, 0.65, 0.55])
    assert "0.650 [0.630, 0.650]" in dots["Octave"]["text"][2]


def test_the_example_swap_is_the_model_s_own(page, media):
    page.run()
    page.segmented_control(key="factors_target").set_value("octave").run()
    assert not page.exception
    clips = [
        read(bundled.EXAMPLES / "octaves" / f"{name}.flac")
        for name in ("violin-octave-4", "violin-octave-5")
    ]
    expected = swap_clips(load("two-factors"), *clips).swapped.numpy()
    shown = pictures(page)
    assert len(page.get("plotly_chart")) == 1 and len(shown) == 3
    cells = np.frombuffer(zlib.decompress(sent(media, shown[2]["url"])), np.uint8)
    cells = shown[2]["top"] - (255 - cells.reshape(-1, 80).T.astype(float)) * shown[2]["step"]
    loudest = max(expected.max(), *(bands(clip).max() for clip in clips))
    assert shown[2]["loudest"] == pytest.approx(10 * np.log10(np.e) * loudest, abs=1e-3)
    least = shown[2]["top"] - 255 * shown[2]["step"]
    decibels = np.maximum(10 * np.log10(np.e) * expected.T, least)
    assert cells == pytest.approx(decibels, abs=shown[2]["step"] / 2 + 1e-3)
    sounds = [soundfile.read(io.BytesIO(data))[0] for data in media.values() if data[:4] == b"RIFF"]
    assert any(
        np.abs(sound[:64_000] - 0.5 * clips[1].wave).max() < 1e-3
        for sound in sounds
        if len(sound) >= 64_000
    )


def bands(clip):
    from core.audio.mel import log_mel

    return log_mel(clip.wave).numpy()


def test_without_a_model_with_these_scores_there_is_no_figure(page, tmp_path):
    shutil.rmtree(tmp_path / "two-factors")
    page.run()
    assert not page.exception and not page.get("plotly_chart")
    assert not any("Figure 7" in heading.value for heading in page.subheader)


def test_the_shares_are_downloaded_in_numbers():
    frame = factors.frame(scored())
    assert len(frame) == 12
    line = frame[
        (frame["target differs in"] == "Both others") & (frame["predicted"] == "Instrument")
    ]
    assert line[["value", "low", "high"]].iloc[0].tolist() == pytest.approx([0.6, 0.58, 0.6])


def test_the_clips_match_their_names():
    """Their pitches lie in the octaves they are named by."""
    from core.audio import pitch

    for name, row in bundled.octaves().items():
        clip = read(bundled.EXAMPLES / "octaves" / f"{name}.flac")
        track = pitch.track(clip.wave, capacity="tiny")
        midi = 69 + 12 * np.log2(track.f0[track.confidence > 0.5] / 440)
        lowest = 12 * (int(row["octave"]) + 1)
        assert lowest - 0.5 < np.median(midi) < lowest + 14.5, name
        assert row["instrument"] in name
