"""The demo's endpoints over HTTP: right answers, and nothing for those who mean ill."""

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
from core.checkpoints.checkpoint import list_checkpoints
from lab.demo import app as space
from lab.demo import examples as space_answers
from lab.demo import library as space_library
from lab.demo import models as space_engine
from lab.demo.audio_input import ONLY_UPLOADS
from lab.demo.gate import BODY, FULL, UPLOAD
from tests.lab.browser import ROOT
from tests.lab.demo.server import free_port, hour_of_nothing

SHIPS = {"ts-dsae-plus", "dsae-dmelodies", "separator-scenes", "scenes-encoder"}
META = {"_type": "gradio.FileData"}
HEADING = "## The demo and its API"

pytestmark = pytest.mark.skipif(
    not {found.name for found in list_checkpoints()} >= SHIPS, reason="checkpoints do not ship"
)


class Demo:
    """A running demo."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.blocks = space.launch(server_port=self.port, quiet=True)
        self.address = f"http://127.0.0.1:{self.port}"
        self.folder = folder

    def client(self) -> Client:
        return Client(self.address, verbose=False, download_files=self.folder)

    def call(self, endpoint: str, data: list) -> str:
        """What the endpoint says to raw JSON: the events of its answer."""
        api = f"{self.address}/gradio_api/call/{endpoint}"
        answer = httpx.post(api, json={"data": data}, timeout=60)
        if answer.status_code != 200:
            return answer.text
        return httpx.get(f"{api}/{answer.json()['event_id']}", timeout=60).text


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("downloads"))
    yield demo
    demo.blocks.close()


@pytest.fixture(scope="module")
def visitor(demo) -> Client:
    return demo.client()


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


def test_three_endpoints_say_what_they_take(visitor):
    api = visitor.view_api(return_format="dict", print_info=False)["named_endpoints"]
    taken = {
        name: [p["parameter_name"] for p in about["parameters"]] for name, about in api.items()
    }
    assert taken == {
        "/swap": ["source", "target", "what", "model", "source_start", "target_start"],
        "/separate": ["mixture", "model", "start"],
        "/similar": ["sound", "count", "start"],
    }
    assert all(len(about["description"]) > 60 for about in api.values())


@pytest.mark.parametrize("what, part", [("instrument", "swapped"), ("melody", "counterpart")])
def test_swap_gives_what_core_gives(visitor, examples, what, part):
    from core.dsae.latents import load, swap_clips
    from core.vocoder.play import play

    files = [examples / "flute-1.flac", examples / "trumpet-2.flac"]
    found = visitor.predict(*map(handle_file, files), what=what, api_name="/swap")
    made = swap_clips(load("ts-dsae-plus"), *(read(file, duration=4) for file in files))
    expected = 0.5 * play(getattr(made, part)).numpy()
    wave, rate = soundfile.read(found)
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


def test_the_nearest_sounds_come_first_with_whose_they_are(visitor, examples):
    found = visitor.predict(
        handle_file(examples / "scenes" / "rain.flac"), count=7, api_name="/similar"
    )
    assert len(found) == 7
    distances = [hit["distance"] for hit in found]
    assert distances == sorted(distances) and distances[0] > 0
    assert {hit["name"] for hit in found} <= {entry.name for entry in space_library.entries()}
    assert all(hit["credit"] and hit["licence"] for hit in found)
    assert "rain" in {hit["label"] for hit in found}


def test_visitors_at_once_get_each_their_own_clip_back(demo, examples):
    files = sorted(examples.glob("*-1.flac"))[:3]

    def rebuilt(file: Path) -> np.ndarray:
        given = handle_file(file), handle_file(files[0])
        return soundfile.read(demo.client().predict(*given, what="nothing", api_name="/swap"))[0]

    with ThreadPoolExecutor(len(files)) as visitors:
        together = list(visitors.map(rebuilt, files))
    for file, wave in zip(files, together, strict=True):
        np.testing.assert_array_equal(wave, rebuilt(file))


def test_the_readme_tells_how_and_it_works(demo, tmp_path):
    section = (ROOT / "README.md").read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    section = section.replace("http://127.0.0.1:7860", demo.address)
    python, shell = (
        re.search(rf"```{kind}\n(.*?)```", section, re.S)[1] for kind in ("python", "bash")
    )
    names: dict = {}
    exec(python, names)
    assert soundfile.info(names["swapped"]).duration == pytest.approx(2.97, abs=0.05)
    assert len(names["channels"]) == 2 and names["alike"][0]["title"]
    if not shutil.which("curl"):
        pytest.skip("there is no curl on this machine")
    said = subprocess.run(["bash", "-ec", shell], cwd=ROOT, capture_output=True, text=True).stdout
    event, data = said.strip().splitlines()[-2:]
    assert event == "event: complete"
    assert len(json.loads(data.removeprefix("data: "))[0]) == 3


# -- what ships ---------------------------------------------------------------------------------


def test_all_examples_are_answered_by_the_checkpoints_that_ship(monkeypatch):
    def asked(*_):
        raise AssertionError("a model was asked: run python -m lab.demo.app --precompute")

    for name in ("_swap", "_separate", "_embed", "log_mel"):
        monkeypatch.setattr(space_engine, name, asked)
    for number in range(len(space_answers.SWAPS)):
        assert all(space.space_swap.show_example(number, True))
    for number in range(len(space_answers.MIXTURES)):
        assert all(space.space_separate.show_example(number))
    for number in range(len(space_answers.QUERIES)):
        assert all(space.space_find.show_example(number, True, []))


def test_shipped_answers_are_what_the_models_say():
    example = space_answers.SWAPS[1]
    clips = [
        space_engine.take(space_answers.file_of(name), name, 0.0, "swap")
        for name in (example.source, example.target)
    ]
    known = space_answers.answers.swap(example.model, *clips)["swapped"].wave
    made = space_engine.swap(example.model, *clips)
    said, again, other = (
        log_mel(x) for x in (known, made["swapped"].wave, made["counterpart"].wave)
    )
    size, loud = min(len(said), len(other)), again > again.max() - 10
    assert len(known) == len(made["swapped"].wave)
    # By log-mels, in dB: Ogg Vorbis loses what is faint, and phases hang on how a CPU multiplies.
    assert 4.34 * (said - again)[loud].abs().mean() < 1.5
    assert (said - again).abs().mean() < 0.2 * (said[:size] - other[:size]).abs().mean()

    query = read(space_answers.file_of("rooster"))
    h, _ = space_answers.answers.embed(query)
    np.testing.assert_allclose(h, space_engine.embed("scenes-encoder", query.wave), atol=1e-3)


def test_everything_that_ships_is_small_and_says_whose_it_is():
    folder = space_answers.FOLDER
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 3_000_000
    listed = {entry.path for entry in space_library.entries() if folder in entry.path.parents}
    assert listed == set((folder / "library").glob("*.ogg"))
    for entry in space_library.entries():
        assert entry.licence in ("CC0", "CC BY", "CC BY 4.0", "MIT") and entry.credit


def test_a_channel_of_ones_own_mixture_is_found(examples):
    rooster = read(examples / "scenes" / "rooster.flac").wave
    own = [space_library.Own("Channel 1 of your mixture", 0.2 * rooster[8_000:])]
    query = space_engine.embed("scenes-encoder", rooster)
    hits = space_library.nearest(query, 5, own, without="rooster")
    assert hits[0].title == "Channel 1 of your mixture"
    assert np.abs(hits[0].wave).max() == pytest.approx(0.5)
    assert len(hits) == 5 and "rooster" not in {hit.name for hit in hits}


# -- those who mean ill -------------------------------------------------------------------------


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
def test_no_path_and_no_address_is_taken(demo, path):
    for data in ({"path": path, "meta": META}, {"path": path}, {"url": path, "meta": META}):
        said = demo.call("similar", [data, 5, 0])
        assert "event: error" in said and "distance" not in said
    if path.startswith("http"):
        assert ONLY_UPLOADS in demo.call("similar", [{"path": path, "meta": META}, 5, 0])


@pytest.mark.parametrize("file", ["checkpoints/scenes-encoder/config.json", "app.py", "README.md"])
def test_no_file_of_the_server_is_given_out(demo, file):
    for path in (ROOT / file, f"../{file}", file):
        answer = httpx.get(f"{demo.address}/gradio_api/file={path}")
        assert answer.status_code in (403, 404), answer.text


@pytest.mark.parametrize("model", ["checkpoints/dsae-dmelodies", "owner/name", "../..", ""])
def test_models_are_chosen_from_those_that_ship(demo, visitor, examples, model):
    clip = handle_file(examples / "violin-1.flac")
    with pytest.raises(AppError, match=r"not in the list of choices|no such model"):
        visitor.predict(clip, clip, model=model, api_name="/swap")
    with pytest.raises(space_engine.RavelError, match="no such model: choose"):
        space_engine.chosen("dsae", model)


@pytest.mark.parametrize(
    "data, says",
    [
        (b"no sound", "not a sound file"),
        (hour_of_nothing(), "damaged"),
        (bytes_of(noise(0.5, 384), 8_000, format="CAF"), "384 channels: expected 1 to 64"),
        (bytes_of(np.zeros((16_000, 1)), 16_000), "silent"),
        (bytes_of(noise(0.05), 16_000), "too short"),
        (bytes_of(np.full((16_000, 1), np.nan), 16_000, subtype="FLOAT"), "not finite"),
    ],
    ids=["no sound", "an hour claimed", "384 channels", "silence", "too short", "no numbers"],
)
def test_what_is_no_good_is_refused_in_words(visitor, tmp_path, data, says):
    given = file_of(tmp_path / "<b>mine.wav", data)
    for endpoint in ("/similar", "/separate"):
        with pytest.raises(AppError, match=says) as refused:
            visitor.predict(given, api_name=endpoint)
        assert "<b>" not in str(refused.value) and "Traceback" not in str(refused.value)


def test_of_a_flac_file_that_unpacks_to_far_more_only_what_is_used_is_decoded(visitor, tmp_path):
    wave = np.full((20 * 60 * 16_000, 1), 0.5, np.float32)
    wave[:, 0] *= np.tile(np.repeat([1, -1], 50), len(wave) // 100)
    data = bytes_of(wave, 16_000, format="FLAC")
    assert len(data) < wave.nbytes / 20
    channels = visitor.predict(file_of(tmp_path / "bomb.flac", data), api_name="/separate")
    assert soundfile.info(channels[0]).duration == 30


@pytest.mark.parametrize("start", [-1, 1e9, float("nan")])
def test_a_start_outside_the_sound_is_refused_in_words(demo, visitor, examples, start):
    clip = handle_file(examples / "violin-1.flac")
    with pytest.raises((AppError, ValueError)):
        visitor.predict(clip, start=start, api_name="/similar")


def test_uploads_are_bounded_before_they_are_read(demo):
    upload = f"{demo.address}/gradio_api/upload"
    large = httpx.post(upload, files={"files": ("a.wav", b"\0" * (UPLOAD + 1))})
    assert large.status_code == 413

    def drops() -> Iterator[bytes]:
        """A body that does not say how long it is."""
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        for _ in range(BODY // 2**16 + 2):
            yield b"\0" * 2**16

    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert httpx.post(upload, content=drops(), headers=kind).status_code == 413
    many = [("files", (f"{i}.wav", b"\0" * (UPLOAD // 4))) for i in range(5)]
    assert httpx.post(upload, files=many, timeout=30).status_code == 413


@pytest.mark.parametrize(
    "door",
    [
        "/gradio_api/proxy=http://example.org/",
        "/gradio_api/file=https://example.org/a.wav",
        "/monitoring/summary",
        "/gradio_api/deep_link",
    ],
)
def test_doors_without_use_are_shut(demo, door):
    assert httpx.get(f"{demo.address}{door}").status_code == 404


def test_a_full_house_says_so(demo, visitor, examples, monkeypatch):
    monkeypatch.setattr(demo.blocks._queue, "max_size", 0)
    said = demo.call("similar", [None, 5, 0])
    assert json.loads(said) == {"detail": FULL}


def test_what_visitors_leave_is_deleted_and_what_ships_is_not(monkeypatch, tmp_path, examples):
    monkeypatch.setattr(space, "SWEEP", 1)
    monkeypatch.setattr(space, "AGE", 1)
    demo = Demo(tmp_path)
    uploads = Path(space.os.environ["GRADIO_TEMP_DIR"])
    try:
        shown = {file.name for file in uploads.rglob("*") if file.is_file()}
        clip = handle_file(examples / "scenes" / "sea.flac")
        demo.client().predict(clip, api_name="/separate")
        for _ in range(60):
            left = {file.name for file in uploads.rglob("*") if file.is_file()}
            if left == shown:
                break
            time.sleep(0.5)
        assert left == shown and "channel-1.wav" in shown
    finally:
        demo.blocks.close()
