"""Damaged and dishonest checkpoint folders: a model that works, or one sentence."""

import json
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from core import registry
from core.checkpoints import checkpoint
from core.checkpoints.checkpoint import Checkpoint
from core.contrastive import embed
from core.data.folder import listing
from core.data.store import Chunk, FeatureStore, StoreWriter
from core.dsae import latents
from core.errors import RavelError
from core.separation import separate
from core.training.config import merge
from tests.fuzz.mutate import as_json, examples, mutated, values

TINY = {
    "dsae": {"hidden": 4, "prior_hidden": 4, "v_size": 2, "z_size": 2},
    "separation": {"window": 16, "hop": 8, "basis": 4, "bottleneck": 4, "hidden": 4, "blocks": 1,
                   "repeats": 2},
    "contrastive": {"encoder": "small", "width": 2, "embedding": 4, "head": 4, "projection": 4},
}  # fmt: skip
LOAD = {"dsae": latents.load, "separation": separate.load, "contrastive": embed.load}
NAMES = ["system", "model", "v_size", "hidden", "z_size", "encoder", "blocks", "window",
         "front_end", "value", "low", "high", "shape", "dtype", "data_offsets"]  # fmt: skip
GROWTH = 512  # MiB that a checkpoint of some kilobytes may make the process grow by


@pytest.fixture(scope="module", params=TINY)
def good(request, tmp_path_factory) -> Checkpoint:
    system = request.param
    config = registry.parse(merge({"system": system}, {"model": TINY[system]}))
    made = checkpoint.write(
        tmp_path_factory.mktemp("good") / system,
        config.model_dump(),
        registry.network(config).state_dict(),
    )
    made.write_metrics({"data": {"clips": 3, "map": {"value": 0.5, "low": 0.4, "high": 0.6}}})
    (made.path / "README.md").write_text("# A model\n")
    used(made.path)
    return made


def used(folder: Path) -> None:
    """Load a checkpoint, ask what it is, and let it work. Raises RavelError."""
    found = Checkpoint(folder)
    assert isinstance(found.title, str) and found.title and found.digest
    for scores in found.metrics.values():
        assert isinstance(scores, dict)
    system = found.system
    if system not in LOAD:
        registry.parse({"system": "none", **found.config})
        raise AssertionError("an unknown system was parsed")
    model, wave = LOAD[system](folder), torch.sin(torch.arange(8_000) / 9)
    if system == "dsae":
        made = model.encode(torch.zeros(20, 80)).v
    else:
        made = model.separate(wave) if system == "separation" else model.embed(wave.numpy())
    assert made.dtype == torch.float32


def used_or_refused(folder: Path) -> None:
    """Use a checkpoint, or be refused in one sentence."""
    before = grown()
    try:
        used(folder)
    except RavelError as error:
        text = str(error)
        assert text.rstrip().endswith((".", "?")) and "\n" not in text and len(text) < 1_500, text
    assert grown() - before < GROWTH


def grown() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.fixture
def copy(good, tmp_path) -> Path:
    """A checkpoint to damage."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in good.path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "README.md", "model.safetensors"])
def test_a_checkpoint_with_a_damaged_file_is_used_or_refused(copy, name):
    data = (copy / name).read_bytes()

    @examples(80)
    @given(mutated(data, head=min(len(data), 2_048)))
    @example(b"")
    @example(b"[" * 100_000)
    @example(b'{"a":' * 100_000)
    @example(b"\xff\xfe\x00")
    @example(b"null")
    def check(data: bytes) -> None:
        (copy / name).write_bytes(data)
        used_or_refused(copy)

    check()


def test_a_checkpoint_with_other_settings_is_used_or_refused(good, copy):
    @examples(80)
    @given(
        st.dictionaries(
            st.sampled_from([f"model.{name}" for name in TINY[good.system]]),
            values(NAMES),
            max_size=2,
        )
    )
    @example({"model.hidden": 65_536})
    @example({"model.blocks": 32, "model.repeats": 32, "model.hidden": 60_000})
    @example({"model.width": 65_536})
    @example({"model.embedding": 65_536, "model.encoder": "cnn14"})
    def check(changes: dict) -> None:
        changed = as_json(merge(good.config, changes))
        (copy / "config.json").write_text(json.dumps(changed))
        used_or_refused(copy)

    check()


def test_weights_that_claim_what_they_like_are_used_or_refused(good, copy):
    path = copy / "model.safetensors"
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    numbers = st.sampled_from([-1, 0, 1, 2, 4, 10**6, 2**31, 2**62, 2**64, 10**30])
    claims = st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "F16", "BF16", "F64", "I64", "U8", "BOOL", "X"]),
            "shape": st.lists(numbers, max_size=4),
            "data_offsets": st.lists(numbers, min_size=2, max_size=2),
        }
    )  # fmt: skip

    @examples(120)
    @given(st.sampled_from(sorted(header)), claims | values(NAMES), st.booleans())
    def check(name: str, claim: object, keep_place: bool) -> None:
        if keep_place and isinstance(claim, dict):
            claim = {**claim, "data_offsets": header[name].get("data_offsets")}
        text = json.dumps({**header, name: as_json(claim)}).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + body)
        used_or_refused(copy)

    check()


@examples(100)
@given(values(NAMES))
@example({"data": {"map": {"value": "high"}}})
@example({"data": {"encoder": {"map": {"value": {}}}}})
@example({"data": 3})
@example([])
def test_scores_of_any_shape_are_shown_or_refused(tmp_path_factory, scores):
    from core.checkpoints import card

    folder = tmp_path_factory.getbasetemp() / "scored"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"system": "dsae"}')
    (folder / "metrics.json").write_text(json.dumps(scores))
    (folder / "README.md").write_text(f"# Scored\n{card.BEGIN}\n{card.END}\n")
    try:
        card.refresh_scores(Checkpoint(folder))
    except RavelError as error:
        assert "damaged metrics.json" in str(error)


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "model.safetensors", "README.md"])
def test_a_folder_where_a_file_should_be_is_refused(copy, name):
    (copy / name).unlink()
    (copy / name).mkdir()
    used_or_refused(copy)


@examples(150)
@given(
    st.text(max_size=30) | st.sampled_from(["x" * 300, "\0", "a/" * 3_000, "~", "..", "//", "@5"])
)
def test_a_checkpoint_of_any_name_is_found_or_refused(name):
    if checkpoint.hub.parse(name):
        return  # that would ask the Hub
    try:
        assert checkpoint.find(name).path.is_dir()
    except RavelError as error:
        assert str(error).endswith(".")


# -- tables and stores ---------------------------------------------------------------------------


@examples(150)
@given(mutated(b"file,label,split\na.wav,dog,train\nb.wav,cat,validation\n"))
@example(b"file\n" + b"x" * 5_000)
@example(b"file,\n\0.wav,\n")
@example(b'file\n"' + b"x" * 200_000)
@example(b"file,label\n..\n")
def test_a_damaged_table_of_recordings_is_listed_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "recordings"
    folder.mkdir(exist_ok=True)
    for name in ("a.wav", "b.wav"):
        (folder / name).touch()
    (folder / "metadata.csv").write_bytes(data)
    try:
        assert all(item.path.is_file() for item in listing(folder))
    except RavelError as error:
        assert len(str(error)) > 20


@pytest.mark.parametrize("name", ["store.json", "clips.csv", "log_mel.npy", "lengths.npy"])
def test_a_store_with_a_damaged_file_is_opened_or_refused(tmp_path, name):
    data = (store(tmp_path / "store") / name).read_bytes()

    @examples(80)
    @given(mutated(data, head=512))
    @example(b"[" * 100_000)
    @example(b"\0" * 10)
    @example(b'a\n"' + b"x" * 200_000)
    def check(data: bytes) -> None:
        (tmp_path / "store" / name).write_bytes(data)
        try:
            opened = FeatureStore.open(tmp_path / "store")
        except RavelError as error:
            assert "\n" not in str(error) and len(str(error)) < 1_000
            return
        assert len(opened) == len(opened.log_mel) and opened.kind

    check()


def store(path: Path) -> Path:
    """A store of two clips."""
    writer = StoreWriter(path, kind="fuzz", settings={}, chunks=1)
    rows = [{"name": name, "split": "train"} for name in "ab"]
    mels, waves = [np.zeros((5, 80))] * 2, [np.zeros(1_000)] * 2
    writer.write(0, Chunk(rows, mels, waves))
    return writer.finish().path
