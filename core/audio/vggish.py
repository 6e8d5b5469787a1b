"""VGGish (Hershey et al. 2017), the embedding of the Fréchet audio distance (Kilgour et al. 2019).

Its weights are not part of this project: they come from a file, or are fetched once over https.
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.audio.clip import SAMPLE_RATE
from core.errors import RavelError
from core.files import replace

ADDRESS = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth"
DIGEST = "10086976"  # the file's name holds the start of its SHA-256
TIMEOUT = 30.0  # seconds without an answer
WINDOW, HOP, N_FFT = 400, 160, 512  # samples: 25 ms every 10 ms
BANDS, LOWEST, HIGHEST, OFFSET = 64, 125.0, 7500.0, 0.01
PATCH, PATCH_HOP = 96, 50  # frames: 0.96 s every 0.5 s, as Kilgour et al. have it
SHORTEST = WINDOW + (PATCH - 1) * HOP  # samples of one patch
CHANNELS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")


class Vggish(nn.Module):
    """VGGish up to the last layer before its non-linearity; modules named as in torchvggish."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for size in CHANNELS:
            if isinstance(size, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(inputs, size, 3, padding=1), nn.ReLU()]
                inputs = size
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 4 * 6, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, 128),
        )  # fmt: skip

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [N, 96, 64] of the log-mel to embeddings [N, 128]."""
        x = self.features(patches[:, None])
        return self.embeddings(x.permute(0, 2, 3, 1).flatten(1))  # channels last, as in TensorFlow

    @torch.inference_mode()
    def embed(self, waves: Tensor, seconds: Iterable[float]) -> list[np.ndarray]:
        """Of each wave [B, S] at 16 kHz the embeddings [F, 128] of its first `seconds`."""
        device = next(self.parameters()).device
        cut = zip(waves, seconds, strict=True)
        parts = [patches(wave[: round(s * SAMPLE_RATE)].to(device)) for wave, s in cut]
        found = self(torch.cat(parts)).cpu().split([len(part) for part in parts])
        return [part.numpy() for part in found]


def patches(wave: Tensor) -> Tensor:
    """A wave [S] at 16 kHz as log-mel patches [N, 96, 64]; a shorter one than a patch is padded."""
    wave = nn.functional.pad(wave.float(), (0, max(0, SHORTEST - len(wave))))
    frames = wave.unfold(0, WINDOW, HOP) * torch.hann_window(WINDOW, device=wave.device)
    magnitude = torch.fft.rfft(frames, N_FFT).abs()
    log_mel = (magnitude @ _mel_basis().to(wave.device) + OFFSET).log()
    return log_mel.unfold(0, PATCH, PATCH_HOP).transpose(1, 2)


@cache
def _mel_basis() -> Tensor:
    """Triangles that are linear in mel, [257, 64], as AudioSet's features have them."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    bins = mel(np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1))[:, None]
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    basis = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clip(min=0)
    basis[0] = 0
    return torch.from_numpy(basis).float()


def load(path: str | Path | None = None, device: torch.device | str = "cpu") -> Vggish:
    """VGGish with the weights of a file of torchvggish's, .pth or .safetensors, or fetched ones.

    Raises RavelError when the file is not there or is none of VGGish's, or when nothing can be
    fetched.
    """
    model = Vggish()
    tensors = _read(Path(path) if path else fetch())
    try:
        model.load_state_dict({_renamed(name): tensor for name, tensor in tensors.items()})
    except (RuntimeError, TypeError, AttributeError):
        raise RavelError(
            f"{path or cached()} does not hold the weights of VGGish: give torchvggish's "
            f"vggish-{DIGEST}.pth."
        ) from None
    return model.eval().requires_grad_(False).to(device)


def _renamed(name: str) -> str:
    """A name as torchvggish has it, also of those in torchaudio's copy."""
    return name.replace("features_network", "features").replace("embedding_network", "embeddings")


def cached() -> Path:
    """Where fetched weights are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ravel" / f"vggish-{DIGEST}.pth"


def fetch() -> Path:
    """The cached weights, fetched if they are not there yet. Raises RavelError."""
    path = cached()
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, _download)
    except OSError as error:  # no network, no such address, no room
        raise RavelError(
            f"The weights of VGGish could not be fetched from {ADDRESS} ({error}): give the file "
            "with --vggish FILE, or use CREPE's embedding."
        ) from None
    return path


def _download(path: Path) -> None:
    from tqdm import tqdm

    found = hashlib.sha256()
    with urllib.request.urlopen(ADDRESS, timeout=TIMEOUT) as answer, open(path, "wb") as file:
        size = int(answer.headers.get("Content-Length", 0)) or None
        with tqdm(total=size, desc="VGGish", unit="B", unit_scale=True) as bar:
            while block := answer.read(1 << 20):
                file.write(block)
                found.update(block)
                bar.update(len(block))
    if not found.hexdigest().startswith(DIGEST):
        raise OSError(f"its SHA-256 is {found.hexdigest()[:8]}..., not {DIGEST}...")


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RavelError(f"There is no file {path} with VGGish's weights.") from None
    except Exception as error:  # damaged files raise many kinds
        raise RavelError(f"{path} cannot be read as weights ({type(error).__name__}).") from None
