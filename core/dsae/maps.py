"""A whole store through a disentangling model: its latents for a map, kept on disk.

Letters: N clips, T frames, K frames kept of each clip, P points, V and Z sizes of v and z.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.audio.clip import HOP_SECONDS
from core.errors import RavelError
from core.files import write_npz
from core.jobs import Job, Progress
from core.maps import points
from core.maps.points import MAX_POINTS, OnProgress, SystemMaps, sample_rows

if TYPE_CHECKING:
    from torch import Tensor

    from core.checkpoints.checkpoint import Checkpoint
    from core.data.store import FeatureStore
    from core.dsae.latents import Disentangler

SPACES = {"Global v": "v", "Local z, mean": "z", "Local z, frames": "frames"}
FORMAT = 1
SOON = 1000  # clips that are encoded at once: starting a process takes as long
MAX_FRAMES = 24  # kept of each clip
CHUNK = 256  # clips encoded between two writes
BATCH = 32
AUDIBLE = 7.0  # nats, 30 dB: quieter frames do not count for a clip's loudest band
PITCH, TIME, BAND = "pitch (MIDI)", "time (s)", "loudest band (Hz)"


@dataclass(frozen=True, eq=False)
class StoreLatents:
    """Posterior means of N clips. `rows` [N]: their numbers in the store; `v` [N, V] and its KL to
    N(0, I) `v_kl` [N, V]; `z` [N, Z], the mean over a clip's frames; `frames` [N, K], the numbers
    of the frames whose `frame_z` [N, K, Z] is kept; `band` [N] and `frame_band` [N, K], where the
    sound is loudest, in Hz."""

    rows: np.ndarray
    v: np.ndarray
    v_kl: np.ndarray
    z: np.ndarray
    frames: np.ndarray
    frame_z: np.ndarray
    band: np.ndarray
    frame_band: np.ndarray

    def points(self, space: str) -> np.ndarray:
        """The points of a map: v [N, V], z [N, Z], or every kept frame's z [N * K, Z]."""
        if space == "frames":
            return self.frame_z.reshape(-1, self.frame_z.shape[-1])
        return self.v if space == "v" else self.z

    def clips(self, space: str) -> np.ndarray:
        """The clip of each point, numbers from 0 to N - 1, [P]."""
        per_clip = self.frames.shape[1] if space == "frames" else 1
        return np.repeat(np.arange(len(self.rows)), per_clip)

    def seconds(self, space: str) -> np.ndarray | None:
        """When in its clip each point is [P], or None when points are whole clips."""
        return self.frames.ravel() * HOP_SECONDS if space == "frames" else None

    def values(self, name: str, space: str, labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """One of `figures` for each point [P], NaN where it is not defined, or None for another
        name; `labels` are those of the clips, [N]."""
        frames = space == "frames"
        if name == PITCH and frames:
            return true_pitch(labels, self.frames).ravel()
        if name == TIME and frames:
            return self.frames.ravel() * HOP_SECONDS
        if name == BAND:
            return (self.frame_band.ravel() if frames else self.band).astype(float)
        kind, _, number = name.partition(" ")
        if kind not in ("v", "z") or not number.isdigit():
            return None
        own = kind == "z" and frames
        x = self.points("frames") if own else getattr(self, kind)[self.clips(space)]
        return x[:, int(number) - 1].astype(float) if int(number) <= x.shape[1] else None

    def arrays(self, clips: np.ndarray) -> dict[str, np.ndarray]:
        """Of some clips: rows, v, z, frames, frame_z."""
        return {key: getattr(self, key)[clips] for key in ("rows", "v", "z", "frames", "frame_z")}

    @property
    def in_use(self) -> int:
        """How many dimensions of v carry information, by their KL to the prior."""
        return int((self.v_kl.mean(0) > 0.02).sum())


def figures(config: Mapping[str, Any], columns: Mapping[str, Any], space: str) -> list[str]:
    """The figures of each point beside its labels, whose names are the `columns`."""
    frames, sizes = space == "frames", config.get("model", {})
    dims = [
        f"{kind} {i + 1}"
        for kind in (("z", "v") if frames else ("v", "z"))
        for i in range(int(sizes.get(f"{kind}_size", 16)))
    ]
    has_pitch = {"melody", "tonic", "octave", "scale"} <= set(columns)  # as dMelodies has
    return [*([PITCH] * has_pitch + [TIME] if frames else []), BAND, *dims]


def read(folder: Path) -> StoreLatents | None:
    """What `encode_store` left in a folder, or None when it has not finished there."""
    return _read(folder / "latents.npz")


def folder_of(
    store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None = None
) -> Path:
    """Where in `cache` the latents of these clips and their projections belong."""
    return points.folder_of(store, checkpoint, cache, split, [FORMAT, MAX_POINTS, MAX_FRAMES])


def is_there(
    store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None = None
) -> bool:
    """Whether the latents of these clips are on disk."""
    return (folder_of(store, checkpoint, cache, split) / "latents.npz").exists()


def start(store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None) -> None:
    """Encode in a process of its own, unless one is at work; it outlives the page that started it.

    Raises RavelError where nothing can be written.
    """
    _job(store, checkpoint, cache, split).start("Loading the model")


def progress(
    store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None
) -> Progress:
    """How far that process is."""
    job = _job(store, checkpoint, cache, split)
    return job.progress((job.folder / "latents.npz").exists)


def _job(store: FeatureStore, checkpoint: Checkpoint, cache: Path, split: str | None) -> Job:
    paths = [str(path.resolve()) for path in (store.path, checkpoint.path, cache)]
    arguments = [*paths, *([split] if split else [])]
    return Job(folder_of(store, checkpoint, cache, split), "core.dsae.encoding", arguments)


def encode_store(
    store: FeatureStore,
    checkpoint: Checkpoint,
    cache: Path,
    split: str | None = None,
    on_progress: OnProgress | None = None,
) -> StoreLatents:
    """The latents of a store's split (None: of all), from `cache` if they are there.

    Of more than MAX_POINTS clips a seeded sample is taken. Every CHUNK is written as it is done, so
    a killed encoding continues where it was. `on_progress` takes how many clips are done, and how
    many there are. Raises RavelError for an empty split, a broken checkpoint, and latents that are
    not finite.
    """
    folder = folder_of(store, checkpoint, cache, split)
    found = read(folder)
    if found is not None:
        return found
    rows = sample_rows(store, split)
    on_progress = on_progress or (lambda done, of: None)
    parts = list(_chunks(store, checkpoint, rows, folder, on_progress))
    whole = StoreLatents(*(np.concatenate(of) for of in zip(*map(_arrays, parts), strict=True)))
    write_npz(folder / "latents.npz", **vars(whole))
    for leftover in folder.glob("chunk-*.npz"):
        leftover.unlink(missing_ok=True)
    return whole


def true_pitch(labels: Mapping[str, np.ndarray], frames: np.ndarray) -> np.ndarray:
    """MIDI numbers of dMelodies' notes in `frames` [N, K], by their definition; NaN in rests."""
    from core.data import dmelodies

    slots = (frames * HOP_SECONDS / dmelodies.SLOT_SECONDS).astype(int)
    found = np.full(frames.shape, np.nan)
    for out, row, at in zip(found, labels["melody"], slots, strict=True):
        tune = dmelodies.melody(int(row))
        notes = dict(zip(tune.slots, tune.pitches, strict=True))
        out[:] = [notes.get(int(slot), np.nan) for slot in at]
    return found


def _chunks(
    store: FeatureStore,
    checkpoint: Checkpoint,
    rows: np.ndarray,
    folder: Path,
    on_progress: OnProgress,
) -> Iterator[StoreLatents]:
    kept, model = min(MAX_FRAMES, max(1, MAX_POINTS // len(rows))), None
    for number, start in enumerate(range(0, len(rows), CHUNK)):
        on_progress(start, len(rows))
        path = folder / f"chunk-{number:04d}.npz"
        part = _read(path)
        if part is None:
            model = model or _load(checkpoint, folder)
            part = _encode(model, store, rows[start : start + CHUNK], kept)
            write_npz(path, **vars(part))
        yield part
    on_progress(len(rows), len(rows))


def _load(checkpoint: Checkpoint, folder: Path) -> Disentangler:
    from core.dsae import latents

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RavelError(f"{folder} cannot be written ({error.strerror}).") from error
    return latents.load(checkpoint.path)


def _encode(model: Disentangler, store: FeatureStore, rows: np.ndarray, kept: int) -> StoreLatents:
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    parts = [_encode_batch(model, store, batch, kept) for batch in batches]
    found = StoreLatents(*(np.concatenate(of) for of in zip(*map(_arrays, parts), strict=True)))
    if not all(np.isfinite(array).all() for array in (found.v, found.z, found.frame_z)):
        raise RavelError(
            f"The checkpoint {model.name} gives latents that are not finite: its training "
            "diverged, so choose another."
        )
    return found


def _encode_batch(
    model: Disentangler, store: FeatureStore, rows: np.ndarray, kept: int
) -> StoreLatents:
    import torch

    from core.dsae.layers import masked_mean
    from core.dsae.objective import kl_standard

    sizes = store.lengths[rows]
    x = torch.from_numpy(store.log_mel[rows][:, : sizes.max()]).float()
    lengths = None if (sizes == x.shape[1]).all() else torch.from_numpy(sizes.astype(np.int64))
    with torch.inference_mode():
        q_v, q_z = model.model.encode(x.clamp(min=model.config.model.floor), lengths)
    frames = ((np.arange(kept) + 0.5) / kept * sizes[:, None]).astype(np.int32)  # [N, K]
    each = np.arange(len(rows))[:, None]
    band = _loudest_bands(x)  # [N, T]
    return StoreLatents(
        rows=rows,
        v=q_v.mean.numpy(),
        v_kl=kl_standard(q_v).numpy(),
        z=masked_mean(q_z.mean, lengths).numpy(),
        frames=frames,
        frame_z=q_z.mean.numpy()[each, frames],
        band=np.nanmedian(np.where(_audible(x, sizes), band, np.nan), axis=1),
        frame_band=band[each, frames],
    )


def _loudest_bands(x: Tensor) -> np.ndarray:
    """The frequency in Hz of the loudest mel band of each frame: [N, T, M] to [N, T]."""
    import torch

    from core.audio.clip import SAMPLE_RATE
    from core.audio.mel import N_FFT, mel_basis

    hertz = mel_basis(torch.device("cpu")).argmax(0).numpy() * SAMPLE_RATE / N_FFT
    return hertz[x.argmax(-1).numpy()].astype(np.float32)


def _audible(x: Tensor, sizes: np.ndarray) -> np.ndarray:
    """The frames within 30 dB of the loudest of their clip, [N, T]."""
    level = x.amax(-1).numpy()
    own = np.arange(level.shape[1]) < sizes[:, None]
    peak = np.where(own, level, -np.inf).max(1, keepdims=True)
    return own & (level >= peak - AUDIBLE)


def _arrays(part: StoreLatents) -> list[np.ndarray]:
    return [getattr(part, field.name) for field in fields(StoreLatents)]


def _read(path: Path) -> StoreLatents | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return StoreLatents(**{field.name: file[field.name] for field in fields(StoreLatents)})
    except (OSError, KeyError, ValueError, EOFError):  # missing or damaged: made again
        return None


if TYPE_CHECKING:  # what the registry hands out as a system's maps is checked to be one
    from core.dsae import maps as _module

    _maps: SystemMaps = _module
