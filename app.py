"""The lab: streamlit run app.py, or streamlit run app.py -- --public without training and runs."""

import os
from contextlib import suppress

import streamlit as st

from core.errors import RavelError
from core.service import included, maps
from lab.bundled import INCLUDED
from lab.public import is_public

# Streamlit writes white on a primary button, which a bright one does not bear in the dark.
READABLE = """
<style>
[data-testid="stBaseButton-primary"]:not(:disabled) { color: light-dark(#FFFFFF, #10161B); }
</style>
"""
WARM = "RAVEL_WARM"  # "0" starts no process before it is needed


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """Once for a server: unpack the corpus that ships, and keep UMAP ready."""
    if os.environ.get(WARM) == "0":
        return
    maps.warm_up()
    with suppress(RavelError):  # the Map page shows it
        included.start(INCLUDED)


st.set_page_config(page_title="Ravel", page_icon=":material/graphic_eq:", layout="wide")
st.html(READABLE)

pages = [
    st.Page("lab/pages/swap.py", title="Swap", icon=":material/swap_horiz:", default=True),
    st.Page("lab/pages/map.py", title="Map", icon=":material/scatter_plot:"),
    st.Page("lab/pages/explore.py", title="Explore", icon=":material/tune:"),
    st.Page("lab/pages/separate.py", title="Separate", icon=":material/call_split:"),
    st.Page("lab/pages/remix.py", title="Remix", icon=":material/instant_mix:"),
    st.Page("lab/pages/find.py", title="Find", icon=":material/search:"),
]
if not is_public():
    pages += [
        st.Page("lab/pages/train.py", title="Train", icon=":material/model_training:"),
        st.Page("lab/pages/runs.py", title="Runs", icon=":material/table_chart:"),
    ]
pages.append(st.Page("lab/pages/results.py", title="Results", icon=":material/scoreboard:"))

prepare()
st.navigation(pages, position="top").run()
