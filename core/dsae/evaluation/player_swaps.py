"""Swaps of real players, judged by what register alone cannot fool.

options = PlayerOptions(folders=("bach10", "urmp_solo"), tracker="swift")
scores = score(load("ts-dsae-plus"), options)  # {"bach10/swap_far": 0.53, ...}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Memory

from core.audio import trackers
from core.dsae.evaluation import (
    balanced_judge,
    judged_swaps,
    matched_pitch,
    pitch_kept,
    register_leaks,
)
from core.dsae.evaluation.balanced_judge import BalancedJudge
from core.dsae.evaluation.judged_swaps import JudgeSources
from core.dsae.evaluation.player_clips import PlayerClips, read_clips
from core.dsae.evaluation.real_counterfactuals import Counterfactuals
from core.dsae.evaluation.swap_pairs import SwapPairs, between_instruments, everyone
from core.dsae.latents import Disentangler, Latents
from core.vocoder.play import check_route, play

VERSION = 2  # of what is cached; a change of clips, judge or counterfactuals raises it
BATCH = 16  # swaps turned into sound at once

Made = dict[str, tuple[SwapPairs, np.ndarray]]  # by name, pairs and their log-mels [P, T, M]
Scores = dict[str, Any]  # by name an interval, or a table of intervals by a further name


@dataclass(frozen=True)
class PlayerOptions:
    """What is swapped, and how it is judged.

    folders   each holds recordings of several instruments (metadata.csv with `instrument`, and
              `f0_file` where the pitch is known); those of one folder are swapped among themselves
    tracker   of core.audio.trackers: crepe for figures to publish, swift for development
    clips     of each instrument that are swapped, at most
    targets   of each other instrument, for each of them; None: all
    strengths how far v goes from the source's (0) to the target's (1) and beyond, for the trade
              between melody and timbre; none: no such table
    route     from log-mels to sound
    judge     what the register-balanced judge learns from; None: no judge. It is `judge_seeds`
              networks of `judge_steps` steps each
    cache     a folder that keeps what does not depend on the model; None: computed anew
    """

    folders: tuple[str, ...]
    tracker: str = "crepe"
    clips: int = 8
    targets: int | None = 2
    strengths: tuple[float, ...] = ()
    route: str | None = None
    judge: JudgeSources | None = None
    judge_seeds: int = 3
    judge_steps: int = balanced_judge.STEPS
    cache: str | None = None


@dataclass(frozen=True, eq=False)
class Encoded:
    """A folder's clips, all of them and those that are swapped, with their latents."""

    clips: PlayerClips
    latents: Sequence[Latents]
    swapped: PlayerClips
    of_swapped: Sequence[Latents]

    @classmethod
    def of(cls, model: Disentangler, clips: PlayerClips, count: int) -> Encoded:
        """Every clip's latents by the model; `count` clips of each instrument are swapped."""
        latents = [model.encode(x) for x in clips.log_mel]
        some = clips.fewer(count)
        return cls(clips, latents, clips.take(some), [latents[i] for i in some])


def score(model: Disentangler, options: PlayerOptions) -> dict[str, float]:
    """The values of `measure`, flat: `FOLDER/NAME`, and `FOLDER/TABLE/NAME` in tables."""
    flat: dict[str, float] = {}
    for folder, scores in measure(model, options).items():
        for name, found in scores.items():
            if isinstance(found, dict) and "value" not in found:
                flat |= {f"{folder}/{name}/{key}": _value(one) for key, one in found.items()}
            else:
                flat[f"{folder}/{name}"] = _value(found)
    return flat


def measure(model: Disentangler, options: PlayerOptions) -> dict[str, Scores]:
    """Scores by folder, each with its interval from resampled clips.

    Raises RavelError for folders that cannot be swapped, see `player_clips.read_clips`.
    """
    route = check_route(options.route)
    everything = [prepared(path, options) for path in options.folders]
    judge = judge_of(everything, options)
    found = {}
    for clips in everything:
        encoded = Encoded.of(model, clips, options.clips)
        made = _swapped(model, encoded, options.targets)
        scores = _scores(model, encoded, made, options, route)
        if judge and options.judge:
            real = counterfactuals(encoded.swapped, options)
            scores |= judged_swaps.scores(judge, encoded.swapped, made, real, options.judge.own)
            if options.judge.elsewhere:
                scores["judge_elsewhere"] = judged_swaps.on_others(
                    judge, options.judge.elsewhere, clips.instruments
                )
        found[clips.name] = scores
    return found


def judge_of(clips: Sequence[PlayerClips], options: PlayerOptions) -> BalancedJudge | None:
    """The judge of the instruments and registers of all folders, kept in the cache."""
    if options.judge is None:
        return None
    labels = sorted({name for one in clips for name in one.instruments})
    low, high = judged_swaps.registers(clips)
    kept = _memory(options.cache)
    learnt = kept.cache(judged_swaps.learnt)(
        options.judge, labels, low, high, options.tracker, options.folders
    )
    seeds, steps = options.judge_seeds, options.judge_steps
    return kept.cache(balanced_judge.train)(learnt, seeds=seeds, steps=steps)


def counterfactuals(clips: PlayerClips, options: PlayerOptions) -> Counterfactuals | None:
    """Real notes that play the clips' melodies, kept in the cache; None without notes."""
    if options.judge is None or not options.judge.notes:
        return None
    return _memory(options.cache).cache(judged_swaps.counterfactuals)(options.judge, clips)


def prepared(path: str, options: PlayerOptions) -> PlayerClips:
    """A folder's clips with their pitch, kept in the cache if there is one."""
    folder = Path(path).resolve()
    stamp = [(p.name, p.stat().st_mtime_ns) for p in (folder / "metadata.csv",) if p.is_file()]
    return _memory(options.cache).cache(_read)(str(folder), options.tracker, stamp)


def _read(path: str, tracker: str, stamp: list) -> PlayerClips:  # stamp: a part of the cache's key
    return read_clips(path, trackers.find(tracker))


def _memory(cache: str | None) -> Memory:
    return Memory(Path(cache) / f"players-{VERSION}" if cache else None, verbose=0)


def _swapped(model: Disentangler, encoded: Encoded, targets: int | None) -> Made:
    clips = encoded.swapped
    alone = everyone(len(clips))
    pairs = between_instruments(clips.instrument, targets, clips.first)
    return {
        "rebuilt": (alone, _made(model, encoded.of_swapped, alone)),
        "swap": (pairs, _made(model, encoded.of_swapped, pairs)),
    }


def _scores(
    model: Disentangler, encoded: Encoded, made: Made, options: PlayerOptions, route: str
) -> Scores:
    clips, everything = encoded.swapped, encoded.clips
    tracker = trackers.find(options.tracker)
    original = everyone(len(clips)), clips.log_mel
    scores: Scores = {}
    for name, (of, log_mels) in {"round_trip": original, **made}.items():
        kept = pitch_kept.kept(clips.midi[of.source], _tracked(log_mels, route, tracker))
        scores[f"pitch_{name}"] = of.mean(kept)
        if name == "swap":
            distances = pitch_kept.by_distance(kept, clips.register, of)
            scores |= {f"pitch_swap_{key}": value for key, value in distances.items()}
            scores["pitch_table"] = pitch_kept.by_instruments(kept, clips.instrument, of)
    scores |= _nearer(encoded, made["swap"], model)
    if options.strengths:
        scores |= _by_strength(encoded, made["swap"][0], model, options, route, scores)
    v, z = (np.stack([getattr(each, part).numpy() for each in encoded.latents]) for part in "vz")
    names = everything.instrument
    scores["register_in_v"] = register_leaks.register_in_v(v, everything.register, names)
    scores["instrument_in_z"] = register_leaks.instrument_in_z(
        z, everything.midi, names, everything.recording
    )
    return scores


def _by_strength(
    encoded: Encoded,
    pairs: SwapPairs,
    model: Disentangler,
    options: PlayerOptions,
    route: str,
    swaps: Scores,
) -> Scores:
    """The pitch kept and `nearer` of swaps by their strength: what timbre costs in melody.

    `swaps` has those of strength 1, which are not computed again.
    """
    everything, clips = encoded.clips, encoded.swapped
    names, tracker = everything.instrument, trackers.find(options.tracker)
    originals = np.maximum(everything.log_mel, model.config.model.floor)
    real = matched_pitch.means(matched_pitch.frames(originals, everything.midi, names, names))
    of, by = clips.instrument[pairs.source], clips.instrument[pairs.target]
    pitch, nearer = {}, {}
    for strength in options.strengths:
        if strength == 1:
            pitch["1"], nearer["1"] = swaps["pitch_swap"], swaps["nearer_swap"]
            continue
        log_mels = _made(model, encoded.of_swapped, pairs, strength)
        kept = pitch_kept.kept(clips.midi[pairs.source], _tracked(log_mels, route, tracker))
        pitch[f"{strength:g}"] = pairs.mean(kept)
        made = matched_pitch.frames(log_mels, clips.midi[pairs.source], of, by)
        nearer[f"{strength:g}"] = matched_pitch.compare(made, real).share()
    return {"pitch_by_strength": pitch, "nearer_by_strength": nearer}


def _made(
    model: Disentangler, latents: Sequence[Latents], pairs: SwapPairs, strength: float = 1.0
) -> np.ndarray:
    """Log-mels [P, T, M] of swaps, v being `strength` of the way from the source's to the
    target's."""
    made = []
    for i, j in zip(pairs.source, pairs.target, strict=True):
        v = latents[i].v.lerp(latents[j].v, strength)
        made.append(model.decode(v, latents[i].z).numpy())
    return np.stack(made)


def _tracked(log_mels: np.ndarray, route: str, tracker: trackers.Tracker) -> trackers.Track:
    parts = []
    for start in range(0, len(log_mels), BATCH):
        parts.append(
            tracker(play(torch.from_numpy(log_mels[start : start + BATCH]), route).numpy())
        )
    return trackers.Track(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _nearer(encoded: Encoded, swaps: tuple[SwapPairs, np.ndarray], model: Disentangler) -> Scores:
    """`nearer` by whole spectra, and by what of them is above the noise of recordings."""
    everything, clips = encoded.clips, encoded.swapped
    names, floor = everything.instrument, model.config.model.floor
    pairs, log_mels = swaps
    of, by = clips.instrument[pairs.source], clips.instrument[pairs.target]
    rebuilt = _made(model, encoded.latents, everyone(len(everything)))
    halves = matched_pitch.halves(everything.recording, everything.midi, names)
    scores: Scores = {}
    for name, cut in (("nearer", np.inf), ("nearer_loud", matched_pitch.FLOOR)):
        originals = np.maximum(everything.log_mel, floor)  # no model makes less
        real = matched_pitch.frames(originals, everything.midi, names, names, cut)
        again = matched_pitch.frames(rebuilt, everything.midi, names, names, cut)
        made = matched_pitch.frames(log_mels, clips.midi[pairs.source], of, by, cut)
        compared = matched_pitch.compare(made, matched_pitch.means(real))
        scores |= {
            f"{name}_original": matched_pitch.of_itself(real, halves, real).share(),
            f"{name}_rebuilt": matched_pitch.of_itself(again, halves, real).share(),
            f"{name}_swap": compared.share(),
        }
        if cut == np.inf:
            scores["nearer_table"] = compared.by_instruments()
    return scores


def _value(found: Any) -> float:
    return float(found["value"]) if isinstance(found, dict) else float(found)
