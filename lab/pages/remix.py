"""Remix: a duet taken apart, its parts given other instruments or melodies, and mixed again."""

import streamlit as st

from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT
from core.errors import RavelError
from lab import bundled
from lab.bundled import READY, is_scene
from lab.remix import data as remixing
from lab.remix import view as remix_view
from lab.widgets import channels, checkpoint_box, mixture_slot, mixture_view, played, player

SEPARATOR = "separator-duets"
ABOUT = (
    "A **mixture** goes through both models. A separator takes it apart into **channels**; another "
    "model takes each channel apart into its instrument, the **global latent v**, and its melody, "
    "the **local latents z**. Exchange one or the other, and mix what comes out."
)
DUETS = {title: names for title, names in READY.items() if not is_scene(names[0])}
TAKING = mixture_slot.TAKING._replace(
    seconds=30.0,
    hint="Two instruments, each playing one note at a time, work best; up to half a minute.",
    why="The page takes up to 30 s at a time: choose where they start. A longer recording is "
    "remixed whole by `python -m core remix FILE --out FOLDER`.",
)


with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    st.title("Remix", anchor=False, width="content", help=ABOUT)
    with st.container(horizontal=True, gap="medium", width="content"):
        separator = checkpoint_box.choose("Separator", "separation", SEPARATOR, "separator")
        model = checkpoint_box.choose("Model", "dsae", DEFAULT_CHECKPOINT, "model")
        played.choose()

asked = mixture_view.ask(DUETS, TAKING, instruments=True)
results = st.container()
st.caption(
    "Levels are true: one gain, which brings the mixture's peak to −6 dBFS, is on all that is "
    "played. A stem that went through the model is as loud as its channel was. "
    f"Examples: {bundled.instrument_credits()}."
)
player.one_at_a_time()

if separator is None or model is None:
    results.info(
        "Train a separator and a disentangling model with `python -m core train`, and put them "
        "into the folder checkpoints with `python -m core export`.",
        title="There is no trained model yet",
        icon=":material/model_training:",
    )
mixture, scale = mixture_view.show(asked)
if separator is None or model is None:
    st.stop()

work = channels.Work(asked.taken, mixture, separator, scale)
way = remixing.Way(asked.taken, separator, model)
with results:
    st.subheader("Channels", anchor=False, help=remix_view.CHANNELS)
    try:
        with st.spinner("Separating"):
            made = remixing.channels(way)
        with st.spinner("Listening"):
            remixing.heard(way)
            remixing.known(model)
    except RavelError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
    changes = remix_view.show_channels(work, way, made)
    st.subheader("Latents", anchor=False, help=remix_view.LATENTS)
    remix_view.show_latents(way, changes, mixture.clip.seconds)
    st.subheader("Stems", anchor=False, help=remix_view.STEMS)
    waves = remix_view.stems(work, way, changes)
    remix_view.show_remix(work, way, changes, waves)
