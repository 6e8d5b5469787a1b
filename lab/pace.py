"""What lets pages answer sooner, whatever they show."""

import streamlit as st

STEADY = """
<style>
.stElementContainer { opacity: 1 !important; transition: none !important; }
</style>
"""


def steady() -> None:
    """Let this page's elements stay as they are until they are drawn anew.

    Streamlit lets them fade, if only after half a second. A page that takes less, and shows by
    itself what it waits for, has no use for it, but the browser prepares an animation and a layer
    for each element all the same.
    """
    st.html(STEADY)
