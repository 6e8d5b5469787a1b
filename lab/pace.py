"""What lets pages answer sooner, whatever they show."""

import gc
import sys

import streamlit as st

GROWN = 100  # modules more than before: something large has been imported
STEADY = """
<style>
.stElementContainer { opacity: 1 !important; transition: none !important; }
</style>
"""

_spared = 0  # modules that have been left out of the search already


def steady() -> None:
    """Let this page's elements stay as they are until they are drawn anew.

    Streamlit lets them fade, if only after half a second. A page that takes less, and shows by
    itself what it waits for, has no use for it, but the browser prepares an animation and a layer
    for each element all the same.
    """
    st.html(STEADY)


def spare_imports() -> None:
    """Leave what has been imported out of Streamlit's search for garbage.

    It searches after every run of a page or a fragment; with torch among some 300,000 objects that
    takes a fifth of a second, in which nobody is answered. Called as a run begins, when the last
    one's garbage has been taken away.
    """
    global _spared
    if len(sys.modules) > _spared + GROWN:
        _spared = len(sys.modules)
        gc.freeze()
