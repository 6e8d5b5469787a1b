"""Swap: two recordings taken apart and recombined crosswise."""

import time

import streamlit as st

from core import service
from core.audio.clip import CLIP_SECONDS
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT, list_checkpoints
from lab import bundled
from lab.swap import data, instrument_target, verdict, view
from lab.widgets import page, route, session, slot, sound_view
from lab.widgets.cell import steady
from lab.widgets.sound_view import Scale

QUICK = 0.3  # s: sounds made within need no placeholder
SOUND_FIRST = 0.1  # s between sounds and pictures
WHOLE = slot.RECORDING._replace(whole=60.0)
ABOUT = (
    "Each recording is encoded as one **global latent**, a vector for what stays the same, such as "
    "the instrument, and a sequence of **local latents**, one vector every 16 ms, for what "
    "changes, the melody. The model learned this division without labels. Decoding one "
    "recording's local latents with the other's global latent gives a new sound."
)

steady()
checkpoints = {checkpoint.name: checkpoint for checkpoint in list_checkpoints("dsae")}
with page.row("bottom"):
    st.title("Swap", anchor=False, width="content", help=ABOUT)
    with page.controls("bottom"):
        what = view.choose_swap()
        chosen = view.choose_models(list(checkpoints))
        saved = session.menu("swap")
with page.row("bottom"):
    st.caption(view.DESCRIPTIONS[what], width="content")
    with page.controls("bottom"):
        strength = view.choose_strength(what == "Nothing")
        with_curve = view.choose_curve() if what != "Nothing" else False
        with_pitch = view.choose_pitch()
        by = route.choose()

instruments = instrument_target.offer(checkpoints[chosen[0]]) if chosen else None
left, right = st.columns(2)
with left:
    source = slot.slot("source", "Source", default="violin-1", taking=WHOLE)
    source = source and view.choose_octave("source", source)
with right:
    target = slot.slot("target", "Target", default="trumpet-1", taking=WHOLE, other=instruments)
    listed = instrument_target.chosen()
    target = target and (target if listed else view.choose_octave("target", target))
clips = {"source": source, "target": target}
filled = {side: clip for side, clip in clips.items() if clip}
pairs = [
    service.Pair(checkpoints[name], source, target, strength, listed)
    for name in chosen
    if source and target
]
data.prefetch(pairs, view.BELOW[what], by)

# Every result has its place before any work is done; then the places fill, players first.
sound_view.bar(view.GROUP, difference=view.difference(pairs))
inputs = view.input_cells(clips)
rows = [view.result_row(pair, what, len(pairs) > 1) for pair in pairs]
if not checkpoints:
    page.no_model("model")
st.caption(
    "Levels can be compared: each recording is normalised to the same peak before encoding, and "
    "everything is played 6 dB lower, as headroom for what the model makes. "
    f"Examples: {bundled.instrument_credits()}."
)

quick = data.ready_within(QUICK)
if not quick:
    for side in filled:
        inputs[side].expect(picture=True)
    for row in rows:
        for cell in row.cells.values():
            cell.expect(picture=True, sound=True)
for side, clip in clips.items():
    if not clip:
        inputs[side].leave_empty(f"The {side} is empty: choose an example, upload or record one.")
    elif not quick:
        inputs[side].play(service.wav(clip))

mels = {side: service.log_mel(clip) for side, clip in filled.items()}
for side, log_mel in mels.items():
    inputs[side].log_mel = log_mel
scale = Scale(
    loudest=max((float(log_mel.max()) for log_mel in mels.values()), default=0.0),
    seconds=max((clip.seconds for clip in filled.values()), default=CLIP_SECONDS),
)
# A browser that draws delays its players, so what was made quickly is played first, then drawn.
waiting = [*inputs.values(), *(cell for row in rows for cell in row.cells.values())]
if not (quick or with_pitch):
    view.draw([inputs[side] for side in filled], scale)
    waiting = waiting[len(inputs) :]

loaded = []  # rows whose model could be loaded
for row in rows:
    decoded = None
    with page.show_errors(row.message), row.tools, st.spinner("Loading the model"):
        decoded = {part: service.decoded(row.pair, part) for part in row.cells}
    if decoded is None:
        for part, cell in row.cells.items():
            cell.give_up()
            row.verdicts[part].empty()
        continue
    wavs = {part: service.sound(row.pair, part, by) for part in row.cells}
    for part, wav in wavs.items():
        row.play(part, decoded[part], wav)
    loaded.append(row)

saved.results = lambda: {
    f"{row.name}-{part}.wav": service.sound(row.pair, part, by)
    for row in loaded
    for part in row.cells
}
if quick:
    time.sleep(SOUND_FIRST)
    for side, clip in filled.items():
        inputs[side].play(service.wav(clip))
for row in loaded:
    view.offer_latents(row)
if with_pitch:
    view.draw_pitch(waiting, scale)
else:
    view.draw(waiting, scale)
# Last, so that nothing waits for it: how each result went.
better = checkpoints.get(DEFAULT_CHECKPOINT)
for row in loaded:
    with page.show_errors(row.message):
        verdict.show_row(row, by, better, crepe=with_pitch)
if with_curve:
    for row in loaded:
        with page.show_errors(row.message):
            verdict.show_curves(row, by)
