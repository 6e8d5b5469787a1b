"""Opens a section of the Explore page, and computes what it should play."""

import io

import numpy as np
import soundfile
from streamlit.testing.v1 import AppTest

from core import service
from core.audio.clip import read
from tests.lab.pages import wav

MODEL = "ts-dsae-players"


def open_section(page: AppTest, section: str, **query: str) -> AppTest:
    for name, value in {"section": section, **query}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def latents_of(checkpoint, examples, name: str = "violin-1"):
    return service.latents(checkpoint, read(examples / f"{name}.flac"))


def sound_of(checkpoint, made) -> np.ndarray:
    return soundfile.read(io.BytesIO(service.render(checkpoint, made).wav))[0]


def upload(page: AppTest, wave: np.ndarray, side: str = "source") -> AppTest:
    page.segmented_control(key=f"{side}_from").set_value("Upload").run()
    return page.file_uploader(key=f"{side}_upload").upload("mine.wav", wav(wave)).run()
