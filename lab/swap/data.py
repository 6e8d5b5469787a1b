"""The sounds of the Swap page, made two at a time while the page is drawn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from itertools import product

import streamlit as st

from core import service
from core.errors import RavelError
from core.service import Pair

TASKS = "swap_sounds"  # in a visitor's session: what is being made


def prefetch(pairs: Sequence[Pair], parts: Sequence[str], route: str) -> None:
    """Start making sounds beside the page; `service.sound` then waits for them.

    Not before torch is imported: its import would hold up the page itself.
    """
    for task in st.session_state.get(TASKS, ()):
        task.cancel()  # another pair was chosen before its turn came

    def make(pair: Pair, part: str) -> None:
        with suppress(RavelError):  # the page asks for the same sound, and shows the error
            service.sound(pair, part, route)

    each = product(pairs, parts) if "torch" in sys.modules else ()
    st.session_state[TASKS] = [_threads().submit(make, *one) for one in each]


def ready_within(seconds: float) -> bool:
    """Whether everything prefetched is made within so many seconds; False without any."""
    tasks = st.session_state.get(TASKS, ())
    return bool(tasks) and not wait(tasks, seconds).not_done


@cache
def _threads() -> ThreadPoolExecutor:
    """The same two threads for all visitors: each new thread keeps memory of its own."""
    return ThreadPoolExecutor(2, "sounds")
