"""VGGish: its features against Kaldi's filters, its layers' shapes, and how it gets its weights."""

import hashlib
import http.server
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.audio import vggish
from core.errors import RavelError

RATE = 16_000


def tensors(prefixes=("features", "embeddings")):
    """Weights of the published shapes that take no room: each is one number."""
    shapes = {}
    layers, inputs = (0, 3, 6, 8, 11, 13), 1
    for layer, size in zip(layers, (64, 128, 256, 256, 512, 512), strict=True):
        shapes[f"{prefixes[0]}.{layer}"] = (size, inputs, 3, 3)
        inputs = size
    for layer, shape in zip((0, 2, 4), ((4096, 12288), (4096, 4096), (128, 4096)), strict=True):
        shapes[f"{prefixes[1]}.{layer}"] = shape
    found = {}
    for i, (name, shape) in enumerate(shapes.items()):
        found[f"{name}.weight"] = torch.tensor(0.01 * i).expand(shape)
        found[f"{name}.bias"] = torch.tensor(1.0 * i).expand(shape[0])
    return found


def test_filters_are_kaldis_which_are_linear_in_mel_too():
    from torchaudio.compliance.kaldi import get_mel_banks

    theirs, _ = get_mel_banks(64, 512, 16_000.0, 125.0, 7500.0, 100.0, -500.0, 1.0)
    assert np.allclose(vggish._mel_basis()[:-1].T, theirs, atol=1e-4)


def test_patches_are_the_logarithm_of_the_spectrum_every_half_second():
    rng = np.random.default_rng(0)
    wave = rng.standard_normal(4 * RATE).astype(np.float32)
    found = vggish.patches(torch.from_numpy(wave))
    assert found.shape == (7, 96, 64)  # of 398 frames
    frame = 50 * 3 + 20  # the fourth patch, its 21st frame
    piece = wave[frame * 160 : frame * 160 + 400] * np.hanning(401)[:-1]
    expected = np.log(np.abs(np.fft.rfft(piece, 512)) @ vggish._mel_basis().numpy() + 0.01)
    assert np.allclose(found[3, 20], expected, atol=1e-3)
    assert vggish.patches(torch.ones(800)).shape == (1, 96, 64)  # padded


def test_layers_have_the_published_shapes_and_the_last_is_linear(tmp_path):
    path = tmp_path / "vggish.pth"
    torch.save(tensors(), path)
    model = vggish.load(path)
    assert not any(p.requires_grad for p in model.parameters())
    with torch.no_grad():
        model.embeddings[4].weight.zero_()
        model.embeddings[4].bias.fill_(-1)
    found = model.embed(torch.zeros(2, 2 * RATE), [2.0, 1.0])
    assert [part.shape for part in found] == [(3, 128), (1, 128)]
    assert (found[0] == -1).all()  # no rectifier after it


def test_channels_come_last_before_the_dense_layers():
    """A dense layer that reads the first 512 numbers sees one place in all channels."""
    model = vggish.Vggish()
    seen = {}
    model.embeddings = torch.nn.Identity()
    hook = model.features.register_forward_hook(lambda *a: seen.update(x=a[2]))
    flat = model(torch.randn(1, 96, 64))
    hook.remove()
    assert seen["x"].shape == (1, 512, 6, 4)
    assert torch.equal(flat[0, :512], seen["x"][0, :, 0, 0])
    assert torch.equal(flat[0, 512:1024], seen["x"][0, :, 0, 1])


def test_torchaudios_copy_of_the_weights_has_other_names(tmp_path):
    path = tmp_path / "vggish.pt"
    torch.save(tensors(("features_network", "embedding_network")), path)
    assert float(vggish.load(path).features[3].bias[0]) == 1.0


def test_a_file_that_holds_no_weights_of_vggish_is_named(tmp_path):
    text, other = tmp_path / "notes.pth", tmp_path / "other.safetensors"
    text.write_text("not weights")
    save_file({"a": torch.ones(2)}, other)
    for path, words in (
        (tmp_path / "missing.pth", "There is no file"),
        (text, "cannot be read as weights"),
        (other, "does not hold the weights of VGGish"),
    ):
        with pytest.raises(RavelError, match=words):
            vggish.load(path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves a small file in the place of the published weights."""
    content = b"weights" * 1000

    class Handler(http.server.BaseHTTPRequestHandler):
        requests = 0

        def do_GET(self):
            Handler.requests += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as here:
        threading.Thread(target=here.serve_forever, daemon=True).start()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(vggish, "ADDRESS", f"http://127.0.0.1:{here.server_port}/weights")
        monkeypatch.setattr(vggish, "DIGEST", hashlib.sha256(content).hexdigest()[:8])
        yield Handler, content
        here.shutdown()


def test_weights_are_fetched_once_and_kept(server):
    handler, content = server
    assert vggish.fetch().read_bytes() == content
    assert vggish.fetch() == vggish.cached() and handler.requests == 1


def test_what_is_not_the_published_file_is_not_kept(server, monkeypatch):
    monkeypatch.setattr(vggish, "DIGEST", "00000000")
    with pytest.raises(RavelError, match="its SHA-256 is"):
        vggish.fetch()
    assert not list(vggish.cached().parent.iterdir())


def test_without_a_network_the_error_names_the_remedy(server, monkeypatch):
    monkeypatch.setattr(vggish, "ADDRESS", "http://127.0.0.1:9/weights")  # a closed port
    with pytest.raises(RavelError, match="give the file with --vggish FILE, or use CREPE"):
        vggish.load()
