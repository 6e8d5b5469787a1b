"""What the Grid page shows when it opens: swaps of the five recordings that ship."""

import numpy as np

from core.audio import trackers
from core.audio.clip import read
from core.audio.mel import log_mel
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT
from core.dsae.latents import load
from core.vocoder.play import play
from lab.bundled import EXAMPLES
from lab.explore.grid import REAL

CENTS = 50


def test_swaps_of_the_default_grid_keep_the_melody():
    """Pitch by SwiftF0, which is not what the page computes it with."""
    model, tracker = load(DEFAULT_CHECKPOINT), trackers.find("swift")
    clips = [read(EXAMPLES / f"{name}.flac", duration=4.0) for name in REAL]
    latents = [model.encode(log_mel(clip.wave)) for clip in clips]
    kept = np.empty((len(clips), len(clips)))
    for row, (clip, source) in enumerate(zip(clips, latents, strict=True)):
        true = tracker(clip.wave[None])
        made = tracker(np.stack([play(model.decode(of.v, source.z)).numpy() for of in latents]))
        frames = min(true.f0.shape[1], made.f0.shape[1])
        cents = 1200 * np.abs(np.log2(made.f0[:, :frames] / true.f0[:, :frames]))
        kept[row] = (cents <= CENTS)[:, true.voiced[0, :frames]].mean(1)
    swaps = kept[~np.eye(len(clips), dtype=bool)]
    assert swaps.mean() > 0.9 and swaps.min() > 0.85, np.round(kept, 2)
