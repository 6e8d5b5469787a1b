"""A clip to latents and back, and the swaps between, on real recordings."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.audio.clip import read
from core.checkpoints.checkpoint import Checkpoint
from core.dsae import latents
from core.dsae.config import DsaeConfig
from core.dsae.model import Dsae
from core.errors import RavelError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(untrained):
    return latents.load(untrained)


@pytest.fixture(scope="module")
def violin(examples):
    return read(examples / "violin-1.flac").segment(0.0, 2.0)


@pytest.fixture(scope="module")
def trumpet(examples):
    return read(examples / "trumpet-1.flac").segment(0.0, 1.5)


def test_a_clip_becomes_one_v_and_a_z_for_every_frame(model, violin):
    found = model.encode(violin)
    frames = 1 + 2 * 16_000 // 256
    assert found.v.shape == found.v_logvar.shape == (16,)
    assert found.z.shape == found.z_logvar.shape == (frames, 8)


def test_encoding_a_log_mel_is_encoding_its_clip(model, violin):
    from core.audio.mel import log_mel

    by_clip, by_mel = model.encode(violin), model.encode(log_mel(violin.wave))
    assert torch.equal(by_clip.z, by_mel.z)


FORMS = [("factorised", "framewise"), ("full", "recurrent"), ("factorised", "convolutional")]


@pytest.mark.parametrize(("posterior", "decoder"), FORMS)
def test_a_long_clip_piece_by_piece_is_the_whole(posterior, decoder, violin, monkeypatch):
    config = DsaeConfig.parse(
        {"model": {"hidden": 16, "posterior": posterior, "decoder": decoder, "z_size": 8}}
    )
    torch.manual_seed(1)
    model = latents.Disentangler(Dsae(config.model), config, Checkpoint(None))
    whole = model.encode(violin)
    decoded = model.decode(whole.v, whole.z)
    monkeypatch.setattr(latents, "PIECE", 31)
    found = model.encode(violin)
    for name, array in found.arrays().items():
        np.testing.assert_allclose(array, whole.arrays()[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.decode(found.v, found.z), decoded, rtol=1e-4, atol=1e-4)


LONG = """
import resource, sys
import numpy as np
from core.audio.clip import Clip, read
from core.dsae.latents import load

model = load("ts-dsae-instruments")
some = read("lab/examples/violin-1.flac")
model.decode(*(lambda found: (found.v, found.z))(model.encode(some)))
minutes = Clip(np.resize(some.wave, 600 * 16_000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = model.encode(minutes)
made = model.decode(found.v, found.z)
print(len(made), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_ten_minutes_go_through_in_bounded_memory():
    """At a time they would take more than 700 MiB, most of it for the log-mel."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", LONG], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    frames, grown = map(float, ran.stdout.split())
    assert frames == 1 + 600 * 16_000 // 256
    assert grown < 300  # MiB


def test_a_swap_takes_z_of_one_and_v_of_the_other(model, violin, trumpet):
    one, other = model.encode(violin), model.encode(trumpet)
    with torch.inference_mode():
        by_hand = model.model.decoder(one.z[None], other.v[None])[0]
    torch.testing.assert_close(model.swap(one, other), by_hand)
    torch.testing.assert_close(model.swap(one, one), model.decode(one.v, one.z))


def test_a_global_swap_is_the_local_swap_seen_from_the_other_side(model, violin, trumpet):
    by_global = latents.swap_clips(model, violin, trumpet, "global")
    by_local = latents.swap_clips(model, violin, trumpet, "local")
    assert torch.equal(by_global.swapped, by_local.counterpart)
    assert torch.equal(by_global.counterpart, by_local.swapped)
    assert by_global.swapped.shape == by_global.source.shape  # the source's melody, its length
    assert by_local.swapped.shape == by_local.target.shape


def test_samples_are_reproducible_and_take_the_global_latent_they_are_given(model, violin):
    v = model.encode(violin).v
    once, again = (model.sample(1.0, seed=3, v=v) for _ in range(2))
    assert torch.equal(once.z, again.z)
    assert torch.equal(once.v, v)
    assert once.z.shape == (1 + 16_000 // 256, 8)
    assert not torch.equal(once.z, model.sample(1.0, seed=4).z)


def test_sampling_leaves_the_global_random_state_alone(model):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    model.sample(0.5)
    assert torch.equal(torch.rand(3), expected)


def test_latents_survive_a_file(model, violin, tmp_path):
    found = model.encode(violin)
    with np.load(io.BytesIO(found.to_npz())) as arrays:
        np.testing.assert_array_equal(arrays["v"], found.v.numpy())
    latents.save_latents(tmp_path / "all.npz", {"a": found})
    with np.load(tmp_path / "all.npz") as arrays:
        np.testing.assert_array_equal(arrays["a/z"], found.z.numpy())


@pytest.mark.parametrize("shape", [(10, 79), (80,), (1, 10, 80)])
def test_a_log_mel_of_another_shape_is_refused(model, shape):
    with pytest.raises(RavelError, match="80"):
        model.encode(torch.zeros(shape))


def test_latents_of_another_size_are_refused(model):
    with pytest.raises(RavelError, match=r"\(frames, 8\)"):
        model.decode(torch.zeros(16), torch.zeros(5, 9))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda f: (f / "config.json").write_text("{"), "damaged config.json"),
        (lambda f: (f / "config.json").write_text("[]"), "damaged config.json"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 99), "damaged model"),
        (lambda f: cut(f / "model.safetensors"), "damaged model"),
        (lambda f: edit(f / "config.json", '"z_size": 8', '"z_size": 9'), "do not fit"),
        (lambda f: edit(f / "config.json", '"dsae"', '"separation"', 1), "not for swapping"),
        (lambda f: edit(f / "config.json", '"z_size": 8', '"z_size": -1'), "z_size"),
    ],
)
def test_a_damaged_checkpoint_says_what_is_wrong(untrained, tmp_path, damage, words):
    folder = tmp_path / "broken"
    shutil.copytree(untrained, folder)
    damage(folder)
    with pytest.raises(RavelError, match=words):
        latents.load(folder)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def edit(path, old, new, count=-1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def test_an_unknown_checkpoint_names_those_that_ship():
    with pytest.raises(RavelError, match="no checkpoint called 'ts-dase'"):
        latents.load("ts-dase")
