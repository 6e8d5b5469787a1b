"""Training a vocoder by the engine on real instruments, and what comes of it."""

import numpy as np
import pytest
import soundfile
import torch

from core import registry
from core.audio import invert
from core.audio.mel import log_mel
from core.data.store import FeatureStore
from core.errors import RavelError
from core.training.config import merge
from core.vocoder.config import VocoderConfig
from core.vocoder.model import LEVEL
from core.vocoder.objective import stft_distance
from core.vocoder.sounds import Sounds
from core.vocoder.task import VocoderTask
from core.vocoder.vocode import load
from tests.core.training.resuming import whole_and_parted
from tests.core.vocoder.conftest import rebuild

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def task(values):
    task = VocoderTask(VocoderConfig.parse(values), rebuild)
    assert task.load(CPU) == 8
    return task


def test_a_minute_of_training_brings_spectra_nearer_to_held_out_instruments(trained):
    first, *_, last = trained.metrics("validation")
    for name in ("criterion", "magnitude", "advance", "delay", "stft_convergence"):
        assert last[name] < first[name]
    assert last["advance"] < 0.85 < 0.95 < first["advance"]


def test_the_last_quarter_of_the_steps_learns_only_what_is_noise(trained):
    before, after = (trained.load(name)[0] for name in ("step_60", "last"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"tonal.weight", "tonal.bias"}
    stages = {record["step"]: record for record in trained.metrics("validation")}
    assert [stages[step]["stage"] for step in (0, 30, 60, 80)] == ["spectra"] * 2 + ["noise"] * 2
    assert stages[80]["tonality"] < 0.97 * stages[60]["tonality"]
    assert stages[80]["criterion"] == stages[80]["tonality"]
    assert stages[80]["magnitude"] == pytest.approx(stages[60]["magnitude"])


def test_each_stage_has_the_whole_schedule(trained):
    rates = {record["step"]: record["learning_rate"] for record in trained.metrics("train")}
    cosine = [3e-3 * 0.5 * (1 + np.cos(np.pi * (step - 5 - 1) / 55)) for step in (10, 40, 60)]
    assert [rates[step] for step in (10, 40, 60)] == pytest.approx(cosine, abs=2e-6)
    assert rates[70] == pytest.approx(3e-3 * 0.5 * (1 + np.cos(np.pi * 4 / 15)), abs=2e-6)
    assert rates[80] < 0.02 * rates[70]


@pytest.mark.parametrize("share, stages", [(0.0, {"spectra"}), (0.3, {"spectra", "noise"})])
def test_a_few_steps_are_so_many_of_each_stage(values, share, stages):
    config = VocoderConfig.parse(merge(values, {"objective.noise_share": share}))
    short = VocoderConfig.parse(merge(config.model_dump(), config.shortened(6)))
    found = [short.stage(step) for step in range(short.training.steps)]
    assert {stage: found.count(stage) for stage in found} == dict.fromkeys(stages, 6)


def test_excerpts_are_the_sound_that_their_log_mels_are_of(task, instruments):
    store = FeatureStore.open(instruments)
    sounds = Sounds(store, store.indices("train"), CPU)
    draw = np.random.default_rng(0)
    for row in sounds.rows[:3]:
        mel, around = sounds.excerpt(int(row), 60, draw)
        wave = torch.from_numpy(around[768:-512])  # from the first frame's middle on
        found = log_mel(wave)[8:-8]  # whose window lies within
        torch.testing.assert_close(found, torch.from_numpy(mel)[8:-8], atol=0.3, rtol=0.05)


def test_batches_are_at_the_level_that_the_network_knows_or_up_to_so_much_below(task):
    batch = task.batch(torch.arange(4).repeat(8))
    loudest = batch.log_mel.amax((1, 2))
    below = (LEVEL - loudest) * 10 / np.log(10)
    assert -0.01 < below.min() < 3 and 9 < below.max() < 12.01
    mel = log_mel(batch.wave)[:, 8:-8]
    distance = (mel - batch.log_mel[:, 8 : 8 + mel.shape[1]]).abs().mean((1, 2))
    assert distance.median() < 0.6  # wave and log-mel were turned down alike; some are blurred


def test_so_large_a_share_of_the_excerpts_is_rebuilt(instruments):
    store = FeatureStore.open(instruments)
    rows = store.indices("train")
    sounds = Sounds(store, rows, CPU)
    sounds.add(rows, np.full((len(rows), 126, 80), 7.0, np.float16))
    draw = np.random.default_rng(1)
    drawn = [
        (sounds.excerpt(int(rows[i % 8]), 20, draw, rebuilt=0.25)[0] == 7).all() for i in range(400)
    ]
    assert 0.18 < np.mean(drawn) < 0.32


def test_the_same_seed_trains_to_the_same_weights_through_a_stop(values, tmp_path):
    config = VocoderConfig.parse(merge(values, {"training.steps": 6, "training.snapshots": (6,)}))
    whole, parted = whole_and_parted(config, tmp_path, 3, lambda c: VocoderTask(c, rebuild))
    one, other = whole.load("step_6")[0], parted.load("step_6")[0]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_original_and_copy_are_kept_during_training(trained):
    files = sorted((trained.path / "samples" / "step_000060").glob("*.wav"))
    assert [file.stem for file in files] == ["1 original", "2 by the vocoder"]
    waves = [soundfile.read(file)[0] for file in files]
    assert len(waves[0]) == len(waves[1]) and all(0.01 < abs(w).max() <= 1 for w in waves)


def test_a_checkpoint_in_half_precision_plays_as_the_run_does(checkpoint, trained, instruments):
    assert {t.dtype for t in checkpoint.weights().values()} == {torch.float16}
    store = FeatureStore.open(instruments)
    mel = torch.tensor(store.log_mel[store.indices("validation")[0]]).float()
    vocoder = load(checkpoint.path)
    network = registry.network(VocoderConfig.parse(trained.config))
    network.load_state_dict(trained.load("best")[0])
    vocoder.model, halved = network.eval().requires_grad_(False), vocoder.to_waveform(mel)
    whole = vocoder.to_waveform(mel)
    ratio, decibels = stft_distance(halved[None], whole[None])
    assert float(ratio) < 0.1 and float(decibels) < 2


def test_its_card_names_the_data_and_the_command(checkpoint, instruments):
    card = (checkpoint.path / "README.md").read_text()
    assert f"python -m core train vocoder --out runs/small-vocoder --data {instruments}" in card
    assert f"--data.models blurred={instruments}" in card
    assert 'load("small-vocoder").to_waveform' in card


def test_even_this_one_is_nearer_than_griffin_lim_started_from_noise_without_rounds(
    checkpoint, instruments
):
    store = FeatureStore.open(instruments)
    clip = store.clip(int(store.indices("validation")[0])).wave
    wave = torch.from_numpy(clip[: len(clip) // 256 * 256])
    vocoder = load(checkpoint.path)
    ours = vocoder.to_waveform(log_mel(wave))
    noise = invert.to_waveform(log_mel(wave), iterations=0)
    assert stft_distance(ours[None], wave[None])[0] < stft_distance(noise[None], wave[None])[0]


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"data.models": ["ts-dsae=data/elsewhere"]}, "MODEL=STORE"),
        ({"data.models": "ts-dsae"}, "MODEL=STORE"),
        ({"model.kernel": 4}, "kernel"),
        ({"data.crop": 0}, "crop"),
        ({"data.rebuilt": 1.5}, "rebuilt"),
        ({"objective.noise_share": 1}, "noise_share"),
    ],
)
def test_settings_that_cannot_be_are_named(values, changes, said):
    with pytest.raises(RavelError, match=said):
        VocoderConfig.parse(merge(values, changes))


def test_a_store_without_sound_is_refused(melodies, values):
    config = VocoderConfig.parse(merge(values, {"data": {"store": str(melodies), "models": ()}}))
    with pytest.raises(RavelError, match="a vocoder is trained on sound"):
        VocoderTask(config, rebuild).load(CPU)
