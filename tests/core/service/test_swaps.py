"""How a swap went: figures against independent ones, remedies that help, registers."""

from pathlib import Path

import numpy as np
import pytest

from core import service
from core.audio.clip import SAMPLE_RATE, Clip, read
from core.checkpoints import checkpoint as checkpoints
from core.service import Pair, kinds, swaps
from core.service.swaps import Register

PLAYERS = "ts-dsae-players"
pytestmark = pytest.mark.skipif(
    PLAYERS not in {one.name for one in checkpoints.list_checkpoints("dsae")},
    reason="the model does not ship",
)


def tone(hertz: float, seconds: float = 2.0) -> Clip:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 6))
    return Clip((wave / np.abs(wave).max()).astype(np.float32), f"{hertz:g} Hz")


@pytest.fixture(scope="module")
def pair(examples) -> Pair:
    """A violin and a low clarinet."""
    violin = read(examples / "violin-1.flac", labels={"instrument": "violin"})
    clarinet = read(examples / "clarinet-1.flac", labels={"instrument": "clarinet"})
    return Pair(checkpoints.find(PLAYERS), violin, clarinet)


def test_figures_agree_with_crepe_and_with_the_model_s_own_encoder(pair):
    from core.dsae.evaluation.swap_grid import moved_sound

    found = swaps.figures(pair, "counterpart")

    made = service.sound(pair, "counterpart")
    crepe = service.melody_kept(service.wav(pair.target), made)
    assert found.kept == pytest.approx(crepe, abs=0.1) and found.kept > 0.8
    import io

    import soundfile

    wave = soundfile.read(io.BytesIO(made), dtype="float32")[0] / service.HEADROOM
    latents = [service.latents(pair.checkpoint, clip) for clip in (pair.target, pair.source)]
    model = service.disentangler(pair.checkpoint)
    assert found.moved == pytest.approx(moved_sound(model, wave, *latents), abs=1e-6)


def test_strength_goes_from_the_one_v_to_the_other_and_beyond(pair):
    v, z = (
        service.latents(pair.checkpoint, pair.source),
        service.latents(pair.checkpoint, pair.target),
    )
    model = service.disentangler(pair.checkpoint)
    for strength, mean in ((0.0, v.v), (1.0, z.v), (1.3, v.v + 1.3 * (z.v - v.v))):
        made = service.decoded(pair._replace(strength=strength), "swapped")
        assert np.allclose(made, model.decode(mean, v.z).numpy(), atol=1e-4)
    moved = [swaps.figures(pair._replace(strength=s), "swapped").moved for s in (0.0, 0.5, 1.0)]
    assert moved == sorted(moved) and moved[2] - moved[0] > 0.5


def test_an_instrument_of_the_list_takes_the_target_s_place(pair):
    listed = pair._replace(instrument="clarinet")
    mean = service.instrument_table(pair.checkpoint).mean("clarinet")
    assert np.allclose(listed.latents("target").v.numpy(), mean, atol=1e-6)
    assert swaps.figures(listed, "swapped").kept > 0.9
    clip = swaps.played(pair.checkpoint, "tuba", pair.source)
    assert clip.labels["instrument"] == "tuba" and np.abs(clip.wave).max() == pytest.approx(1)


def test_what_is_offered_for_a_lost_melody_keeps_it(pair, examples):
    flute = read(examples / "flute-1.flac", labels={"instrument": "flute"})
    lost = Pair(pair.checkpoint, pair.target, flute, strength=1.3)  # a low clarinet, far beyond
    assert swaps.figures(lost, "swapped").kept < 0.8
    found = {remedy.kind: remedy for remedy in swaps.remedies(lost, "swapped")}
    assert {"strength", "instrument"} <= set(found)
    assert found["instrument"].value == "flute"
    assert all(remedy.figures.kept >= swaps.ENOUGH for remedy in found.values())
    assert not list(swaps.remedies(pair, "counterpart"))  # which keeps its melody


def test_registers_are_those_of_the_notes_that_sound():
    low, high = (swaps.register(tone(hertz)) for hertz in (220.0, 880.0))
    assert low and high
    assert low.middle == pytest.approx(57, abs=0.3) and high.middle == pytest.approx(81, abs=0.3)
    assert swaps.octaves_off(low, high) == 2 and swaps.octaves_off(high, low) == -2
    assert swaps.octaves_off(low, Register(40, 80)) == 0  # it lies within
    assert swaps.register(Clip(np.zeros(32_000, np.float32))) is None


def test_a_transposed_clip_is_an_octave_away_and_as_long():
    clip = tone(220.0)
    higher = swaps.transposed(clip, 1)
    assert len(higher.wave) == len(clip.wave)
    register = swaps.register(higher)
    assert register and register.middle == pytest.approx(69, abs=0.5)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("trumpet-2.flac", kinds.INSTRUMENT), ("scenes/rooster.flac", kinds.SCENE)],
)
def test_a_sound_is_known_for_an_instrument_or_an_everyday_sound(examples, name, kind):
    pack = Path(examples) / "included"
    assert kinds.kind_of(pack, read(examples / name)) == kind
