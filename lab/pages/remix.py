"""Remix: a duet taken apart, its parts given other instruments or melodies, and mixed again."""

import streamlit as st

from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT
from core.service import mixtures
from lab import bundled
from lab.bundled import READY, is_scene
from lab.remix import view
from lab.widgets import checkpoint_box, mixture_slot, mixture_view, page, route, session, sound_view
from lab.widgets.channels import GROUP, Work

SEPARATOR = "separator-duets"
ABOUT = (
    "A **mixture** goes through two models. A separator splits it into **channels**; a second "
    "model encodes each channel as its instrument, the **global latent v**, and its melody, the "
    "**local latents z**. Exchange one or the other, and mix the results."
)
DUETS = {title: names for title, names in READY.items() if not is_scene(names[0])}
TAKING = mixture_slot.TAKING._replace(
    seconds=30.0,
    hint="Two instruments, each playing one note at a time, work best; up to half a minute.",
    why="The page uses up to 30 s at a time: choose where they start. To remix a longer recording "
    "as a whole, run `python -m core remix FILE --out FOLDER`.",
)

with page.row("bottom"):
    st.title("Remix", anchor=False, width="content", help=ABOUT)
    with page.controls("bottom"):
        separator = checkpoint_box.choose("Separator", "separation", SEPARATOR, "separator")
        model = checkpoint_box.choose("Model", "dsae", DEFAULT_CHECKPOINT, "model")
        route.choose()
        saved = session.menu("remix")

choice = mixture_view.choose(DUETS, TAKING, instruments=True)
results = st.container()
st.caption(
    "Levels are true: one gain, which brings the mixture's peak to −6 dBFS, is applied to "
    "everything played. A stem that went through the model is as loud as its channel was. "
    f"Examples: {bundled.instrument_credits()}."
)

if separator is None or model is None:
    results.info(
        "Train a separator and a disentangling model with `python -m core train`, then add them to "
        "the folder checkpoints with `python -m core export`.",
        title="There is no trained model yet",
        icon=":material/model_training:",
    )
source, mixture, scale = mixture_view.show(choice)
if separator is None or model is None:
    st.stop()

work = Work(source, mixture, separator, scale)
setup = mixtures.Setup(source, separator, model)
with results:
    st.header("Channels", anchor=False, help=view.CHANNELS)
    with page.show_errors(stop=True):
        with st.spinner("Separating"):
            mixtures.separate(separator, source)
        with st.spinner("Encoding"):
            mixtures.likeness(setup, 1)  # reads the instruments, too: a damaged file ends the page
    sound_view.bar(GROUP, difference=("remix", "mixture_cell"))
    changes = view.show_channels(work, setup)
    st.header("Latents", anchor=False, help=view.LATENTS)
    view.show_latents(setup, changes, mixture.clip.seconds)
    st.header("Stems", anchor=False, help=view.STEMS)
    waves = view.show_stems(work, setup, changes)
    saved.results = lambda: {"stems.zip": mixtures.remix_zip(setup, changes, waves, "")}
    view.show_remix(work, setup, changes, waves)
