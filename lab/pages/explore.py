"""Explore: one clip's latents as an instrument."""

import streamlit as st

from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT
from lab import bundled
from lab.explore import dials, draw, grid, listen, local_latents, morph, tally
from lab.widgets import checkpoint_box, page, route, session, slot

DESCRIPTIONS = {
    "Dials": f"**Change the global latent to change the instrument.** {dials.ABOUT}",
    "Morph": f"**Interpolate between two clips.** {morph.ABOUT}",
    "Melody": f"**Edit the local latents to change the melody.** {local_latents.ABOUT}",
    "Draw": f"**New sounds, sampled from the model.** {draw.ABOUT}",
    "Grid": "**Every clip's melody by every clip's instrument.**",
    "Listen": "**Compare renderings in a blind listening test.**",
}
HELP = {"Dials": dials.ORDER}
TWO_CLIPS = ("Morph", "Melody")
OWN_CLIPS = ("Grid", "Listen")  # sections with slots of their own
ABOUT = (
    "Change a clip's latents and play the result: one **global latent** v holds what stays the "
    "same, such as the instrument; the **local latents** z, one every 16 ms, hold what changes, "
    "the melody."
)

with page.row("bottom"):
    st.title("Explore", anchor=False, width="content", help=ABOUT)
    with page.controls("bottom"):
        section = st.segmented_control(
            "Section",
            list(DESCRIPTIONS),
            default="Dials",
            required=True,
            key="section",
            bind="query-params",
            width="content",
        )
        checkpoint = checkpoint_box.choose("Model", "dsae", DEFAULT_CHECKPOINT, "model", width=200)
        route.choose()
        saved = session.menu("explore")
st.caption(DESCRIPTIONS[section], help=HELP.get(section))
if checkpoint is None:
    page.no_model("model")
    st.stop()

clip = other = None
advice = st.container()
if section not in OWN_CLIPS:
    left, right = st.columns(2)
    with left:
        clip = slot.slot("source", "Clip", default="violin-1")
    with right:
        if section in TWO_CLIPS:
            other = slot.slot("target", "Other", default="trumpet-1")
with advice:
    clips = [one for one in (clip, other) if one]
    slot.advise_rendered(checkpoint, clips, "use_rendered")

with page.show_errors():
    if section == "Draw":
        draw.show(checkpoint, clip, right)
    elif section == "Grid":
        grid.show(checkpoint)
    elif section == "Listen":
        listen.show(checkpoint)
    elif clip is None:
        st.info("Choose an example, upload or record a clip.", icon=":material/music_note:")
    elif section == "Dials":
        dials.show(checkpoint, clip, left, right)
    elif section == "Melody":
        local_latents.show(checkpoint, clip, other)
    elif other is None:
        st.info("A morph needs two clips: fill the other slot, too.", icon=":material/music_note:")
    else:
        morph.show(checkpoint, clip, other)

rounds = st.session_state.get("listening_rounds", [])
if rounds:
    saved.results = lambda: {"listening.csv": tally.to_csv(rounds)}
if section not in OWN_CLIPS:
    st.caption(
        "Recordings are normalised to the same peak before encoding, and everything is played 6 dB "
        "lower, as headroom for what the model makes. Examples: "
        f"{bundled.instrument_credits()}."
    )
