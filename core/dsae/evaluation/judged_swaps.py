"""Swaps named by the register-balanced judge, beside what real instruments reach in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.audio import trackers
from core.audio.clip import CLIP_SAMPLES, read
from core.audio.mel import log_mel
from core.data import voices
from core.dsae.evaluation import judge_clips, real_counterfactuals
from core.dsae.evaluation.balanced_judge import BalancedJudge
from core.dsae.evaluation.judge_clips import FRAMES, Excerpts, label_of
from core.dsae.evaluation.player_clips import PlayerClips, by_instrument
from core.dsae.evaluation.real_counterfactuals import Counterfactuals
from core.dsae.evaluation.swap_pairs import Interval, SwapPairs, everyone, weighted_f1
from core.errors import RavelError

BEYOND = 2.0  # semitones that the judge learns beyond what the clips play


class JudgeSources(NamedTuple):
    """What the judge learns from, and the real notes that it is checked with; audio folders.

    `collections` and `note_collections` choose by the column `set`; none: all. `leave_out` are
    collections that the judge must not use, such as those that a model was trained on. `elsewhere`:
    further recordings that it is asked about, to know how good it is. `own`: the
    judge also learns from the first half of each instrument's recordings in the folders that are
    judged, in all registers like any other, and is asked about the second half only.
    """

    folders: tuple[str, ...]
    collections: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    note_collections: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    own: bool = False


def learnt(
    sources: JudgeSources,
    labels: Sequence[str],
    low: float,
    high: float,
    tracker: str,
    judged: Sequence[str] = (),
) -> Excerpts:
    """What the judge of some instruments learns over MIDI notes `low` to `high`; `judged`: the
    folders of recordings that it will be asked about.

    Raises RavelError for folders it cannot learn from, see `judge_clips.labelled`.
    """
    files = judge_clips.labelled(sources.folders, labels, sources.collections, sources.leave_out)
    if sources.notes:
        _, notes = real_counterfactuals.samplers(sources.notes, labels, sources.note_collections)
        shared = notes & {str(file.path.resolve()) for some in files.values() for file in some}
        if shared:
            raise RavelError(
                f"The judge would learn from {len(shared)} of the notes that it is checked with, "
                f"such as {sorted(shared)[0]}: choose other collections for one of the two."
            )
    for path in judged if sources.own else ():
        for name, recordings in by_instrument(Path(path)).items():
            files[name] = [*files[name], *recordings[: len(recordings) // 2]]
    return judge_clips.excerpts(files, low, high, trackers.find(tracker))


def registers(clips: Sequence[PlayerClips]) -> tuple[float, float]:
    """The lowest and highest MIDI note that is asked about, but for one in a hundred frames."""
    midi = np.concatenate([one.midi[np.isfinite(one.midi)] for one in clips])
    low, high = np.percentile(midi, [1, 99])
    return float(np.floor(low - BEYOND)), float(np.ceil(high + BEYOND))


def counterfactuals(sources: JudgeSources, clips: PlayerClips) -> Counterfactuals:
    """The clips' melodies played by the real notes of other instruments."""
    players, _ = real_counterfactuals.samplers(
        sources.notes, clips.instruments, sources.note_collections
    )
    return real_counterfactuals.play(clips, players)


def on_others(judge: BalancedJudge, paths: Sequence[str], labels: Sequence[str]) -> Interval:
    """Macro-F1 among some labels on folders of recordings that are neither swapped nor learnt from.

    Raises RavelError where they have fewer than two of the labels.
    """
    mels, expected = [], []
    for file in voices.files_of(paths, ()):
        label = label_of(file.labels.get("instrument", ""), labels)
        if label:
            wave = read(file.path, name=file.name).wave[:CLIP_SAMPLES]
            mels.append(log_mel(wave).numpy())
            expected.append(label)
    long = [i for i, mel in enumerate(mels) if len(mel) >= FRAMES]
    truth = np.array([expected[i] for i in long])
    if len(set(truth.tolist())) < 2:
        raise RavelError(
            f"{', '.join(paths)} cannot check the judge: it needs recordings of a second of "
            f"two or more of the instruments {', '.join(labels)}."
        )
    names = [label for label in labels if label in truth]
    guessed = np.concatenate([judge.predict(mels[i][None], names) for i in long])
    alone = everyone(len(truth))
    return alone.of(lambda weight: weighted_f1(truth, guessed, weight))


def scores(
    judge: BalancedJudge,
    clips: PlayerClips,
    made: Mapping[str, tuple[SwapPairs, np.ndarray]],
    real: Counterfactuals | None,
    own: bool = False,
) -> dict[str, Any]:
    """Macro-F1 of the instrument that `made` log-mels should have, by name, and of the originals.

    `made`: pairs of `clips` and their log-mels [P, T, M], of which `swap` is compared with `real`:
    `judge_ceiling` is the F1 of real instruments that play the same melodies, `judge_swap_reached`
    the F1 of swaps to an instrument that can play the melody, `judge_share` what part that is of
    the ceiling. A judge whose ceiling may be chance has no share: it cannot judge these swaps.
    `judge_..._as_source` says how often they are named as the source's instrument.
    `own`: the judge learnt from the first half of the recordings, and is asked about the second.
    """
    names, asked = clips.instruments, ~clips.first | (not own)
    made = {"original": (everyone(len(clips)), clips.log_mel), **made}
    found: dict[str, Any] = {}
    for name, (pairs, log_mels) in made.items():
        rows = asked[pairs.source]
        made[name] = pairs, log_mels = pairs.take(rows), log_mels[rows]
        expected = clips.instrument[pairs.target]
        found[f"judge_{name}"] = _f1(judge, log_mels, expected, names, pairs)
    pairs, log_mels = made["swap"]
    source = clips.instrument[pairs.source]
    guessed = judge.predict(log_mels, names)
    found["judge_swap_as_source"] = pairs.mean((guessed == source).astype(float))
    if real is None:
        return found
    heard = asked[real.source]
    if not heard.any():
        return found
    real = Counterfactuals(*(column[heard] for column in real))
    played = SwapPairs(real.source, real.source, len(clips))
    found["judge_ceiling"] = _f1(judge, real.log_mel, real.instrument, names, played)
    as_source = judge.predict(real.log_mel, names) == clips.instrument[real.source]
    found["judge_ceiling_as_source"] = played.mean(as_source.astype(float))
    reach = set(zip(real.source.tolist(), real.instrument.tolist(), strict=True))
    targets = clips.instrument[pairs.target].tolist()
    rows = np.array([pair in reach for pair in zip(pairs.source.tolist(), targets, strict=True)])
    if rows.any():
        some = pairs.take(rows)
        expected = clips.instrument[some.target]
        found["judge_swap_reached"] = some.of(
            lambda weight: weighted_f1(expected, guessed[rows], weight)
        )
        ceiling = found["judge_ceiling"]
        if ceiling["low"] > 1 / len(names):
            found["judge_share"] = found["judge_swap_reached"]["value"] / ceiling["value"]
    return found


def _f1(
    judge: BalancedJudge,
    log_mels: np.ndarray,
    expected: np.ndarray,
    names: Sequence[str],
    pairs: SwapPairs,
) -> Interval:
    guessed = judge.predict(log_mels, names)
    return pairs.of(lambda weight: weighted_f1(expected, guessed, weight))
