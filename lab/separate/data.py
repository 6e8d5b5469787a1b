"""What the Separate page asks of a recording and of its channels besides the service."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from core.audio.clip import Clip
from core.service.mixtures import Channels, float_wav
from lab.bundled import credit
from lab.widgets.channels import Work, contents

CLIPPED = 0.002  # share of samples near the peak; in speech and music it is a tenth of that


def is_clipped(clip: Clip) -> bool:
    """Whether a recording stays at full scale, as one does that was clipped."""
    level = np.abs(clip.wave)
    return level.max() > 0.98 and float(np.mean(level > 0.97 * level.max())) > CLIPPED


def gain_text(decibels: float) -> str:
    """An SI-SNR improvement as text, with its sign."""
    text = f"{decibels:+.1f}".replace("-", "−")
    return f"SI-SNRi {'0.0' if text in ('−0.0', '+0.0') else text} dB"


def stems(work: Work, channels: Channels) -> bytes:
    """A zip of the mixture and its channels as WAV files, with a README."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _readme(work, channels))
        archive.writestr("mixture.wav", float_wav(work.mixture.clip.wave))
        for number, wave in enumerate(channels.waves, 1):
            archive.writestr(f"channel-{number}.wav", float_wav(wave))
    return file.getvalue()


def _readme(work: Work, channels: Channels) -> str:
    """How the stems were made, their contents, and the credits of the clips."""
    lines = [f"{work.source.name}, separated by Ravel with the checkpoint {work.checkpoint.name}."]
    lines += ["", "mixture.wav is the sum of the channels, which are at their true levels:"]
    for number in range(len(channels.waves)):
        inside = contents(work.source, channels, number)
        match = channels.matches[number] if channels.matches else None
        gain = match.improvement if match else None
        figure = "" if gain is None else f", {gain_text(gain)}"
        lines.append(f"channel-{number + 1}.wav{': ' if inside else ''}{inside}{figure}")
    lines += ["", "Mono, 16 kHz, 32-bit float."]
    if work.source.levels:
        lines += ["", "Clips in the mixture:", *(credit(clip.name) for clip in work.source.clips)]
    return "\n".join(lines) + "\n"
