"""Whether the lab is open to anybody: then it trains nothing and shows no runs."""

import os
import sys


def is_public() -> bool:
    """Started as `streamlit run app.py -- --public`, or on a Space."""
    return "--public" in sys.argv[1:] or "SPACE_ID" in os.environ
