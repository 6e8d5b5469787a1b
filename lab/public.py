"""Whether the lab is public: a public lab trains nothing and shows no runs."""

import os
import sys


def is_public() -> bool:
    """True when started as `streamlit run app.py -- --public`, or on a Space."""
    return "--public" in sys.argv[1:] or "SPACE_ID" in os.environ
