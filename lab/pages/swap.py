"""Swap: two recordings taken apart, and put together crosswise."""

import re
import time
from math import isnan
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.audio.clip import CLIP_SECONDS, Clip
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, list_checkpoints
from core.errors import RavelError
from lab import bundled
from lab.swap import data as live
from lab.widgets import played, player, slot, spectrogram
from lab.widgets.cell import Cell, steady

NOBODY = "None"
SOON = 0.3  # s in which sounds are made for which nobody need be told to wait
SOUND_FIRST = 0.1  # s between sounds and pictures
TAKING = slot.RECORDING._replace(whole=60.0)
ABOUT = (
    "Each recording is taken apart into one **global latent**, a list of numbers that holds what "
    "stays the same, such as the instrument, and a sequence of **local latents**, one list every "
    "16 ms, that hold what changes, the melody. Nobody told the model which is which. "
    "Put together crosswise, they are new sound."
)
SAYS = {
    "Instrument": "Below each recording: **its own melody, played by the other's instrument**.",
    "Melody": "Below each recording: **its own instrument, playing the other's melody**.",
    "Nothing": "Below each recording: **itself, through the model and back**. "
    "What is lost here is lost by the model, not by the swap.",
}
BELOW = {  # which part of the result stands below the source, and which below the target
    "Instrument": ("swapped", "counterpart"),
    "Melody": ("counterpart", "swapped"),
    "Nothing": ("source_reconstruction", "target_reconstruction"),
}
TITLES = {
    "swapped": "Source melody, target instrument",
    "counterpart": "Target melody, source instrument",
    "source_reconstruction": "Source, rebuilt",
    "target_reconstruction": "Target, rebuilt",
}


class Row(NamedTuple):
    """One model's results: a place for downloads, one for a message, and a cell for each part."""

    checkpoint: Checkpoint
    tools: DeltaGenerator
    message: DeltaGenerator
    cells: dict[str, Cell]


def who(clip: Clip) -> str:
    """What to call a clip in a title: its instrument if known, else its name."""
    name = clip.labels.get("instrument") or clip.name
    short = name if len(name) <= 24 else f"{name[:23]}…"
    return re.sub(r"([\\`*_\[\]<>:$~|#])", r"\\\1", short)  # a file's name is text, not Markdown


def detail(part: str) -> str:
    """Whose melody and whose instrument a part has, beside its title."""
    return " → ".join(dict.fromkeys(who(clips[side]) for side in live.GIVERS[part]))


def file_name(part: str, checkpoint: Checkpoint) -> str:
    """What a part is saved as, such as violin-1-by-trumpet-1-ts-dsae-plus.wav."""
    melody, instrument = (clips[side].name for side in live.GIVERS[part])
    return f"{melody}-by-{instrument}-{checkpoint.name}.wav"


def reserve(checkpoint: Checkpoint) -> Row:
    """A model's heading, and the places of its results."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.subheader(checkpoint.name, anchor=False, width="content")
            if checkpoint.title != checkpoint.name:
                st.caption(checkpoint.title, width="content")
        tools = st.container(horizontal=True, width="content")
    given = {clip.name for clip in clips.values()}
    if live.corpus(checkpoint).startswith("dmelodies") and given != set(slot.rendered()):
        advise_rendered(checkpoint)
    message, cells = st.container(), {}
    for side, part, column in zip(clips, BELOW[what], st.columns(2), strict=True):
        with column:
            cells[part] = Cell(f"{checkpoint.name}_{side}", TITLES[part], detail(part))
    return Row(checkpoint, tools, message, cells)


def advise_rendered(checkpoint: Checkpoint) -> None:
    """Say that a model knows synthesised sound only, and offer what suits it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            ":material/info: Trained on synthesised violins and trumpets alone: "
            "real players are strangers to it.",
            width="content",
        )
        st.button(
            "Take synthesised examples",
            key=f"{checkpoint.name}_rendered",
            type="tertiary",
            icon=":material/swap_horiz:",
            on_click=take_rendered,
        )


def take_rendered() -> None:
    """Put the synthesised examples into the slots."""
    for side, title in zip(("source", "target"), slot.rendered().values(), strict=True):
        st.session_state[side], st.session_state[f"{side}_from"] = title, "Example"


def offer_latents(row: Row) -> None:
    """Download buttons for the latents of both recordings, computed when clicked."""
    for side, clip in clips.items():
        row.tools.download_button(
            f"{side.title()} latents",
            lambda clip=clip: live.latents(row.checkpoint, clip).to_npz(),
            f"{clip.name}-{row.checkpoint.name}.npz",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            key=f"{row.checkpoint.name}_{side}_latents",
            help="Means and log-variances of the global and the local latents, as NumPy arrays.",
        )


steady()
checkpoints = {checkpoint.name: checkpoint for checkpoint in list_checkpoints("dsae")}
names = list(checkpoints)

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    st.title("Swap", anchor=False, width="content", help=ABOUT)
    with st.container(horizontal=True, gap="medium", width="content"):
        what = st.segmented_control(
            "What to swap",
            list(SAYS),
            default="Instrument",
            required=True,
            key="swap",
            bind="query-params",
            width="content",
            help="**Instrument** exchanges the global latents, **melody** the local latents; "
            "**nothing** rebuilds each recording from its own.",
        )
        chosen = st.selectbox(
            "Model",
            names,
            index=names.index(DEFAULT_CHECKPOINT) if DEFAULT_CHECKPOINT in names else 0,
            key="model",
            bind="query-params",
            width=200,
            disabled=not names,
            help="A checkpoint: a trained model in the folder checkpoints.",
        )
        other = st.selectbox(
            "Compare with",
            [NOBODY, *names],
            key="compare",
            bind="query-params",
            width=200,
            disabled=not names,
            help="A second model, on the same two recordings.",
        )
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    st.caption(SAYS[what], width="content")
    with st.container(horizontal=True, gap="medium", width="content", vertical_alignment="bottom"):
        with_pitch = st.toggle(
            "Pitch contour",
            key="pitch",
            bind="query-params",
            width="content",
            help="The pitch that CREPE, a neural pitch tracker, hears, and how much of the "
            "melody is kept: the share of pitched moments in which the result is within half "
            "a semitone of the recording that gave the melody.",
        )
        played.choose()

left, right = st.columns(2)
with left:
    source = slot.slot("source", "Source", default="violin-1", taking=TAKING)
with right:
    target = slot.slot("target", "Target", default="trumpet-1", taking=TAKING)
clips = {"source": source, "target": target}
shown = [name for name in dict.fromkeys((chosen, other)) if name in names]
filled = {side: clip for side, clip in clips.items() if clip}
pairs = [live.Pair(checkpoints[name], source, target) for name in shown if source and target]
live.begin(pairs, BELOW[what])

# Every result has its place before any work is done; then the places fill, players first.
inputs = {}
for column, (side, clip) in zip(st.columns(2), clips.items(), strict=True):
    with column:
        inputs[side] = Cell(side, f"{side.title()}: {who(clip)}" if clip else side.title())
rows = [reserve(pair.checkpoint) for pair in pairs]
results = [item for row in rows for item in row.cells.items()]
if not names:
    st.info(
        "Train one with `python -m core train`, and put it into the folder checkpoints "
        "with `python -m core export`.",
        title="There is no trained model yet",
        icon=":material/model_training:",
    )

st.caption(
    "Levels can be compared: each recording is brought to the same peak before the model hears it, "
    "and everything is played 6 dB lower, to leave room for what the model makes. "
    f"Examples: {bundled.instrument_credits()}."
)
player.one_at_a_time()

quick = live.soon(SOON)
if not quick:
    for side in filled:
        inputs[side].expect(picture=True)
    for _, cell in results:
        cell.expect(picture=True, sound=True)
for side, clip in clips.items():
    if not clip:
        inputs[side].leave_empty(f"The {side} is empty: choose an example, upload or record one.")
    elif not quick:
        inputs[side].play(live.wav(clip))

for side, clip in filled.items():
    inputs[side].log_mel = live.log_mel(clip)
scale = spectrogram.Scale(
    loudest=max((float(inputs[side].log_mel.max()) for side in filled), default=0.0),
    seconds=max((clip.seconds for clip in filled.values()), default=CLIP_SECONDS),
)
# A browser that draws lets players wait: what is made at once is heard first, and then seen.
pictures = [*inputs.values(), *(cell for _, cell in results)]
if not (quick or with_pitch):
    for side in filled:
        pictures.remove(inputs[side])
        inputs[side].draw(scale)

made = []  # rows whose model could be loaded
for row, pair in zip(rows, pairs, strict=True):
    try:
        with row.tools, st.spinner("Loading the model"):
            mels = {part: live.made(pair, part) for part in row.cells}
    except RavelError as error:
        row.message.error(str(error), icon=":material/error:")
        for cell in row.cells.values():
            cell.give_up()
        continue
    wavs = {part: live.sound(pair, part) for part in row.cells}
    for part, cell in row.cells.items():
        cell.log_mel = mels[part]
        cell.play(wavs[part], file_name(part, row.checkpoint))
    made.append(row)

if quick:
    time.sleep(SOUND_FIRST)
    for side, clip in filled.items():
        inputs[side].play(live.wav(clip))
for row in made:
    offer_latents(row)
if not with_pitch:
    for cell in pictures:
        if cell.log_mel is not None:
            cell.draw(scale)
else:
    for cell in pictures:
        if cell.wav:
            cell.expect(picture=True)
            cell.draw(scale, live.pitch(cell.wav))
    for part, cell in results:
        if cell.wav:
            kept = live.melody_kept(inputs[live.GIVERS[part][0]].wav, cell.wav)
            cell.state("No pitch" if isnan(kept) else f"Melody kept: {kept:.0%}")
