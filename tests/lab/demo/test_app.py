"""The demo's endpoints over HTTP: right answers, and no way in for attackers."""

import io
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from core.audio.clip import read
from core.audio.mel import log_mel
from core.errors import RavelError
from lab.demo import app, find, library, models, separate, swap
from lab.demo.audio_input import ONLY_UPLOADS
from lab.demo.examples import FOLDER, MIXTURES, QUERIES, SWAPS, answers, read_example
from lab.demo.gate import MAX_BODY, MAX_UPLOAD, NOT_FOUND, QUEUE_FULL
from tests.lab.browser import ROOT
from tests.lab.demo.server import CHECKPOINTS_SHIP, LocalDemo, wav_claiming_an_hour

META = {"_type": "gradio.FileData"}
HEADING = "### API"

pytestmark = pytest.mark.skipif(not CHECKPOINTS_SHIP, reason="checkpoints do not ship")


@pytest.fixture(scope="module")
def demo() -> Iterator[LocalDemo]:
    demo = LocalDemo()
    yield demo
    demo.close()


@pytest.fixture(scope="module")
def visitor(demo, tmp_path_factory) -> Client:
    return client_of(demo, tmp_path_factory.mktemp("downloads"))


def client_of(demo: LocalDemo, downloads: Path) -> Client:
    return Client(demo.address, verbose=False, download_files=downloads)


def bytes_of(wave: np.ndarray, rate: int, **options) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, **{"format": "WAV"} | options)
    return file.getvalue()


def noise(seconds: float, channels: int = 1, rate: int = 16_000) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((int(seconds * rate), channels))


def file_of(path: Path, data: bytes) -> dict:
    path.write_bytes(data)
    return handle_file(path)


# -- right answers ------------------------------------------------------------------------------


def test_the_three_endpoints_document_their_parameters(visitor):
    api = visitor.view_api(return_format="dict", print_info=False)["named_endpoints"]
    parameters = {
        name: [p["parameter_name"] for p in about["parameters"]] for name, about in api.items()
    }
    assert parameters == {
        "/swap": ["source", "target", "what", "model", "source_start", "target_start"],
        "/separate": ["mixture", "model", "start"],
        "/similar": ["sound", "count", "start"],
    }
    assert all(len(about["description"]) > 60 for about in api.values())


@pytest.mark.parametrize("what, part", [("instrument", "swapped"), ("melody", "counterpart")])
def test_swap_returns_the_result_of_core(visitor, examples, what, part):
    from core.dsae.latents import load, swap_clips
    from core.vocoder.play import play

    files = [examples / "flute-1.flac", examples / "trumpet-2.flac"]
    answer = visitor.predict(*map(handle_file, files), what=what, api_name="/swap")
    made = swap_clips(load("ts-dsae-players"), *(read(file, duration=4) for file in files))
    expected = 0.5 * play(getattr(made, part)).numpy()
    wave, rate = soundfile.read(answer)
    assert rate == 16_000
    np.testing.assert_allclose(wave, expected.clip(-1, 1), atol=1e-3)


def test_separated_channels_add_up_to_the_mixture_from_the_chosen_start(visitor, tmp_path):
    mixture = noise(34.0)
    given = file_of(tmp_path / "long.wav", bytes_of(mixture, 16_000))
    channels = [
        soundfile.read(path)[0] for path in visitor.predict(given, start=2.5, api_name="/separate")
    ]
    assert {len(channel) for channel in channels} == {30 * 16_000}
    expected = mixture[40_000 : 40_000 + 480_000, 0]
    gain = 0.5 / np.abs(expected).max()
    np.testing.assert_allclose(sum(channels), gain * expected, atol=2e-4)


def test_the_nearest_sounds_come_first_with_credits(visitor, examples):
    found = visitor.predict(
        handle_file(examples / "scenes" / "rain.flac"), count=7, api_name="/similar"
    )
    assert len(found) == 7
    distances = [hit["distance"] for hit in found]
    assert distances == sorted(distances) and distances[0] > 0
    assert {hit["name"] for hit in found} <= {entry.name for entry in library.entries()}
    assert all(hit["credit"] and hit["licence"] for hit in found)
    assert "rain" in {hit["label"] for hit in found}


def test_concurrent_visitors_each_get_their_own_clip_back(demo, examples, tmp_path):
    files = sorted(examples.glob("*-1.flac"))[:3]

    def rebuilt(file: Path) -> np.ndarray:
        client, given = client_of(demo, tmp_path), (handle_file(file), handle_file(files[0]))
        return soundfile.read(client.predict(*given, what="nothing", api_name="/swap"))[0]

    with ThreadPoolExecutor(len(files)) as visitors:
        together = list(visitors.map(rebuilt, files))
    for file, wave in zip(files, together, strict=True):
        np.testing.assert_array_equal(wave, rebuilt(file))


def test_the_readmes_examples_work(demo, tmp_path):
    readme = (ROOT / "lab" / "README.md").read_text(encoding="utf-8")
    section = readme.split(HEADING)[1].split("\n### ")[0]
    section = section.replace("http://127.0.0.1:7860", demo.address)
    python, shell = (
        re.search(rf"```{kind}\n(.*?)```", section, re.S)[1] for kind in ("python", "bash")
    )
    names: dict = {}
    exec(python, names)
    assert soundfile.info(names["swapped"]).duration == pytest.approx(2.97, abs=0.05)
    assert len(names["channels"]) == 2 and names["similar"][0]["title"]
    if not shutil.which("curl"):
        pytest.skip("there is no curl on this machine")
    run = subprocess.run(["bash", "-ec", shell], cwd=ROOT, capture_output=True, text=True)
    event, data = run.stdout.strip().splitlines()[-2:]
    assert event == "event: complete"
    assert len(json.loads(data.removeprefix("data: "))[0]) == 3


# -- what ships ---------------------------------------------------------------------------------


def test_all_examples_are_answered_without_running_a_model(monkeypatch):
    def run(*_):
        raise AssertionError("a model was run: run python -m lab.demo.app --precompute")

    for name in ("_swap", "_separate", "_embed", "log_mel"):
        monkeypatch.setattr(models, name, run)
    for number in range(len(SWAPS)):
        assert all(swap.show_example(number, True))
    for number in range(len(MIXTURES)):
        assert all(separate.show_example(number))
    for number in range(len(QUERIES)):
        assert all(find.show_example(number, True, []))


def test_shipped_answers_are_the_results_of_the_models():
    example = SWAPS[1]
    clips = example.clips()
    shipped = answers.swap(example.model, *clips)["swapped"].wave
    made = models.swap(example.model, *clips)
    before, after, other = (
        log_mel(x) for x in (shipped, made["swapped"].wave, made["counterpart"].wave)
    )
    size, loud = min(len(before), len(other)), after > after.max() - 10
    assert len(shipped) == len(made["swapped"].wave)
    # By log-mels, in dB: Ogg Vorbis loses what is faint, and phases depend on the CPU's rounding.
    assert 4.34 * (before - after)[loud].abs().mean() < 1.5
    to_other = (before[:size] - other[:size])[loud[:size]].abs().mean()
    assert (before - after)[loud].abs().mean() < 0.2 * to_other

    query = read_example("rooster", "similar")
    h, _ = answers.embed(query)
    np.testing.assert_allclose(h, models.embed("scenes-encoder", query.wave), atol=1e-3)


def test_everything_that_ships_is_small_and_has_a_licence():
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) < 3_000_000
    listed = {entry.path for entry in library.entries() if FOLDER in entry.path.parents}
    assert listed == set((FOLDER / "library").glob("*.ogg"))
    for entry in library.entries():
        assert entry.licence in ("CC0", "CC BY", "CC BY 4.0", "MIT") and entry.credit


def test_a_channel_of_the_visitors_own_mixture_is_found(examples):
    rooster = read(examples / "scenes" / "rooster.flac").wave
    own = [library.OwnChannel("Channel 1 of your mixture", 0.2 * rooster[8_000:])]
    query = models.embed("scenes-encoder", rooster)
    hits = library.nearest(query, 5, own, without="rooster")
    assert hits[0].title == "Channel 1 of your mixture"
    assert np.abs(hits[0].wave).max() == pytest.approx(0.5)
    assert len(hits) == 5 and "rooster" not in {hit.name for hit in hits}


# -- attacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        str(ROOT / "lab" / "examples" / "violin-1.flac"),
        "lab/examples/violin-1.flac",
        "http://127.0.0.1:1/sound.wav",
        "https://example.org/sound.wav",
    ],
)
def test_paths_and_addresses_are_rejected(demo, path):
    for data in ({"path": path, "meta": META}, {"path": path}, {"url": path, "meta": META}):
        answered, text = demo.call("similar", {"data": [data, 5, 0]})
        assert not answered and "distance" not in text
    if path.startswith("http"):
        body = {"data": [{"path": path, "meta": META}, 5, 0]}
        assert ONLY_UPLOADS in demo.call("similar", body)[1]


@pytest.mark.parametrize("file", ["checkpoints/scenes-encoder/config.json", "app.py", "README.md"])
def test_no_file_of_the_server_can_be_downloaded(demo, file):
    for path in (ROOT / file, f"../{file}", file):
        answer = httpx.get(f"{demo.address}/gradio_api/file={path}")
        assert answer.status_code in (403, 404), answer.text


@pytest.mark.parametrize("model", ["checkpoints/dsae-dmelodies", "owner/name", "../..", ""])
def test_only_models_that_ship_can_be_chosen(demo, visitor, examples, model):
    clip = handle_file(examples / "violin-1.flac")
    with pytest.raises(AppError, match=r"not in the list of choices|no such model"):
        visitor.predict(clip, clip, model=model, api_name="/swap")
    with pytest.raises(RavelError, match="no such model: choose"):
        models.shipped("dsae", model)


@pytest.mark.parametrize(
    "data, error",
    [
        (b"no sound", "not a sound file"),
        (wav_claiming_an_hour(), "damaged"),
        (bytes_of(noise(0.5, 384), 8_000, format="CAF"), "384 channels: expected 1 to 64"),
        (bytes_of(np.zeros((16_000, 1)), 16_000), "silent"),
        (bytes_of(noise(0.05), 16_000), "too short"),
        (bytes_of(np.full((16_000, 1), np.nan), 16_000, subtype="FLOAT"), "not finite"),
    ],
    ids=["no sound", "an hour claimed", "384 channels", "silence", "too short", "no numbers"],
)
def test_unusable_sounds_are_refused_with_a_reason(visitor, tmp_path, data, error):
    given = file_of(tmp_path / "<b>mine.wav", data)
    for endpoint in ("/similar", "/separate"):
        with pytest.raises(AppError, match=error) as refused:
            visitor.predict(given, api_name=endpoint)
        assert "<b>" not in str(refused.value) and "Traceback" not in str(refused.value)


def test_only_the_used_part_of_a_decompression_bomb_is_decoded(visitor, tmp_path):
    wave = np.full((20 * 60 * 16_000, 1), 0.5, np.float32)
    wave[:, 0] *= np.tile(np.repeat([1, -1], 50), len(wave) // 100)
    data = bytes_of(wave, 16_000, format="FLAC")
    assert len(data) < wave.nbytes / 20
    channels = visitor.predict(file_of(tmp_path / "bomb.flac", data), api_name="/separate")
    assert soundfile.info(channels[0]).duration == 30


@pytest.mark.parametrize("start", [-1, 1e9, float("nan")])
def test_a_start_outside_the_sound_is_refused(demo, visitor, examples, start):
    clip = handle_file(examples / "violin-1.flac")
    with pytest.raises((AppError, ValueError)):
        visitor.predict(clip, start=start, api_name="/similar")


def test_uploads_are_bounded_before_they_are_read(demo):
    upload = f"{demo.address}/gradio_api/upload"
    large = httpx.post(upload, files={"files": ("a.wav", b"\0" * (MAX_UPLOAD + 1))})
    assert large.status_code == 413

    def chunks() -> Iterator[bytes]:
        """A body without a stated length."""
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        for _ in range(MAX_BODY // 2**16 + 2):
            yield b"\0" * 2**16

    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert httpx.post(upload, content=chunks(), headers=kind).status_code == 413
    many = [("files", (f"{i}.wav", b"\0" * (MAX_UPLOAD // 4))) for i in range(5)]
    assert httpx.post(upload, files=many, timeout=30).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=http://example.org/",
        "/gradio_api/file=https://example.org/a.wav",
        "/monitoring/summary",
        "/gradio_api/deep_link",
    ],
)
def test_unused_paths_are_closed(demo, path):
    answer = httpx.get(f"{demo.address}{path}")
    assert answer.status_code == 404 and answer.json() == {"detail": NOT_FOUND}


def test_a_full_queue_is_reported(demo, monkeypatch):
    monkeypatch.setattr(demo.blocks._queue, "max_size", 0)
    answered, text = demo.call("similar", {"data": [None, 5, 0]})
    assert not answered and json.loads(text) == {"detail": QUEUE_FULL}


def test_old_uploads_and_results_are_deleted_and_the_examples_are_not(
    monkeypatch, tmp_path, examples
):
    monkeypatch.setattr(app, "SWEEP", 1)
    monkeypatch.setattr(app, "MAX_AGE", 1)
    demo = LocalDemo()

    def files() -> set[str]:
        return {file.name for file in demo.uploads.rglob("*") if file.is_file()}

    try:
        shown = files()
        clip = handle_file(examples / "scenes" / "sea.flac")
        client_of(demo, tmp_path).predict(clip, api_name="/separate")
        assert "sea.flac" in files()
        for _ in range(300):
            if files() == shown:
                break
            time.sleep(0.1)
        assert files() == shown and "channel-1.wav" in shown
    finally:
        demo.close()
