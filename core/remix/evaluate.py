"""Scores of remixed real duets with known stems: is the melody kept, has the instrument changed?

Two stems of a piece that was recorded part by part are mixed, the mixture is separated, and each
channel, matched to the stem nearest to it, is given the other player's instrument.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core.audio.clip import SAMPLE_RATE, Clip, read
from core.audio.long import ToWaveform
from core.data import folder
from core.data.folder import MAX_FILE_SECONDS
from core.data.mixtures import rms
from core.data.recording import Recording
from core.dsae.evaluation import probes, recordings
from core.dsae.evaluation.recordings import Predictor, Recordings, Row
from core.dsae.instruments import InstrumentTable, instrument_name, read_instruments
from core.dsae.latents import Disentangler, Latents
from core.errors import RavelError
from core.remix.remix import encode_channel, play_stem
from core.separation.evaluate import align
from core.separation.objective import si_snr, si_snr_of_pairs
from core.separation.separate import SeparationModel
from core.statistics import interval, spread_evenly

SECONDS = 8.0
AUDIBLE = 0.1  # share of a file's RMS above which its player counts as playing in an excerpt
FEWEST = 2  # duets
TOP = (1, 3)  # ranks within which the true instrument counts as recognised


class Duet(NamedTuple):
    """Two stems [S] of a piece, at their recorded levels."""

    stems: tuple[Clip, Clip]
    piece: str


def read_duets(folders: Sequence[str], most: int | None = None) -> list[Duet]:
    """All pairs of instruments of each piece, in excerpts of SECONDS in which both play.

    metadata.csv names each stem's `instrument` and `piece`. `most` limits the number of duets,
    evenly spaced. Raises RavelError for fewer than two.
    """
    found = [duet for path in folders for duet in _duets(folder.listing(path))]
    if len(found) < FEWEST:
        raise RavelError(
            f"There are no duets in {', '.join(folders)}: give folders of stems whose metadata.csv "
            "has the columns 'file', 'instrument' and 'piece', two or more instruments a piece, "
            f"of {SECONDS:g} s or more."
        )
    if most is not None and most < FEWEST:
        raise RavelError(f"--most {most} is too few duets: ask for {FEWEST} or more.")
    return [found[i] for i in spread_evenly(len(found), most or len(found))]


def _duets(files: list[Recording]) -> Iterator[Duet]:
    labelled = [file for file in files if {"instrument", "piece"} <= set(file.labels)]
    pieces = itertools.groupby(
        sorted(labelled, key=lambda file: (file.labels["piece"], file.name)),
        key=lambda file: file.labels["piece"],
    )
    size = round(SECONDS * SAMPLE_RATE)
    for piece, stems in pieces:
        clips = [
            read(file.path, labels=file.labels, normalise=False, max_seconds=MAX_FILE_SECONDS)
            for file in stems
        ]
        for one, other in itertools.combinations(clips, 2):
            if one.labels["instrument"] == other.labels["instrument"]:
                continue
            for start in range(0, min(len(one.wave), len(other.wave)) - size + 1, size):
                first, second = (
                    Clip(whole.wave[start : start + size], whole.name, whole.labels)
                    for whole in (one, other)
                )
                if all(
                    _rms(part) > AUDIBLE * _rms(whole)
                    for part, whole in ((first, one), (second, other))
                ):
                    yield Duet((first, second), piece)


class Duets:
    """Duets and the channels a separator makes of their mixtures, computed once for all models.

    Letters: N duets, S samples. The stems of a duet follow each other, 2 N in all.
    """

    def __init__(self, duets: Sequence[Duet], separator: SeparationModel) -> None:
        self.pieces = np.repeat([duet.piece for duet in duets], 2)
        self.stems = [clip for duet in duets for clip in duet.stems]
        self.originals = Recordings(self.stems)
        waves = self.originals.waves.unflatten(0, (-1, 2))  # [N, 2, S]
        self.mixtures = waves.sum(1)
        separated = [separator.separate(mixture) for mixture in self.mixtures]
        self.channels = torch.cat(  # [2 N, S], matched to the stems
            [
                made[align(si_snr_of_pairs(made[None], stems[None])[0])]
                for made, stems in zip(separated, waves, strict=True)
            ]
        )

    @cached_property
    def improvement(self) -> np.ndarray:
        """SI-SNR improvement of the channels over the mixture in dB, [2 N]."""
        stems = self.originals.waves
        mixtures = self.mixtures.repeat_interleave(2, 0)
        return (si_snr(self.channels, stems) - si_snr(mixtures, stems)).double().numpy()

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Each stem with the other stem of its duet."""
        return [(i, i ^ 1) for i in range(len(self.stems))]


def score(
    model: Disentangler,
    duets: Duets,
    classifiers: dict[str, Predictor],
    to_waveform: ToWaveform,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores of a model on separated duets; rows as `recordings.score_rows` has them.

    The rows: the stems as recorded; the channels matched to them; the channels reconstructed, with
    the instrument of the other channel, and with the mean v of the other's true instrument; and,
    without a separator, the stems with each other's instrument. A silent channel stays silent.
    Raises RavelError for a checkpoint without an instrument table.
    """
    instruments = read_instruments(model.checkpoint)
    if instruments is None:
        raise RavelError(
            f"{model.name} has no instrument table: run python -m core instruments {model.name} "
            "--data STORE first."
        )
    stems, channels = duets.originals.waves, duets.channels
    mixtures = duets.mixtures.repeat_interleave(2, 0)
    names = [matching_instrument(label, instruments.names) for label in duets.originals.instrument]
    means = [torch.from_numpy(instruments.mean(name)).float() for name in names]
    of_stems, of_channels = (
        [
            encode_channel(model, wave, mixture)
            for wave, mixture in zip(waves, mixtures, strict=True)
        ]
        for waves in (stems, channels)
    )

    def sound(v: Tensor | None, z: Latents | None, like: Tensor) -> Tensor:
        if v is None or z is None:
            return torch.zeros_like(like)
        return play_stem(model.decode(v, z.z), like, to_waveform)

    def exchanged(encoded: list[Latents | None], waves: Tensor, i: int, j: int) -> Tensor:
        partner = encoded[j]
        return sound(None if partner is None else partner.v, encoded[i], waves[i])

    everyone = [(i, i) for i in range(len(stems))]
    rows: dict[str, Row] = {
        "stem": (everyone, lambda i, j: stems[i]),
        "channel": (everyone, lambda i, j: channels[i]),
        "rebuilt": (everyone, lambda i, j: exchanged(of_channels, channels, i, j)),
        "exchanged": (duets.pairs, lambda i, j: exchanged(of_channels, channels, i, j)),
        "preset": (duets.pairs, lambda i, j: sound(means[j], of_channels[i], channels[i])),
        "stems exchanged": (duets.pairs, lambda i, j: exchanged(of_stems, stems, i, j)),
    }
    scores: dict[str, Any] = {
        "duets": len(stems) // 2,
        "si_snri": interval(duets.improvement, np.mean),
    }
    for kind, encoded in (("stems", of_stems), ("channels", of_channels)):
        for most in TOP:
            likely = [_likely(instruments, latents, most) for latents in encoded]
            right = [name in those for name, those in zip(names, likely, strict=True)]
            scores[f"recognised_{kind}_{most}"] = interval(np.array(right, float), np.mean)
        audible = [(i, latents) for i, latents in enumerate(encoded) if latents is not None]
        rows_of_z = [i for i, _ in audible]
        z = np.stack([latents.z.mean(0).numpy() for _, latents in audible])
        labels, pieces = duets.originals.instrument[rows_of_z], duets.pieces[rows_of_z]
        scores[f"leak_z_{kind}"] = probes.label_across(z, labels, pieces)
    return scores | recordings.score_rows(duets.originals, rows, classifiers, progress)


def matching_instrument(label: str, among: Sequence[str]) -> str:
    """The instrument that a label names: the same, or one of its kind, as a tenor saxophone is a
    saxophone. Raises RavelError if there is none."""
    wanted = instrument_name(label)
    found = [name for name in among if name == wanted or name.split()[-1] == wanted]
    if not found:
        raise RavelError(f"The instruments do not include {label}: they are {', '.join(among)}.")
    return min(found, key=lambda name: name != wanted)


def _likely(instruments: InstrumentTable, latents: Latents | None, most: int) -> list[str]:
    likeness = instruments.likeness(latents.v.numpy()) if latents is not None else []
    return [each.name for each in likeness[:most]]


def _rms(clip: Clip) -> float:
    return float(rms(torch.from_numpy(clip.wave)))
