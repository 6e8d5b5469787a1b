"""python -m core swap, encode, sample, separate, embed: use a trained model."""

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import Any

from core.checkpoints.checkpoint import find
from core.cli.common import add_checkpoint, add_route, check_writable, command, load_model, say
from core.errors import RavelError

COMMANDS = ("swap", "encode", "sample", "separate", "embed")


def add(commands: Any) -> None:
    """Add the commands."""
    _add_swap(commands)
    _add_encode(commands)
    _add_sample(commands)
    _add_separate(commands)
    _add_embed(commands)


def _add_swap(commands: Any) -> None:
    swap = command(
        commands,
        "swap",
        "Give one recording's melody another recording's instrument, or the other way round.",
        "python -m core swap violin.wav trumpet.wav --what global --out swapped.wav",
        run_swap,
    )
    swap.add_argument("source", metavar="SOURCE", help="audio file")
    swap.add_argument("target", metavar="TARGET", help="audio file")
    swap.add_argument(
        "--what",
        choices=["global", "local"],
        default="global",
        help="global: source melody, target instrument; local: source instrument, target melody",
    )
    add_checkpoint(swap)
    swap.add_argument(
        "--start",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("S", "T"),
        help="where to begin in each file, in seconds (default: 0 0)",
    )
    swap.add_argument(
        "--seconds", type=float, metavar="N", help="how much of each file is taken (default: all)"
    )
    add_route(swap)
    swap.add_argument("--out", required=True, metavar="FILE", help="WAV file to write")


def run_swap(arguments: argparse.Namespace) -> None:
    """Read both files, whole or a part of each, swap, write the result."""
    from core.audio.clip import read, write_wav

    find(arguments.checkpoint)  # mistakes are reported before torch loads
    check_writable(arguments.out)
    source, target = (
        read(path, start=start, duration=arguments.seconds)
        for path, start in zip((arguments.source, arguments.target), arguments.start, strict=True)
    )
    from core.audio import long
    from core.vocoder.play import play

    model = load_model(arguments)
    of_source, of_target = model.encode(source), model.encode(target)
    if arguments.what == "local":
        of_source, of_target = of_target, of_source
    swapped = model.swap(of_source, of_target)
    wave = long.to_waveform(swapped, partial(play, route=arguments.route))
    write_wav(arguments.out, wave.numpy())
    say(f"wrote {arguments.out}")


def _add_encode(commands: Any) -> None:
    encode = command(
        commands,
        "encode",
        "Write the latents of recordings.",
        "python -m core encode violin.wav trumpet.wav --out latents.npz",
        run_encode,
    )
    encode.add_argument("files", nargs="+", metavar="FILE", help="audio files")
    add_checkpoint(encode)
    encode.add_argument("--out", required=True, metavar="FILE", help=".npz file to write")


def run_encode(arguments: argparse.Namespace) -> None:
    """Encode each file whole, up to the length limit, into one .npz."""
    from core.audio.clip import read

    find(arguments.checkpoint)
    check_writable(arguments.out)
    read(arguments.files[0])  # a mistake in the first file is reported before torch loads
    from tqdm import tqdm

    from core.dsae.latents import save_latents

    model = load_model(arguments)
    found = {}
    for path in tqdm(arguments.files, unit="file"):
        if path in found:
            continue
        found[path] = model.encode(read(path))
    save_latents(arguments.out, found)
    say(f"wrote {arguments.out}: NAME/v, NAME/v_logvar, NAME/z, NAME/z_logvar for each file")


def _add_sample(commands: Any) -> None:
    sample = command(
        commands,
        "sample",
        "Draw new melodies from the prior.",
        "python -m core sample --count 3 --like violin.wav --out sampled",
        run_sample,
    )
    add_checkpoint(sample)
    sample.add_argument("--count", type=int, default=1, help="how many (default: 1)")
    sample.add_argument("--seconds", type=float, default=4.0, help="how long (default: 4)")
    sample.add_argument("--seed", type=int, default=0, help="same seed, same sounds (default: 0)")
    sample.add_argument(
        "--like", metavar="FILE", help="take v, the instrument, from this recording"
    )
    add_route(sample)
    sample.add_argument("--out", required=True, metavar="FOLDER", help="folder for the WAV files")


def run_sample(arguments: argparse.Namespace) -> None:
    """Draw z from the transition prior, v from N(0, I) or a recording, and write the sounds."""
    from core.audio.clip import MAX_SECONDS, read, write_wav

    if arguments.count < 1:
        raise RavelError(f"--count is {arguments.count}: ask for one sound at least.")
    if not 0.2 <= arguments.seconds <= MAX_SECONDS:
        raise RavelError(f"--seconds is {arguments.seconds:g}: choose from 0.2 to {MAX_SECONDS:g}.")
    find(arguments.checkpoint)
    like = read(arguments.like) if arguments.like else None
    from core.vocoder.play import play

    model = load_model(arguments)
    v = model.encode(like).v if like else None
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        drawn = model.sample(arguments.seconds, seed=arguments.seed + number, v=v)
        path = folder / f"sample-{arguments.seed + number}.wav"
        write_wav(path, play(model.decode(drawn.v, drawn.z), arguments.route).numpy())
        say(f"wrote {path}")


def _add_separate(commands: Any) -> None:
    separate = command(
        commands,
        "separate",
        "Take mixtures apart into channels that add up to them.",
        "python -m core separate street.wav --checkpoint separator-scenes --out channels/",
        run_separate,
    )
    separate.add_argument("mixtures", nargs="+", metavar="MIX", help="audio file, of any length")
    add_checkpoint(separate, "separator-scenes")
    separate.add_argument("--out", required=True, metavar="FOLDER", help="folder for the channels")


def run_separate(arguments: argparse.Namespace) -> None:
    """Write the channels of each file at their true level, as mono 32-bit float WAV at 16 kHz."""
    from core.audio.clip import read
    from core.data.folder import MAX_FILE_SECONDS

    find(arguments.checkpoint)  # mistakes are reported before torch loads
    if Path(arguments.out).is_file():
        raise RavelError(f"{arguments.out} is a file: give the name of a folder for the channels.")
    mixtures = (
        read(path, normalise=False, max_seconds=MAX_FILE_SECONDS) for path in arguments.mixtures
    )
    first = next(mixtures)
    from core.separation.separate import load, separate_file
    from core.training.distributed import pick_device

    model = load(arguments.checkpoint, device=str(pick_device(arguments.device)))
    for mixture in itertools.chain([first], mixtures):
        for path in separate_file(model, mixture, arguments.out):
            say(f"wrote {path}")


def _add_embed(commands: Any) -> None:
    embed = command(
        commands,
        "embed",
        "Write embeddings of recordings: numbers that are close where sounds are alike.",
        "python -m core embed street.wav park.wav --checkpoint scenes-encoder --out embeddings.npz",
        run_embed,
    )
    embed.add_argument("files", nargs="+", metavar="FILE", help="audio files, of any length")
    add_checkpoint(embed, "scenes-encoder")
    embed.add_argument(
        "--timeline", action="store_true", help="also write embeddings along each recording"
    )
    embed.add_argument(
        "--hop", type=float, default=0.96, metavar="S", help="seconds between them (default: 0.96)"
    )
    embed.add_argument("--out", required=True, metavar="FILE", help=".npz file to write")


def run_embed(arguments: argparse.Namespace) -> None:
    """Embed each file, whole and if asked for along it, into one .npz."""
    from core.audio.clip import read
    from core.data.folder import MAX_FILE_SECONDS

    find(arguments.checkpoint)  # mistakes are reported before torch loads
    check_writable(arguments.out)
    if not 0.01 <= arguments.hop < float("inf"):
        raise RavelError(f"--hop is {arguments.hop:g}: give 0.01 s or more.")
    read(arguments.files[0], max_seconds=MAX_FILE_SECONDS)
    from tqdm import tqdm

    from core.contrastive.embed import load, save_embeddings
    from core.training.distributed import pick_device

    model = load(arguments.checkpoint, device=str(pick_device(arguments.device)))
    found, timelines = {}, {}
    for path in tqdm(dict.fromkeys(arguments.files), unit="file"):
        clip = read(path, max_seconds=MAX_FILE_SECONDS)
        found[path] = model.embed(clip)
        if arguments.timeline:
            timelines[path] = model.timeline(clip, arguments.hop)
    save_embeddings(arguments.out, found, timelines)
    along = ", NAME/h and NAME/times for each file" if timelines else ""
    say(f"wrote {arguments.out}: names, h{along}")
