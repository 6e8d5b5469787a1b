"""Nonsense sent to the demo's endpoints: every answer is one sentence or a right one, and the
server lives and keeps its secrets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.checkpoints.checkpoint import list_checkpoints
from lab.demo import app as space
from tests.fuzz.mutate import examples, mutated, values
from tests.fuzz.test_fuzz_decode import good
from tests.lab.browser import ROOT
from tests.lab.demo.server import free_port

SHIPS = {"ts-dsae-plus", "separator-scenes", "scenes-encoder"}
NAMES = [
    *("path", "url", "meta", "_type", "gradio.FileData", "data", "orig_name", "size", "is_stream"),
    *("mime_type", "__type__", "session_hash", "fn_index", "event_id", "trigger_id"),
]
DOORS = [
    *("/call/similar", "/queue/join", "/run/similar", "/upload", "/api/similar", "/reset"),
    *("/cancel", "/upload_progress", "/call/none", "/call/swap/x", "/predict"),
]
LEAKS = re.compile(
    rf'Traceback|File "/|site-packages|{re.escape(str(ROOT))}|ravel-space-|\.py\b|core\.|gradio\.ex'
)

pytestmark = pytest.mark.skipif(
    not {found.name for found in list_checkpoints()} >= SHIPS, reason="checkpoints do not ship"
)


class Demo:
    """A running demo that is spoken to in raw HTTP."""

    def __init__(self) -> None:
        port = free_port()
        self.blocks = space.launch(server_port=port, quiet=True)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}/gradio_api", timeout=120)

    def upload(self, data: bytes, name: str = "a.wav") -> str:
        """The path of a file on the server."""
        return self.http.post("/upload", files={"files": (name, data)}).json()[0]

    def call(self, endpoint: str, body: object) -> tuple[bool, str]:
        """Whether the endpoint answered, and what it said."""
        kind = {"content-type": "application/json"}
        asked = self.http.post(f"/call/{endpoint}", content=json.dumps(body), headers=kind)
        if asked.status_code != 200:
            return False, asked.text
        found = self.http.get(f"/call/{endpoint}/{asked.json()['event_id']}")
        events = re.findall(r"event: (\w+)\ndata: (.*)", found.text)
        assert events, found.text
        return events[-1][0] == "complete", events[-1][1]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    demo = Demo()
    yield demo
    demo.http.close()
    demo.blocks.close()


@pytest.fixture(scope="module")
def clip(demo) -> dict:
    """A sound that was uploaded."""
    return {"path": demo.upload(good("flac"), "a.flac"), "meta": {"_type": "gradio.FileData"}}


def keeps_its_secrets(said: str) -> None:
    """Check that no path, traceback or code is told."""
    assert not LEAKS.search(said), said[:500]
    assert len(said) < 20_000


def says_why(said: str) -> None:
    """Check that a refusal has words."""
    told = json.loads(said)
    words = told.get("error") or told.get("detail")
    if isinstance(words, list):  # of what is no request at all, by where in it
        words = words[0]["msg"]
    assert len(words) > 15, said[:500]


def lives(demo: Demo, clip: dict) -> None:
    """Check that a visitor is answered as ever."""
    answered, said = demo.call("similar", {"data": [clip, 2, 0]})
    assert answered and len(json.loads(said)[0]) == 2


def test_nonsense_for_arguments_is_answered_in_a_sentence(demo, clip):
    sounds = st.just(clip) | values(NAMES)
    numbers = st.sampled_from(
        [0, 0.1, -1, 1e9, 1e300, 1e308, None, "0", "nan", True, [], {}, 10**400]
    )
    data = st.one_of(
        st.tuples(sounds, numbers, numbers).map(lambda drawn: ("similar", list(drawn))),
        st.tuples(sounds, st.sampled_from(["separator-scenes"]) | values(NAMES), numbers).map(
            lambda drawn: ("separate", list(drawn))
        ),
        st.tuples(sounds, sounds, values(NAMES), values(NAMES), numbers, numbers).map(
            lambda drawn: ("swap", list(drawn))
        ),
        st.tuples(st.sampled_from(["swap", "separate", "similar"]), values(NAMES)),
    )

    @examples(50)
    @given(data)
    @example(("similar", [clip, 3, 1e308]))
    @example(("similar", [clip, 1e308, 0]))
    @example(("similar", [clip, None, None]))
    @example(("similar", [None, 3, 0]))
    @example(("similar", []))
    @example(("similar", [clip, 3, 0, 4, 5]))
    @example(("separate", [{"path": "\0", "meta": {"_type": "gradio.FileData"}}, None, 0]))
    @example(("separate", [{"path": "x" * 5_000, "meta": {"_type": "gradio.FileData"}}, None, 0]))
    @example(("separate", [[clip], "separator-scenes", 0]))
    @example(("swap", [clip, clip, "instrument", None, 0, 0]))
    @example(("swap", [clip, clip, None, "ts-dsae-plus", 0, 0]))
    def check(asked: tuple) -> None:
        endpoint, arguments = asked
        answered, said = demo.call(endpoint, {"data": arguments})
        if not answered:
            keeps_its_secrets(said)
            says_why(said)

    check()
    lives(demo, clip)


def test_nonsense_for_bodies_is_answered_in_a_sentence(demo, clip):
    @examples(60)
    @given(
        st.sampled_from(DOORS),
        values(NAMES) | st.dictionaries(st.sampled_from(NAMES), values(NAMES)),
    )
    @example("/queue/join", {"fn_index": 10**6, "session_hash": "x", "data": []})
    @example("/queue/join", {"fn_index": 0, "session_hash": "x", "data": [0, 0, 0, 0]})
    @example("/cancel", {"session_hash": "x", "fn_index": 0, "event_id": "y"})
    def check(door: str, body: object) -> None:
        sent = {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
        answer = demo.http.post(door, **sent)
        if answer.status_code != 200:
            keeps_its_secrets(answer.text)

    check()
    lives(demo, clip)


def test_damaged_uploads_are_answered_in_a_sentence(demo, clip):
    kinds = ["wav", "flac", "ogg", "mp3", "wav of floats"]
    files = st.sampled_from(kinds).flatmap(lambda kind: mutated(good(kind)))

    @examples(60)
    @given(
        files, st.text(max_size=20) | st.sampled_from(["../../x.wav", "a\nb.wav", "x" * 400, "con"])
    )
    @example(b"", "a.wav")  # told where it lay
    @example(good("wav"), "x" * 400)  # ended the connection
    def check(data: bytes, name: str) -> None:
        sent = demo.http.post("/upload", files={"files": (name, data)})
        if sent.status_code != 200:
            return keeps_its_secrets(sent.text)
        path = sent.json()[0]
        assert Path(space.os.environ["GRADIO_TEMP_DIR"]) in Path(path).resolve().parents
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answered, said = demo.call("similar", {"data": [given, 1, 0]})
        if not answered:
            keeps_its_secrets(said)
            says_why(said)
        return None

    check()
    lives(demo, clip)
