"""The bundled recordings are what their table says, and fit to be swapped."""

import csv

import numpy as np
import pytest
import soundfile

from core.audio.clip import VOICED, read
from core.audio.pitch import track
from lab.bundled import instruments as table


def test_every_file_is_listed_with_its_licence_and_every_listed_file_is_there(examples):
    with (examples / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {path.name for path in examples.glob("*.flac")}
    assert {row["licence"] for row in rows} <= {"CC BY 4.0", "MIT"}
    assert all(row["author"] and row["source"] and row["title"] for row in rows)


def test_violin_and_trumpet_are_there_as_played_by_people_and_by_a_synthesiser(examples):
    kinds = [(row["instrument"], row["kind"]) for row in table().values()]
    for instrument in ("violin", "trumpet"):
        assert kinds.count((instrument, "recording")) >= 2
        assert kinds.count((instrument, "rendered")) == 1


@pytest.mark.parametrize("row", table().values(), ids=lambda row: row["file"])
def test_an_example_is_short_mono_and_has_a_pitch_most_of_the_time(examples, row):
    about = soundfile.info(examples / row["file"])
    assert (about.samplerate, about.channels) == (16_000, 1) and about.duration <= 4
    confidence = track(read(examples / row["file"]).wave).confidence
    assert np.mean(confidence >= VOICED) > 0.8
