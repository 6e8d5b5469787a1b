"""The vocoder against Griffin-Lim: 4 s of a log-mel made sound.

    python -m tests.benchmarks vocoder

Best of several, in CPU-seconds on one thread; ratios compare what ran in the same process. The
distance is the spectral convergence of the STFT to the recording.
"""

from collections.abc import Callable

import numpy as np
import torch

from core import registry
from core.audio import clip
from core.audio.invert import to_waveform
from core.audio.mel import log_mel
from core.errors import RavelError
from core.vocoder.config import ROUNDS, VocoderConfig
from core.vocoder.model import VocoderNetwork, phases
from core.vocoder.objective import stft_distance
from core.vocoder.play import is_available
from core.vocoder.sounds import Excerpts
from core.vocoder.task import VocoderTask
from core.vocoder.vocode import Vocoder, load
from tests.benchmarks.bench_audio import EXAMPLE, compare


def main() -> None:
    torch.set_num_threads(1)
    wave = torch.from_numpy(np.resize(clip.read(EXAMPLE).wave, clip.CLIP_SAMPLES))
    mel = log_mel(wave)
    print("CPU-seconds for 4 s of sound, one thread; the ratio is to the last row of each group")
    try:
        ways = sounds(load("vocoder"), mel)
    except RavelError:
        print("the vocoder is not there: Griffin-Lim alone")
        ways = {}
    ways |= {
        "Griffin-Lim, paper's route": lambda: to_waveform(mel, route="paper"),
        "Griffin-Lim, live route": lambda: to_waveform(mel),
    }
    compare(ways, 5, lambda made: f"{float(stft_distance(made[None], wave[None])[0]):.3f}")
    network(mel)
    step()


def network(mel: torch.Tensor) -> None:
    print("of that the network, in bfloat16 as on a CPU that multiplies it itself, and in float32")
    config = (
        VocoderConfig.parse(load("vocoder").checkpoint.config)
        if is_available()
        else VocoderConfig()
    )
    long, short = (VocoderNetwork(**config.model.model_dump()).eval() for _ in range(2))
    short.shorten()
    with torch.inference_mode():
        compare({"bfloat16": lambda: short(mel[None]), "float32": lambda: long(mel[None])}, 9)


def sounds(vocoder: Vocoder, mel: torch.Tensor) -> dict[str, Callable]:
    """The vocoder with and without its rounds."""

    def play(rounds: int) -> Callable:
        def run() -> torch.Tensor:
            vocoder.rounds = rounds
            return vocoder.to_waveform(mel)

        return run

    return {f"vocoder, {rounds} rounds": play(rounds) for rounds in (0, ROUNDS)}


def step() -> None:
    print("a training step of 8 x 1 s, the small preset, and what the phases of 4 s cost beside it")
    config = VocoderConfig.parse(registry.preset("vocoder", "small"))
    task, model = VocoderTask(config, None), VocoderNetwork(**config.model.model_dump())
    batch = Excerpts(torch.randn(8, 64, 80), 0.1 * torch.randn(8, 64 * 256 + 1024))
    spectrum = torch.rand(1, 251, 513)

    def training_step(stage: str) -> Callable:
        def run() -> None:
            task.enter(model, stage, fresh=True)
            with torch.autocast("cpu", torch.bfloat16):
                task.losses(model, batch, stage)["loss"].backward()

        return run

    compare(
        {
            "step in bf16": training_step("spectra"),
            "step of the noise stage": training_step("noise"),
            "phases": lambda: phases(spectrum, spectrum, spectrum),
        },
        5,
    )


if __name__ == "__main__":
    main()
