"""Real duets, whose parts are known, through Remix: what is kept of each player, and what moved.

Two stems of a piece that was recorded part by part are mixed, the mixture is separated, and each
channel, which stands for the stem that it is nearest to, is given the other player's instrument.
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
from core.dsae.evaluation import probes as leak
from core.dsae.evaluation import recordings
from core.dsae.evaluation.recordings import Originals, Predictor, Row
from core.dsae.instruments import InstrumentTable, instrument_name, read_instruments
from core.dsae.latents import Disentangler, Latents
from core.errors import RavelError
from core.remix.remix import encode_channel, play_stem
from core.separation.evaluate import align
from core.separation.objective import si_snr, si_snr_of_pairs
from core.separation.separate import SeparationModel
from core.statistics import interval, spread_evenly

SECONDS = 8.0
AUDIBLE = 0.1  # of a file's RMS, from which its player counts as playing in an excerpt
FEWEST = 2  # duets
NAMED = (1, 3)  # among how many of the likeliest instruments the true one is looked for


class Duet(NamedTuple):
    """Two stems [S] of a piece, at the levels they were recorded with."""

    stems: tuple[Clip, Clip]
    piece: str


def read_duets(folders: Sequence[str], most: int | None = None) -> list[Duet]:
    """Every two instruments of every piece, as long as both play, SECONDS at a time.

    metadata.csv names each stem's `instrument` and `piece`. `most`: so many at most, evenly spread.
    Raises RavelError where there are fewer than two.
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
                parts = tuple(
                    Clip(whole.wave[start : start + size], whole.name, whole.labels)
                    for whole in (one, other)
                )
                wholes = zip(parts, (one, other), strict=True)
                if all(_rms(part) > AUDIBLE * _rms(whole) for part, whole in wholes):
                    yield Duet(parts, piece)


class Duets:
    """Duets, and what a separator makes of their mixtures: the same for all models.

    Letters: N duets, S samples. The stems are counted through, the two of a duet in turn.
    """

    def __init__(self, duets: Sequence[Duet], separator: SeparationModel) -> None:
        self.pieces = np.repeat([duet.piece for duet in duets], 2)
        self.stems = [clip for duet in duets for clip in duet.stems]
        self.originals = Originals(self.stems)
        waves = self.originals.waves.unflatten(0, (-1, 2))  # [N, 2, S]
        self.mixtures = waves.sum(1)
        apart = [separator.separate(mixture) for mixture in self.mixtures]
        self.channels = torch.cat(  # [2 N, S], each for its stem
            [
                made[align(si_snr_of_pairs(made[None], stems[None])[0])]
                for made, stems in zip(apart, waves, strict=True)
            ]
        )

    @cached_property
    def gained(self) -> np.ndarray:
        """By how many dB of SI-SNR channels are nearer to the stems than the mixture: [2 N]."""
        stems = self.originals.waves
        mixtures = self.mixtures.repeat_interleave(2, 0)
        return (si_snr(self.channels, stems) - si_snr(mixtures, stems)).double().numpy()

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Each stem with the other one of its duet."""
        return [(i, i ^ 1) for i in range(len(self.stems))]


def score(
    model: Disentangler,
    duets: Duets,
    judges: dict[str, Predictor],
    to_waveform: ToWaveform,
    progress: bool = True,
) -> dict[str, Any]:
    """Scores of a model on separated duets; rows as `recordings.score_rows` has them.

    The rows: the stems as they were recorded; the channels that stand for them; those as the model
    rebuilds them; with the instrument of the other channel, or with the mean v of its true
    instrument; and, with no separator, stem with stem. A channel that is silent comes out silent.
    Raises RavelError for a checkpoint that was not told of the instruments.
    """
    instruments = read_instruments(model.checkpoint)
    if instruments is None:
        raise RavelError(
            f"{model.name} has not been told of any instruments: run python -m core instruments "
            f"{model.name} --data STORE first."
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

    def exchanged(heard: list[Latents | None], waves: Tensor, i: int, j: int) -> Tensor:
        v = heard[j]
        return sound(None if v is None else v.v, heard[i], waves[i])

    everyone = [(i, i) for i in range(len(stems))]
    rows: dict[str, Row] = {
        "stem": (everyone, lambda i, j: stems[i]),
        "channel": (everyone, lambda i, j: channels[i]),
        "rebuilt": (everyone, lambda i, j: exchanged(of_channels, channels, i, j)),
        "exchanged": (duets.pairs, lambda i, j: exchanged(of_channels, channels, i, j)),
        "preset": (duets.pairs, lambda i, j: sound(means[j], of_channels[i], channels[i])),
        "stems exchanged": (duets.pairs, lambda i, j: exchanged(of_stems, stems, i, j)),
    }
    scores: dict[str, Any] = {"duets": len(stems) // 2, "si_snri": interval(duets.gained, np.mean)}
    for kind, heard in (("stems", of_stems), ("channels", of_channels)):
        for most in NAMED:
            found = [_named(instruments, each, most) for each in heard]
            right = [name in told for name, told in zip(names, found, strict=True)]
            scores[f"recognised_{kind}_{most}"] = interval(np.array(right, float), np.mean)
        there = [i for i, each in enumerate(heard) if each is not None]
        z = np.stack([heard[i].z.mean(0).numpy() for i in there])
        labels = duets.originals.instrument[there]
        scores[f"leak_z_{kind}"] = leak.label_across(z, labels, duets.pieces[there])
    return scores | recordings.score_rows(duets.originals, rows, judges, progress)


def matching_instrument(label: str, among: Sequence[str]) -> str:
    """The instrument that a label names: itself, else one of its kind, as a tenor saxophone is a
    saxophone. Raises RavelError where there is none."""
    wanted = instrument_name(label)
    found = [name for name in among if name == wanted or name.split()[-1] == wanted]
    if not found:
        raise RavelError(
            f"There is no {label} among the instruments that are known: {', '.join(among)}."
        )
    return min(found, key=lambda name: name != wanted)


def _named(instruments: InstrumentTable, heard: Latents | None, most: int) -> list[str]:
    told = instruments.likeness(heard.v.numpy()) if heard is not None else []
    return [each.name for each in told[:most]]


def _rms(clip: Clip) -> float:
    return float(rms(torch.from_numpy(clip.wave)))
