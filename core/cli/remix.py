"""python -m core remix: a duet with other instruments or other melodies."""

import argparse
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.checkpoints.checkpoint import Checkpoint, find
from core.cli.common import add_checkpoint, add_route, command, load_model, say
from core.errors import RavelError
from core.files import check_new_folder

COMMANDS = ("remix",)

if TYPE_CHECKING:
    from core.remix.changes import Change
    from core.remix.remix import Remix

Value = TypeVar("Value")
KEEP, MUTE, CHANNEL = "keep", "mute", "channel-"


def add(commands: Any) -> None:
    """Add the command."""
    remix = command(
        commands,
        "remix",
        "Take a mixture apart, exchange instruments or melodies of its channels, mix it again.",
        "python -m core remix duet.wav --channel 1=trumpet --level 2=-3 --out remixed",
        run_remix,
    )
    remix.add_argument("mixture", metavar="MIX", help="audio file, of up to ten minutes")
    remix.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="N=WHO",
        help="whose instrument plays channel N: a name the model knows, such as trumpet, an audio "
        "file, channel-M, or keep (the default: as it was separated)",
    )
    remix.add_argument(
        "--melody",
        action="append",
        default=[],
        metavar="N=WHOSE",
        help="which melody channel N plays: an audio file, channel-M, or keep (the default)",
    )
    remix.add_argument(
        "--level",
        action="append",
        default=[],
        metavar="N=DB",
        help="the level of channel N in dB, or mute (default: 0)",
    )
    remix.add_argument(
        "--separator",
        default="separator-duets",
        metavar="NAME",
        help="the checkpoint that takes the mixture apart (default: separator-duets)",
    )
    add_checkpoint(remix)
    add_route(remix)
    remix.add_argument("--out", required=True, metavar="DIR", help="new folder for stems and remix")


def run_remix(arguments: argparse.Namespace) -> None:
    """Separate, exchange, mix; write stems, remix and remix.json into a folder."""
    from core.audio.clip import read

    model, separator = find(arguments.checkpoint), find(arguments.separator)
    model.check_system("dsae")
    separator.check_system("separation")
    check_new_folder(arguments.out)
    mixture = read(arguments.mixture, normalise=False)
    changes = parse(arguments, model, separator)  # mistakes are reported before torch loads
    from core.remix.files import save
    from core.remix.remix import remix
    from core.separation.separate import load
    from core.training.distributed import pick_device
    from core.vocoder.play import check_route, play

    apart = load(arguments.separator, device=str(pick_device(arguments.device)))
    to_waveform = partial(play, route=check_route(arguments.route))
    made = remix(mixture, apart, load_model(arguments), changes, to_waveform=to_waveform)
    folder = save(made, arguments.out)
    say(summary(made))
    say(f"wrote {folder}: remix.wav, stem-N.wav, channel-N.wav, mixture.wav, remix.json")


def parse(
    arguments: argparse.Namespace, model: Checkpoint, separator: Checkpoint
) -> dict[int, "Change"]:
    """The changes that were asked for, by channel. Raises RavelError; needs no torch."""
    from core.dsae.instruments import read_instruments
    from core.remix.changes import Change, check

    who = _by_channel("--channel", arguments.channel, _instrument)
    melodies = _by_channel("--melody", arguments.melody, _giver)
    levels = _by_channel("--level", arguments.level, _level)
    changes = {
        number: Change(who.get(number), melodies.get(number), levels.get(number, 0.0))
        for number in sorted({*who, *melodies, *levels})
    }
    count = int(separator.config.get("model", {}).get("channels", 0))
    check(changes, count, read_instruments(model), model.name)
    return changes


def _by_channel(
    flag: str, given: Sequence[str], read: Callable[[str, str], Value]
) -> dict[int, Value]:
    """Words such as 1=trumpet as values by channel."""
    found: dict[int, Value] = {}
    for text in given:
        number, equals, value = text.partition("=")
        if not (equals and value and number.strip().isdecimal()):
            raise RavelError(f"{flag} {text} is not understood: write it as {flag} 1=VALUE.")
        if int(number) in found:
            raise RavelError(f"{flag} was given twice for channel {int(number)}: give it once.")
        found[int(number)] = read(flag, value.strip())
    return found


def _instrument(flag: str, value: str) -> Any:
    """A file or a channel; any other word is an instrument's name."""
    is_file = Path(value).suffix or "/" in value or Path(value).is_file()
    is_giver = is_file or value == KEEP or value.startswith(CHANNEL)
    return _giver(flag, value) if is_giver else value


def _giver(flag: str, value: str) -> Any:
    from core.audio.clip import read

    if value == KEEP:
        return None
    if value.startswith(CHANNEL) and value.removeprefix(CHANNEL).isdecimal():
        return int(value.removeprefix(CHANNEL))
    return read(value)


def _level(flag: str, value: str) -> float | None:
    if value == MUTE:
        return None
    try:
        level = float(value)
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        raise RavelError(f"{flag} {value} is no level: give decibels, such as -3, or mute.")
    return level


def summary(made: "Remix") -> str:
    """What was done, a line for each channel."""
    from core.remix.files import about

    facts = about(made)
    lines = []
    for channel in facts["channels"]:
        alike = ", ".join(f"{a['instrument']} {a['share']:.0%}" for a in channel["sounds_like"])
        says = "silent" if channel["silent"] else f"sounds like {alike}" if alike else "unknown"
        done = "kept as separated"
        if channel["instrument"] != "kept":
            own = {"own": "its own"}
            done = f"instrument: {own.get(channel['instrument'], channel['instrument'])}, "
            done += f"melody: {own.get(channel['melody'], channel['melody'])}"
        level = "muted" if channel["level"] is None else f"{channel['level']:+.1f} dB"
        lines.append(f"channel {channel['channel']}: {says}; {done}; {level}")
    share = f"{facts['as_separated']:.0%} of the remix's energy is as it was separated"
    return "\n".join([*lines, share])
