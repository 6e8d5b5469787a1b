"""Baselines for a separator, on the same mixtures.

No separation; non-negative matrix factorisation (NMF), with components grouped blindly or by an
oracle; and ideal ratio masks, an upper bound for masking.
Letters: N references, M channels, S samples, K components, F bins, T frames.
"""

from typing import NamedTuple

import librosa
import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF
from torch import Tensor

from core.audio.clip import SAMPLE_RATE

COMPONENTS = 16  # K, at least two a channel
ITERATIONS = 200
NMF_WINDOW, NMF_HOP = 1024, 256  # samples at 16 kHz: 64 and 16 ms, Hann
MELS, CEPSTRA = 40, 13  # of a component, to group it by
MASK_WINDOW, MASK_HOP = 512, 128  # 32 and 8 ms, Hann
TINY = 1e-10


def all_of(mixture: Tensor, references: Tensor, channels: int) -> dict[str, Tensor]:
    """Every baseline's channels [M, S] of a mixture [S] with its references [N, S], by name.

    The ideal ratio mask has one channel per reference, whatever `channels` is.
    """
    blind, oracle = nmf(mixture, references, channels)
    return {
        "nothing": mixture.expand(channels, -1),
        "nmf": blind,
        "oracle-grouped nmf": oracle,
        "ideal ratio mask": ideal_ratio_mask(mixture, references),
    }


def ideal_ratio_mask(mixture: Tensor, references: Tensor) -> Tensor:
    """The mixture [S] masked by each reference's true share, [N, S]: an oracle.

    The share is the reference's power over that of all, in each bin of an STFT of 32 ms windows
    every 8 ms.
    """
    if not mixture.any():
        return torch.zeros_like(references)
    power = np.abs(_stft(references, MASK_WINDOW, MASK_HOP)) ** 2
    return _masked(_stft(mixture, MASK_WINDOW, MASK_HOP), power, MASK_HOP, len(mixture))


def nmf(mixture: Tensor, references: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """NMF's channels [M, S] of a mixture [S]: grouped by clustering, and grouped by an oracle.

    The magnitudes of an STFT of 64 ms windows every 16 ms are factorised under the Kullback-Leibler
    divergence; each group of components is a mask on the mixture. The clustering uses only the
    components. The oracle assigns each component to the reference with most of its energy, by the
    ratio masks of `references` [N, S]; with more references than channels, the last share one.
    """
    if not mixture.any():
        silent = mixture.new_zeros(channels, len(mixture))
        return silent, silent
    spectrum = _stft(mixture, NMF_WINDOW, NMF_HOP)
    parts = factorise(np.abs(spectrum), max(COMPONENTS, 2 * channels))
    shares = np.abs(_stft(references, NMF_WINDOW, NMF_HOP)) ** 2
    shares /= shares.sum(axis=0) + TINY
    held = np.einsum("fk,kt,nft->kn", *parts, shares).argmax(axis=1)
    both = (group(parts, channels), held.clip(max=channels - 1))
    blind, oracle = (_of_groups(spectrum, parts, of, channels, len(mixture)) for of in both)
    return blind, oracle


class Parts(NamedTuple):
    """K components: their spectra [F, K], each of sum 1, and their activations [K, T]."""

    spectra: np.ndarray
    activations: np.ndarray


def factorise(magnitudes: np.ndarray, components: int) -> Parts:
    """Magnitudes [F, T] as a sum of components, by multiplicative updates from a fixed seed."""
    model = NMF(
        components,
        init="random",
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=ITERATIONS,
        tol=0,  # a fixed number of iterations, and no convergence warning
        random_state=0,
    )
    spectra, activations = librosa.decompose.decompose(magnitudes, transformer=model)
    size = spectra.sum(axis=0) + TINY
    return Parts(spectra / size, activations * size[:, None])


def group(parts: Parts, groups: int) -> np.ndarray:
    """A group index for each component [K]: components of similar timbre form one source.

    k-means on the components' mel-frequency cepstra without the level (Spiertz and Gnann, DAFx
    2009), with a fixed seed.
    """
    bins = len(parts.spectra)
    mel = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=2 * (bins - 1), n_mels=MELS) @ parts.spectra
    cepstra = librosa.feature.mfcc(S=librosa.power_to_db(mel**2, top_db=None), n_mfcc=CEPSTRA)
    return KMeans(groups, n_init=5, random_state=0).fit_predict(cepstra[1:].T)


def _of_groups(
    spectrum: np.ndarray, parts: Parts, groups: np.ndarray, count: int, samples: int
) -> Tensor:
    members = groups == np.arange(count)[:, None]  # [M, K]
    magnitudes = np.einsum("mk,fk,kt->mft", members, *parts)
    return _masked(spectrum, magnitudes, NMF_HOP, samples)


def _masked(spectrum: np.ndarray, amounts: np.ndarray, hop: int, samples: int) -> Tensor:
    """Waves [M, S]: a spectrum [F, T] masked by the share of each of `amounts` [M, F, T]."""
    shares = (amounts + TINY) / (amounts + TINY).sum(axis=0)
    return torch.from_numpy(librosa.istft(shares * spectrum, hop_length=hop, length=samples))


def _stft(waves: Tensor, window: int, hop: int) -> np.ndarray:
    wave = waves.cpu().numpy()
    missing = max(0, window - wave.shape[-1])  # pad waves shorter than a window
    wave = np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(0, missing)])
    return librosa.stft(wave, n_fft=window, hop_length=hop)
