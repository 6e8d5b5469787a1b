"""The front end: log-mel, the two routes back to sound and pitch, against librosa and torchcrepe.

    python -m tests.benchmarks audio

Best of several, in CPU-seconds on one thread for one bundled recording repeated to 4 s; ratios
compare what ran in the same process. The distance is that of the log-mels before and after.
"""

import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch
import torchcrepe

from core.audio import clip, pitch
from core.audio.invert import to_waveform
from core.audio.mel import log_mel

EXAMPLE = Path(__file__).parents[2] / "lab" / "examples" / "violin-1.flac"
MEL = {"sr": 16_000, "n_fft": 2048, "hop_length": 256, "power": 2.0, "htk": True, "norm": None}


def main() -> None:
    torch.set_num_threads(1)
    wave = np.resize(clip.read(EXAMPLE).wave, clip.CLIP_SAMPLES)
    mel = log_mel(wave)
    print("CPU-seconds for 4 s of sound, one thread; the ratio is to the last row of each group")
    compare({"log-mel": lambda: log_mel(wave), "log-mel, librosa": lambda: librosa_mel(wave)}, 20)
    routes = {
        "back to sound, live": lambda: to_waveform(mel),
        "back to sound, as the paper": lambda: to_waveform(mel, route="paper"),
        "back to sound, librosa": lambda: librosa_wave(mel),
    }
    compare(routes, 5, lambda back: f"{distance(back, mel):5.2f} dB from the log-mel")
    compare({"pitch, tiny": lambda: pitch.track(wave), "pitch, torchcrepe": lambda: crepe(wave)}, 3)


def compare(
    functions: dict[str, Callable], count: int, remark: Callable[[object], str] = lambda _: ""
) -> None:
    results = {name: function() for name, function in functions.items()}  # also warms up
    best = dict.fromkeys(functions, np.inf)
    for _ in range(count):  # by turns, so that other work on the machine hits all alike
        for name, function in functions.items():
            begin = time.process_time()
            function()
            best[name] = min(best[name], time.process_time() - begin)
    *_, baseline = best.values()
    for name, seconds in best.items():
        ratio = seconds / baseline
        print(f"{name:30s} {seconds:8.4f} s   {ratio:5.2f} x   {remark(results[name])}", flush=True)


def librosa_mel(wave: np.ndarray) -> np.ndarray:
    power = librosa.feature.melspectrogram(y=wave, n_mels=80, pad_mode="reflect", **MEL)
    return np.log(np.finfo(np.float64).eps + power)


def librosa_wave(mel: torch.Tensor) -> np.ndarray:
    # Unscaled, its solver (which stops at an absolute tolerance) takes minutes.
    kwargs = MEL | {"n_iter": 32}
    return librosa.feature.inverse.mel_to_audio(1e-4 * mel.exp().numpy().T, **kwargs) * 100


def crepe(wave: np.ndarray) -> torch.Tensor:
    audio = torch.from_numpy(wave)[None]
    return torchcrepe.predict(audio, 16_000, 160, model="tiny", batch_size=128)


def distance(wave: torch.Tensor | np.ndarray, mel: torch.Tensor) -> float:
    return float((log_mel(wave) - mel).abs()[mel > -20].mean()) * 10 / np.log(10)


if __name__ == "__main__":
    main()
