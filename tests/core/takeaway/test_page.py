"""One HTML file with a map and sounds: what is in it, and what is left out where room ends."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile

from core.errors import RavelError
from core.takeaway.page import Layout, Sample, Writer, fill

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype("f")


def layout(count: int = 40) -> Layout:
    places = np.random.default_rng(0).normal(size=(count, 2))
    names = [f"clip {i}" for i in range(count)]
    return Layout(places, names, ["violin", "flute"] * (count // 2), "instrument", "UMAP")


def samples(count: int) -> list[Sample]:
    return [Sample(i, f"clip {i}", {"kind": "tone"}, tone(200 + 50 * i)) for i in range(count)]


def data(page: bytes) -> dict:
    text = re.search(r'<script id="data"[^>]*>(.*?)</script>', page.decode(), re.DOTALL)
    assert text
    return json.loads(text[1])


def pitch(sound: str) -> float:
    wave, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)))
    assert rate == RATE
    middle = wave[len(wave) // 4 : 3 * len(wave) // 4]
    return np.abs(np.fft.rfft(middle)).argmax() * rate / len(middle)


def test_every_point_clip_and_swap_is_in_the_file_with_its_sound():
    made = fill(
        Writer("Title", "About", layout()), samples(3), lambda m, i: tone(1000 * m + i + 400)
    )
    found = data(made.html)
    assert len(found["points"]) == 40 and not made.left_out
    assert [clip["name"] for clip in found["clips"]] == ["clip 0", "clip 1", "clip 2"]
    for number, clip in enumerate(found["clips"]):
        assert pitch(clip["sound"]) == pytest.approx(200 + 50 * number, abs=3)
    assert {(s["melody"], s["instrument"]) for s in found["swaps"]} == {
        (m, i) for m in range(3) for i in range(3)
    }
    for swap in found["swaps"]:
        expected = 1000 * swap["melody"] + swap["instrument"] + 400
        assert pitch(swap["sound"]) == pytest.approx(expected, abs=3)


def test_places_keep_their_proportions_and_up_is_up():
    spots = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    writer = Writer("T", "A", Layout(spots, ["a", "b", "c"], [""] * 3, "", "PCA"))
    assert [point[:2] for point in data(writer.finish().html)["points"]] == [
        [0, 500], [1000, 500], [0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("clips", [4, 30])
def test_the_file_stays_below_its_bound_and_says_what_it_lacks(clips):
    bound, made = 70_000, []

    def swap(melody: int, instrument: int) -> np.ndarray:
        made.append((melody, instrument))
        return tone(300)

    done = fill(Writer("T", "A", layout(), bound), samples(clips), swap)
    assert len(done.html) <= bound
    found = data(done.html)
    assert found["leftOut"] == done.left_out
    said = " ".join(done.left_out)
    assert f"of {len(found['clips']) ** 2:,} swaps" in said and "0.07 MB" in said
    assert len(made) == len(found["swaps"]) + 1  # none is made in vain but the one that was too big
    if clips == 30:
        assert f"{30 - len(found['clips'])} of 30 chosen clips" in said
        assert "clip 29" not in [clip["name"] for clip in found["clips"]]


def test_a_map_of_very_many_points_is_thinned_and_keeps_the_chosen_clip():
    every = layout(9000)
    done = fill(Writer("T", "A", every), [Sample(8123, "chosen", {}, tone(300))])
    assert len(data(done.html)["points"]) == 4000 and len(done.html) < 5e6
    assert "5,000 of 9,000 points" in done.left_out[0]
    assert data(done.html)["clips"][0]["name"] == "chosen"


def test_a_bound_below_the_map_itself_is_an_error():
    with pytest.raises(RavelError, match="map alone takes"):
        Writer("T", "A", layout(4000), 20_000)


def test_names_cannot_end_the_script_or_load_anything():
    evil = '</script><img src="http://example.org/x" onerror=alert(1)>{{DATA}}'
    bad = Layout(np.eye(2), [evil, evil], ["a", "b"], evil, evil)
    made = fill(Writer(evil, evil, bad), [Sample(0, evil, {evil: evil}, tone(300))])
    text = made.html.decode()
    assert text.count("</script>") == 2 and "<img" not in text
    assert data(made.html)["clips"][0]["name"] == evil
    assert "default-src 'none'" in text
