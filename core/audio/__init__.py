"""Sound in and out: clips, log-mels, mel back to a waveform, pitch."""
