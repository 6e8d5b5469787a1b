"""Helpers for pages that run in process: what they show and play, and files to upload."""

import io
import json

import numpy as np
import soundfile
from streamlit.testing.v1 import AppTest


def sent(files: dict[str, bytes], url: str) -> bytes:
    """The file at an address of the page; `files` come from the fixture media."""
    return files[url.rsplit("/")[-1].split(".")[0]]


def decoded(files: dict[str, bytes], url: str) -> np.ndarray:
    """The samples of the WAV file behind a player or a download."""
    wave, rate = soundfile.read(io.BytesIO(sent(files, url)))
    assert rate == 16_000
    return wave


def played(page: AppTest, files: dict[str, bytes]) -> list[np.ndarray]:
    """The sounds of the players from the top of the page; `files` come from the fixture media."""
    return [decoded(files, player["url"]) for player in players(page)]


def players(page: AppTest) -> list[dict]:
    """What the players are given, from the top of the page."""
    return _parts(page, "sound")


def pictures(page: AppTest) -> list[dict]:
    """What the pictures of sounds are given, from the top of the page."""
    return _parts(page, "picture")


def _parts(page: AppTest, kind: str) -> list[dict]:
    return [part for part in given(page, "ravel_sound_part") if part["kind"] == kind]


def titles(page: AppTest) -> list[str]:
    """The titles of cells, with details."""
    return [element.value for element in page.markdown if element.value.startswith("**")]


def says(page: AppTest, text: str) -> bool:
    """Whether a caption contains the text."""
    return any(text in caption.value for caption in page.caption)


def given(page: AppTest, name: str) -> list[dict]:
    """The data given to each component of a name."""
    protos = [element.proto for element in page.get("bidi_component")]
    return [json.loads(proto.json) for proto in protos if proto.component_name.endswith(name)]


def component(page: AppTest, name: str) -> dict:
    """The data given to the only component of a name."""
    (data,) = given(page, name)
    return data


def desk(page: AppTest) -> dict:
    """The data given to the mixer."""
    return component(page, "ravel_mixer")


def wav(wave: np.ndarray, rate: int = 16_000) -> bytes:
    """Samples [S] or [S, channels] as a file of 32-bit floats."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()
