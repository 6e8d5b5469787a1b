"""The look of the demo: its colours and CSS, and spectrograms as pictures and HTML."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import gradio as gr
import numpy as np
from PIL import Image

RANGE = 80 / (10 * np.log10(np.e))  # 80 dB in the natural units of a log-mel
SHADES = 64  # of a picture: more are invisible and make the file larger
FRAMES = 1250  # most columns of a picture; longer sounds are thinned out
THUMBNAIL = (96, 40)
STOPS = [
    "#10161B",
    "#132730",
    "#163A46",
    "#1A4F5C",
    "#246670",
    "#3A8080",
    "#639C8C",
    "#98B895",
    "#CCD3A7",
    "#F6F1CB",
]

PALETTE = [
    "#D9541E", "#2B8A93", "#8573C4", "#B5890F", "#C2477F", "#3E8F4B", "#3C78C8", "#8C6246",
    "#E08FA6", "#78B84A", "#A94442", "#8A979D",
]  # fmt: skip

Ticks = Sequence[tuple[str, float]]  # labels of frequencies, and their heights from 0 to 1

COLOUR = gr.themes.Color(
    c50="#EEF6F6", c100="#D9EAEB", c200="#B4D6D9", c300="#86BCC2", c400="#4FB0B8", c500="#2B8A93",
    c600="#1F6F78", c700="#195B63", c800="#154A51", c900="#113C42", c950="#0A2529", name="ravel",
)  # fmt: skip
THEME = gr.themes.Soft(
    primary_hue=COLOUR,
    secondary_hue=COLOUR,
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],  # fonts of the visitor's machine: none is downloaded
    font_mono=["ui-monospace", "monospace"],
    radius_size="sm",
)
CSS = """
.gradio-container { max-width: 1080px !important; margin: 0 auto !important; }
figure.sound { margin: 0; font-size: 13px; line-height: 1.3; }
figure.sound figcaption { display: flex; flex-wrap: wrap; justify-content: space-between;
  gap: 0 12px; margin-bottom: 4px; font-weight: 600; font-size: 14px; }
figure.sound figcaption small { font-weight: 400; color: var(--body-text-color-subdued); }
figure.sound .plot { display: grid; grid-template-columns: 46px 1fr; height: 132px; }
figure.sound .axis { position: relative; font-size: 11px; color: var(--body-text-color-subdued); }
figure.sound .axis span { position: absolute; right: 6px; transform: translateY(50%);
  white-space: nowrap; }
figure.sound img { width: 100%; height: 132px; border-radius: 4px; background: #10161B;
  display: block; }
figure.sound .seconds { display: flex; justify-content: space-between; padding-left: 46px;
  font-size: 11px; color: var(--body-text-color-subdued); }
.hit { display: grid; grid-template-columns: 96px 1fr; gap: 12px; align-items: center; }
.hit img { width: 96px; height: 40px; border-radius: 4px; background: #10161B; }
.hit small { color: var(--body-text-color-subdued); display: block; overflow-wrap: anywhere; }
.empty { display: grid; place-items: center; min-height: 60px; text-align: center;
  color: var(--body-text-color-subdued); border: 1px dashed var(--border-color-primary);
  border-radius: 4px; padding: 12px; font-size: 13px; }
.player label { display: none; }
.player, .block, .block * { min-width: 0; }
.refused { color: #B3261E; font-size: 14px; }
.dark .refused { color: #FFB4AB; }
.results { scroll-margin-top: 12px; }
.results .stale { display: none; font-size: 14px; padding: 6px 10px; border-radius: 4px;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-secondary); }
.results[data-old] .stale { display: block; }
.results[data-old] figure.sound, .results[data-old] .player, .results[data-old] .found {
  opacity: 0.4; }
.sounds-map { position: relative; cursor: pointer; border: 1px solid var(--border-color-primary);
  border-radius: 4px; }
.sounds-map button { position: absolute; width: 24px; height: 24px; margin: -12px 0 0 -12px;
  padding: 5px; border: 0; background: none; border-radius: 50%; pointer-events: none; }
.sounds-map i { display: block; width: 14px; height: 14px; border-radius: 50%;
  border: 1.5px solid var(--body-background-fill); }
.sounds-map button:hover i, .sounds-map button:focus-visible i, .sounds-map .chosen i {
  outline: 2px solid var(--body-text-color); }
.sounds-map button:focus-visible { outline: 2px solid var(--color-accent); }
.kinds { display: flex; flex-wrap: wrap; gap: 2px 12px; font-size: 13px; }
.kinds i { display: inline-block; width: 10px; height: 10px; border-radius: 50%;
  margin-right: 4px; }
.dark audio { color-scheme: dark; }
@media (max-width: 640px) {  /* all four tabs visible, two lines each */
  .gradio-container main { padding: 12px !important; }
  .tab-wrapper, .tab-container { height: auto !important; }
  .tab-container button { flex: none !important; width: calc((100vw - 88px) / 4) !important;
    white-space: normal !important; line-height: 1.2; padding: 6px 2px !important; height: auto;
    font-size: 13px !important; }
}
"""


def spectrogram_png(log_mel: np.ndarray, loudest: float) -> bytes:
    """A natural log-mel [T, 80] as a PNG, one pixel per band; `loudest` is the value of 0 dB."""
    thin = log_mel[:: -(-len(log_mel) // FRAMES)]
    level = np.clip(1 + (thin.T[::-1] - loudest) / RANGE, 0, 1)
    image = Image.fromarray((level * (SHADES - 1)).round().astype(np.uint8), "P")
    image.putpalette(_palette())
    return png_bytes(image)


def thumbnail_png(log_mel: np.ndarray) -> bytes:
    """The same at THUMBNAIL size, with the loudest point at 0 dB."""
    full = spectrogram_png(log_mel, float(log_mel.max()))
    small = Image.open(io.BytesIO(full)).convert("RGB").resize(THUMBNAIL, Image.Resampling.BOX)
    return png_bytes(small.quantize(16))


def figure(title: str, png: bytes, seconds: float, ticks: Ticks, detail: str = "") -> str:
    """A spectrogram with its title, frequencies and duration, as HTML."""
    labels = "".join(
        f'<span style="bottom:{100 * height:.1f}%">{html.escape(label)}</span>'
        for label, height in ticks
    )
    name = html.escape(title, quote=True)
    return (
        f'<figure class="sound"><figcaption><span>{name}</span>'
        f'<small>{html.escape(detail)}</small></figcaption><div class="plot">'
        f'<div class="axis" aria-hidden="true">{labels}</div>'
        f'<img src="{_data_url(png)}" alt="Spectrogram. {name}"></div>'
        f'<div class="seconds"><span>0 s</span><span>{seconds:.1f} s</span></div></figure>'
    )


def hit(title: str, facts: Sequence[str], png: bytes) -> str:
    """A search result as HTML: its thumbnail, its title and one line per fact."""
    name = html.escape(title, quote=True)
    lines = "".join(f"<small>{html.escape(fact)}</small>" for fact in facts if fact)
    return (
        f'<div class="hit"><img src="{_data_url(png)}" alt="Spectrogram. {name}">'
        f"<div><strong>{name}</strong>{lines}</div></div>"
    )


def empty(text: str) -> str:
    """A box with a text where there is no result yet, as HTML."""
    return f'<div class="empty">{html.escape(text)}</div>'


def refused(text: str) -> str:
    """What is wrong with a visitor's file, as HTML; "" for nothing."""
    return f'<p class="refused" role="alert">{html.escape(text)}</p>' if text else ""


def sounds_map(
    places: Sequence[Sequence[float]], titles: Sequence[str], groups: Sequence[str]
) -> str:
    """Sounds as buttons at their places [N, 2] from 0 to 1, coloured by their groups, as HTML."""
    kinds, keys = sorted(set(groups)), ""
    for number, ((x, y), title, group) in enumerate(zip(places, titles, groups, strict=True)):
        name, colour = html.escape(title, quote=True), PALETTE[kinds.index(group) % len(PALETTE)]
        keys += (
            f'<button type="button" data-sound="{number}" tabindex="{-1 if number else 0}" '
            f'style="left:{4 + 92 * x:.1f}%;top:{96 - 92 * y:.1f}%" aria-label="Play {name}" '
            f'title="{name}"><i style="background:{colour}"></i></button>'
        )
    legend = "".join(
        f'<span><i style="background:{PALETTE[at % len(PALETTE)]}"></i>{html.escape(kind)}</span>'
        for at, kind in enumerate(kinds)
    )
    return (
        f'<div class="sounds-map" role="group" aria-label="Map of sounds" '
        f'style="aspect-ratio:4/3">{keys}</div><div class="kinds" aria-hidden="true">{legend}</div>'
    )


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def png_bytes(image: Image.Image) -> bytes:
    """An image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _palette() -> list[int]:
    colours = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in STOPS])
    at = np.linspace(0, len(STOPS) - 1, SHADES)
    shades = [np.interp(at, np.arange(len(STOPS)), colours[:, band]) for band in range(3)]
    return np.stack(shades, 1).round().astype(int).ravel().tolist()
