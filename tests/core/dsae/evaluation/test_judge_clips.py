import numpy as np
import pytest

from core.audio import trackers
from core.dsae.evaluation import judge_clips
from core.errors import RavelError
from tests.core.dsae.evaluation import tones

CREPE = trackers.find("crepe")
HIGH, LOW = [76, 78, 79], [55, 57, 60]


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    rows = [
        ("flute", HIGH, {"set": "one"}),
        ("oboe", LOW, {"set": "one"}),
        ("oboe", HIGH, {"set": "two"}),
    ]
    return tones.folder(tmp_path_factory.mktemp("judge") / "open", rows)


def test_the_judge_s_clips_hold_every_instrument_in_every_register(collections):
    files = judge_clips.labelled([collections], ["flute", "oboe"], ["one"])
    found = judge_clips.excerpts(files, 56, 76, CREPE, enough=50)
    assert found.log_mel.shape[1:] == (64, 80)
    for name, usual in (("flute", 78), ("oboe", 57)):
        registers = found.register[found.label == name]
        assert registers.min() < 66 < registers.max()
        assert np.abs(registers - usual).max() <= judge_clips.MOST_SHIFT + 3


def test_the_register_is_that_of_the_sound(collections):
    """Fundamentals of transposed copies lie where their registers say."""
    files = judge_clips.labelled([collections], ["flute", "oboe"], ["one"])
    found = judge_clips.excerpts({"flute": files["flute"]}, 64, 88, CREPE, enough=30)
    # HTK mels: the band of a frequency, of 80 up to 8 kHz.
    hertz = 440 * 2 ** ((found.register - 69) / 12)
    band = 81 * np.log10(1 + hertz / 700) / np.log10(1 + 8000 / 700) - 1
    spectra = found.log_mel.astype(float).mean(1)
    around = [spectra[i, round(b) - 1 : round(b) + 2].max() for i, b in enumerate(band)]
    assert (around >= np.sort(spectra, axis=1)[:, -12]).mean() > 0.9  # among the loudest bands


def test_collections_are_chosen_and_left_out(collections):
    def names(**choice):
        found = judge_clips.labelled([collections], ["oboe"], **choice)
        return [file.name for file in found["oboe"]]

    assert names() == ["oboe-1.wav", "oboe-2.wav"]
    assert names(collections=["two"]) == ["oboe-2.wav"]
    assert names(leave_out=["two"]) == ["oboe-1.wav"]
    with pytest.raises(RavelError, match="'three': there are one, two"):
        names(collections=["three"])
    with pytest.raises(RavelError, match="no recording of 'flute'"):
        judge_clips.labelled([collections], ["flute"], ["two"])


def test_sizes_of_an_instrument_count_as_one_label():
    labels = ["saxophone", "clarinet"]
    assert judge_clips.label_of("Alto Saxophone", labels) == "saxophone"
    assert judge_clips.label_of("bass clarinet", labels) is None
    assert judge_clips.label_of("viola", labels) is None
