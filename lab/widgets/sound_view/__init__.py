"""Sound as it is seen: a log-mel with a playhead, in groups that share one transport.

A panel shows one sound. Its sound and its picture are sent in messages of their own, as files whose
address depends on their contents, so that the browser gets each of them once. The panels of a group
play together with one of them audible, which keeps the position when another one is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st
from streamlit import runtime

from core import service
from core.audio.clip import HOP_SECONDS, VOICED
from lab.widgets.sound_view.packing import Scale, packed

if TYPE_CHECKING:
    from core.audio.pitch import Pitch

__all__ = ["HEIGHT", "Look", "Scale", "bar", "panel", "picture", "sound", "wait"]

HEIGHT = 188  # pixels of a picture with axes: two for each of 80 bands, and the axis
Look = Literal["full", "thumb", "row"]  # with axes; without; one line, the button before it
_HERE = Path(__file__).parent
_SCRIPTS = ("transport.js", "picture.js", "panel.js", "hands.js", "bar.js")
# Both components have the same script, which a browser then loads once: groups live in it.
_SCRIPT = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
_STYLE = (_HERE / "style.css").read_text(encoding="utf-8")
_PANEL, _BAR = (
    st.components.v2.component(
        f"ravel_sound_{name}",
        html=f"<div class='{of}'></div>",
        css=_STYLE,
        js=_SCRIPT,
        isolate_styles=False,
    )
    for name, of in (("panel", "sound"), ("bar", "sounds"))
)
_PART = st.components.v2.component(
    "ravel_sound_part",
    html="<span></span>",
    js="""export default ({ data: { id, kind, ...part } }) => {
  const parts = (window.ravelSounds ??= new Map()), name = `${kind} ${id}`;
  const say = () => window.dispatchEvent(new CustomEvent("ravel-sound", { detail: id }));
  parts.set(name, part);
  say();
  return () => {
    if (parts.get(name) !== part) return;
    parts.delete(name);
    say();
  };
};""",
)


def panel(
    key: str,
    name: str,
    *,
    group: str,
    short: str = "",
    look: Look = "full",
    height: int = HEIGHT,
    seconds: float | None = None,
    silent: bool = False,
) -> None:
    """A panel without sound or picture yet; `key` is its id in `sound`, `picture` and `bar`.

    `name` is read out, `short` names it in the bar. `seconds`: the extent of its time axis until it
    has a picture. `silent`: it will have no sound.
    """
    data = {"id": key, "name": name, "group": group, "short": short, "look": look}
    size = {"height": height, "seconds": seconds, "silent": silent}
    _PANEL(key=f"{key}_panel", data=data | size)


def bar(group: str, *, difference: Sequence[str] = ()) -> None:
    """The controls of a group. `difference`: the keys of the two panels that it compares first."""
    _BAR(key=f"{group}_bar", data={"bar": True, "group": group, "difference": list(difference)})


def sound(key: str, wav: bytes, *, autoplay: bool = False) -> None:
    """Give a panel a WAV file, which is played at its own level, at once with `autoplay`."""
    url = _address(wav, "audio/wav", f"{key}_sound")
    _part(key, "sound", {"url": url, "autoplay": autoplay})


def picture(key: str, log_mel: np.ndarray, scale: Scale, pitch: Pitch | None = None) -> None:
    """Give a panel its picture, a natural log-mel [T, 80], with a pitch contour if given."""
    found = packed(np.ascontiguousarray(log_mel, np.float32))
    data: dict[str, Any] = found.about | {
        "url": _address(found.data, "application/octet-stream", f"{key}_picture"),
        "hop": found.every * HOP_SECONDS,
        "loudest": 10 * np.log10(np.e) * scale.loudest,
        "seconds": scale.seconds,
        "hertz": service.band_hertz().round().astype(int).tolist(),
        "pitch": None,
    }
    if pitch is not None:
        sure = np.ravel(pitch.confidence) >= VOICED
        pairs = zip(np.ravel(pitch.f0).tolist(), sure.tolist(), strict=True)
        f0 = [round(hertz, 1) if voiced else None for hertz, voiced in pairs]
        data["pitch"] = {"f0": f0, "hop": _step(pitch)}
    _part(key, "picture", data)


def wait(key: str) -> None:
    """Show that a panel's sound or picture is being made."""
    _part(key, "wait", {})


def _part(key: str, kind: str, data: dict[str, Any]) -> None:
    _PART(key=f"{key}_{kind}", data={"id": key, "kind": kind} | data)


def _step(pitch: Pitch) -> float:
    times = np.ravel(np.asarray(pitch.times))
    return float(times[1] - times[0]) if len(times) > 1 else HOP_SECONDS


def _address(data: bytes, mimetype: str, place: str) -> str:
    """Where a browser finds a file: as with st.audio, for as long as the page shows it."""
    return runtime.get_instance().media_file_mgr.add(data, mimetype, f"sound_view-{place}")
