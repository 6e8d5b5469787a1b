"""A corpus's map with sounds as one file, from the command line and by code."""

import json
import re

import numpy as np
import pytest

from core.cli import main
from core.errors import RavelError
from core.service import corpora, takeaways


def data(page: str) -> dict:
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch):
    """Maps are kept in the data folder."""
    monkeypatch.setattr(corpora, "DATA", tmp_path / "data")


def test_the_command_writes_the_chosen_clips_and_their_swaps(untrained, scenes, tmp_path, capsys):
    out = tmp_path / "map.html"
    first, second = corpora.columns(scenes)["name"][:2]
    words = ["takeaway", scenes, "--checkpoint", untrained, "--clips", first, second, "--out", out]
    assert main([*map(str, words), "--projection", "PCA", "--colour", "label"]) == 0
    found = data(out.read_text())
    assert [clip["name"] for clip in found["clips"]] == [first, second]
    assert len(found["points"]) == 32 and len(found["swaps"]) == 4
    assert found["groups"] == ["rush", "whistle"] and found["column"] == "label"
    assert "MB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--clips", "none"], "no clip called 'none'"),
        (["--colour", "none"], "There is no column 'none'"),
        (["--space", "h"], "has no space 'h'"),
        (["--megabytes", "0"], "choose from 0.1 to 100"),
    ],
)
def test_a_mistake_is_named(words, says, untrained, scenes, tmp_path, capsys):
    given = ["takeaway", scenes, "--checkpoint", untrained, "--out", tmp_path / "map.html"]
    assert main([*map(str, given), *words, "--projection", "PCA"]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "map.html").exists()


def test_groups_are_few():
    words = takeaways.grouped(np.array([f"w{i}" for i in range(30)] + ["w3"] * 5))
    assert len(set(words)) == 12 and "w3" in words and takeaways.OTHER in words
    numbers = takeaways.grouped(np.array([*range(100), np.nan], dtype=float))
    assert len(set(numbers[:-1])) == 5 and numbers[-1] == ""
    assert {numbers[0], numbers[99]} == {"0 to 19.8", "79.2 to 99"}
    assert set(takeaways.grouped(np.zeros(4))) == {"0"}
    assert set(takeaways.grouped(np.full(4, np.nan))) == {""}


def test_examples_come_from_every_group_the_most_central_first():
    places = np.array([[0, 0], [0, 1], [0, 9], [5, 5], [9, 9]], dtype=float)
    groups = np.array(["a", "a", "a", "b", ""])
    assert takeaways.examples(groups, places, 4) == [1, 3, 4, 0]
    assert takeaways.examples(groups[:0], places[:0]) == []


def test_a_column_that_is_not_there_is_an_error(untrained, scenes):
    from core.checkpoints.checkpoint import find
    from core.service.maps import MapSpec, Subset

    spec = MapSpec(Subset(scenes, None), find(str(untrained)), "v")
    assert takeaways.by_column(spec).column == "label"
    with pytest.raises(RavelError, match="choose from"):
        takeaways.by_column(spec, "nothing")
