"""Damaged bytes and random settings for the fuzz tests."""

import json
import os
import struct

from hypothesis import settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("RAVEL_FUZZ", "1"))
MISCHIEF = [
    b"\0",
    b"\xff",
    b"\x7f\xff\xff\xff",
    b"\xff" * 8,
    b"\x80\0\0\0",
    b"\0" * 16,
    b"{",
    b"[" * 40,
]
NUMBERS = [0, 1, 2, 63, 64, 65, 384, 999, 44_100, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1]


def examples(count: int) -> settings:
    """`count` examples in the suite, RAVEL_FUZZ times as many where it is set."""
    return settings(max_examples=count * TIMES)


@st.composite
def mutated(draw: st.DrawFn, data: bytes, head: int = 128) -> bytes:
    """`data` with some bytes changed, cut out, put in, doubled or cut off; most in its head."""
    made = bytearray(data)
    for _ in range(draw(st.integers(1, 5))):
        reach = min(len(made), head) if draw(st.integers(0, 3)) else len(made)
        at = draw(st.integers(0, max(reach - 1, 0)))
        kind = draw(
            st.sampled_from(["byte", "number", "mischief", "cut", "insert", "end", "twice"])
        )
        if kind == "byte":
            made[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "number":
            form = draw(st.sampled_from(["<H", ">H", "<I", ">I", "<Q"]))
            bits = 8 * struct.calcsize(form)
            number = draw(st.sampled_from(NUMBERS)) % 2**bits
            made[at : at + bits // 8] = struct.pack(form, number)
        elif kind == "mischief":
            bad = draw(st.sampled_from(MISCHIEF))
            made[at : at + len(bad)] = bad
        elif kind == "cut":
            del made[at : at + draw(st.integers(1, 64))]
        elif kind == "insert":
            made[at:at] = draw(st.binary(min_size=1, max_size=32))
        elif kind == "end":
            del made[draw(st.integers(0, len(made))) :]
        else:
            made[at:at] = made[at : at + draw(st.integers(1, 256))]
    return bytes(made)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 1, 2**31, 2**63, 10**30, 1e308, -0.0, 1e-320])
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["none", "", "1e9", "nan", "inf", "../..", "/etc/passwd", "cuda:99", "\0"])
)


def values(names: list[str]) -> st.SearchStrategy:
    """Any JSON value; many of its keys are meaningful names."""
    keys = st.sampled_from(names) | st.text(max_size=8) | st.sampled_from(["", ".", "a.b", "a..b"])
    dotted = st.lists(keys, min_size=1, max_size=4).map(".".join)
    return st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(keys | dotted, inner, max_size=5)
        ),
        max_leaves=12,
    )


def as_json(value: object) -> object:
    """A value after it was written as JSON and read again."""
    return json.loads(json.dumps(value))
