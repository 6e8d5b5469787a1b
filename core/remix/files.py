"""A remix as files: stems as WAV and the changes as JSON, in a folder or a zip."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from scipy.io import wavfile
from torch import Tensor

from core.audio.clip import SAMPLE_RATE, Clip
from core.dsae.instruments import instrument_name
from core.errors import RavelError
from core.files import check_new_folder
from core.remix.changes import Giver
from core.remix.remix import Remix, Stem

LISTED = 3  # of the instruments that a channel sounds like


def about(made: Remix) -> dict[str, Any]:
    """The content of remix.json: what was done to each channel."""
    return {
        "mixture": made.mixture.name,
        "seconds": round(made.mixture.seconds, 3),
        "separator": made.separator,
        "model": made.model,
        "as_separated": round(made.as_separated, 4),
        "channels": [_about(number, stem) for number, stem in enumerate(made.stems, 1)],
    }


def files(made: Remix) -> Iterator[tuple[str, bytes]]:
    """The files of a remix by name, one after the other.

    remix.json; the mixture, its channels, the stems and the remix as mono 32-bit float WAV at true
    levels. The channels sum to the mixture, the stems to the remix.
    """
    yield "remix.json", (json.dumps(about(made), indent=2) + "\n").encode()
    yield "mixture.wav", _wav(torch.from_numpy(made.mixture.wave))
    for number, stem in enumerate(made.stems, 1):
        yield f"channel-{number}.wav", _wav(stem.channel)
        yield f"stem-{number}.wav", _wav(stem.wave)
    yield "remix.wav", _wav(made.wave)


def to_zip(made: Remix, notes: str = "") -> bytes:
    """All files of a remix in a zip, with `notes` in README.txt."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        if notes:
            archive.writestr("README.txt", notes)
        for name, data in files(made):
            archive.writestr(name, data)
    return packed.getvalue()


def save(made: Remix, folder: str | Path) -> Path:
    """Write all files of a remix into a new folder, which appears complete or not at all.

    Raises RavelError if it cannot be written, or exists and is not empty.
    """
    folder = check_new_folder(folder)
    hidden = folder.absolute().with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        hidden.mkdir()
        for name, data in files(made):
            (hidden / name).write_bytes(data)
        os.replace(hidden, folder)
    except OSError as error:
        raise RavelError(f"{folder} cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return folder


def _about(number: int, stem: Stem) -> dict[str, Any]:
    def name(giver: str | Giver | None, none: str) -> str:
        if giver is None:
            return none
        if isinstance(giver, int):
            return f"channel {giver}"
        return giver.name if isinstance(giver, Clip) else instrument_name(giver)

    change, own = stem.change, "kept" if stem.change.keeps else "own"
    alike = [{"instrument": n, "share": round(s, 4)} for n, s in stem.likeness[:LISTED]]
    return {
        "channel": number,
        "silent": stem.latents is None,
        "sounds_like": alike,
        "instrument": name(change.instrument, own),
        "melody": name(change.melody, own),
        "level": change.level,
    }


def _wav(wave: Tensor) -> bytes:
    # Not by soundfile: libsndfile puts the time of writing into the header of a float WAV, so that
    # the same remix saved a second later would have other bytes.
    file = io.BytesIO()
    wavfile.write(file, SAMPLE_RATE, wave.numpy())
    return file.getvalue()
