"""The lab's front door: streamlit run app.py"""

import streamlit as st

st.set_page_config(page_title="Ravel", page_icon=":material/graphic_eq:", layout="wide")

st.navigation(
    [
        st.Page("lab/pages/swap.py", title="Swap", icon=":material/swap_horiz:", default=True),
    ],
    position="top",
).run()
