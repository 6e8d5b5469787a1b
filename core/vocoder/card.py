"""The words of a card about a vocoder."""

from core.checkpoints.card import About
from core.vocoder.config import ROUNDS, VocoderConfig

MEANINGS = {
    "clips": "clips resynthesised",
    "stft_convergence": "STFT distance to the true sound: spectral convergence",
    "stft_decibels": "STFT distance to the true sound: log magnitudes, dB",
    "log_mel_decibels": "log-mel error of the round trip, dB",
    "rpa_crepe_tiny": "pitch accuracy against the true sound, by CREPE tiny",
    "fad_crepe_tiny": "FAD to the true sound, by CREPE tiny",
    "real_time": "seconds of sound per CPU-second, one thread",
    "griffin-lim": "fast Griffin-Lim (live route)",
    "griffin-lim, paper": "Griffin-Lim (the paper's route)",
}


def about(config: VocoderConfig, name: str) -> About:
    """Describe a vocoder with this config and show how to use it."""
    model = config.model
    text = f"""A vocoder: log-mels of 80 bands every 16 ms to a waveform at 16 kHz, at their level.
After Vocos (Siuzdak, ICLR 2024): {model.blocks} ConvNeXt blocks of {model.width} channels at frame
rate, and an inverse STFT of 64 ms. The network predicts magnitudes, how phases change
from frame to frame and from bin to bin (Masuyama et al., ICASSP 2020), which are integrated along
the partials, and which share of each bin is tonal: the rest is shaped noise (as in Serra and Smith,
1990), the same every time. {ROUNDS} rounds of Griffin-Lim follow.

```python
from core.audio.clip import read, write_wav
from core.audio.mel import log_mel
from core.vocoder.vocode import load

wave = load("{name}").to_waveform(log_mel(read("violin.wav").wave))
write_wav("again.wav", wave.numpy())
```"""
    return About("audio, vocoder, vocos", text)
