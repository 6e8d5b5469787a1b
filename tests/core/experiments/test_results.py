"""Results of grids: cells over seeds against numpy and scipy, published figures, damaged files."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from core.checkpoints import checkpoint
from core.errors import RavelError
from core.experiments import grid as grids
from core.experiments import results

GRID = """
title = "Views"
system = "contrastive"
preset = "tiny"
seeds = [0, 1, 2]
evaluate = ["--data", "data/scenes"]
[[tables]]
name = "table 2"
settings = { "objective.coincidence" = 0.0 }
rows = { "views.pair" = ["mixture-mixture", "mixture-channel"] }
[[tables]]
name = "joint"
rows = { "objective.coincidence" = [0.0, 1.0] }
"""
NO_TABLE = results.read_table(Path("none.csv"))
SCORES = {"mixture-mixture": [0.5, 0.55, 0.52], "mixture-channel": [0.6, 0.58, 0.67]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    (tmp_path / "results" / "published").mkdir(parents=True)
    (tmp_path / "results" / "scenes.toml").write_text(GRID)
    return tmp_path / "results"


def write(folder, without=()):
    """The grid's table: SCORES by views where the objective is similarity alone."""
    grid = grids.read(folder / "scenes.toml")
    lines = []
    for run in grid.runs():
        settings = run.settings
        if settings["objective.coincidence"] == "0.0" and run.name not in without:
            value = SCORES[settings["views.pair"]][run.seed]
            about = {"run": run.name, "row": "encoder", **settings, "seed": run.seed, "steps": 200}
            ends = {"map_low": value - 0.1, "map_high": value + 0.1}
            lines.append({**about, "clips": 30, "map": value, **ends, "route": "live"})
    lines.append({"run": "", "row": "untrained", "map": 0.4, "map_low": 0.3, "map_high": 0.5})
    grids.write_table(lines, folder / "scenes.csv")
    return results.Results(grid, results.read_table(folder / "scenes.csv"))


def test_a_cell_has_mean_deviation_and_range_over_its_seeds(folder):
    read = write(folder)
    cells = read.cells(read.grid.tables[0])
    for cell in cells:
        values = SCORES[cell.settings["views.pair"]]
        found = cell.spread("map")
        assert (found.n, found.low, found.high) == (3, min(values), max(values))
        assert found.mean == pytest.approx(np.mean(values))
        assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert cells[0].runs["seed"].tolist() == [0, 1, 2]
    first = cells[0].runs.loc[0, ["map", "map_low", "map_high"]]
    assert first.tolist() == pytest.approx([0.5, 0.4, 0.6])
    assert read.scores() == ["map"]  # neither a count nor a word


def test_a_cell_that_stands_in_two_tables_is_the_same_runs_and_one_without_runs_is_empty(folder):
    read = write(folder)
    channel = read.cells(read.grid.tables[0])[1]
    similarity, joint = read.cells(read.grid.tables[1])
    assert similarity.runs.equals(channel.runs) and len(channel.runs) == 3
    assert joint.runs.empty and len(joint.planned) == 3 and joint.spread("map") is None
    assert (read.done, len(read.planned)) == (6, 9)
    assert read.baselines["row"].tolist() == ["untrained"]


def test_differences_are_paired_by_seed_as_in_a_paired_t_test(folder):
    read = write(folder)
    mixture, channel = read.cells(read.grid.tables[0])
    found = results.paired(channel, mixture, "map")
    ours, theirs = SCORES["mixture-channel"], SCORES["mixture-mixture"]
    reference = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found.seeds == (0, 1, 2)
    assert found.differences == pytest.approx(np.subtract(ours, theirs))
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))


def test_only_seeds_that_both_cells_have_are_compared(folder):
    read = write(folder)
    mixture, channel = read.cells(read.grid.tables[0])
    read = write(folder, without=(mixture.planned[0], channel.planned[1]))
    mixture, channel = read.cells(read.grid.tables[0])
    found = results.paired(channel, mixture, "map")
    assert found.seeds == (2,) and found.differences == pytest.approx([0.67 - 0.52])
    assert found.low is None and channel.spread("map").n == 2
    assert results.paired(read.cells(read.grid.tables[1])[1], mixture, "map") is None


def test_a_missing_table_is_empty(folder):
    missing = results.read_table(folder / "scenes.csv")
    assert missing.empty and list(missing) == ["run", "row", "seed", "steps"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("run,seed,map\na,0\n", "line 2 has not as many fields"),
        ("name,map\na,0.5\n", "no columns run and seed"),
        ("run,seed,map\na,0,0.5\nb,1,0.5x\n", "line 3 map is '0.5x'"),
        ("run,seed,map\na,first,0.5\n", "line 2 seed is 'first'"),
        (b"run,seed,map\n\xff\xfe,0,1\n", "cannot be read"),
    ],
)
def test_a_damaged_table_says_where(folder, text, why):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "scenes.csv").write_bytes(data)
    with pytest.raises(RavelError, match="is damaged") as error:
        results.read_table(folder / "scenes.csv")
    assert why in str(error.value)


def test_a_published_figure_belongs_to_the_cells_with_its_settings(folder):
    (folder / "published" / "contrastive-tables.csv").write_text(
        "table,corpus,method,views.pair,objective.coincidence,score,mean,note,source\n"
        "table 2,AudioSet,mix vs mix,mixture-mixture,0.0,map,0.265,,the paper\n"
        "table 2,AudioSet,others,,,map,0.300,,the paper\n"
        "table 9,AudioSet,joint,mixture-channel,1.0,map,0.289,,the paper\n"
    )
    read = write(folder)
    known = results.published("contrastive")
    views, joint = read.grid.tables
    mixture, channel = read.cells(views)
    assert results.matching(mixture, "map", known).given == {"mean": "0.265"}
    assert results.matching(channel, "map", known) is None
    assert results.matching(mixture, "qbe_map", known) is None
    assert [p.method for p in results.relevant(views, [mixture], known)] == ["mix vs mix", "others"]
    assert [p.method for p in results.relevant(joint, read.cells(joint), known)] == ["joint"]


def test_the_published_figures_that_ship_can_be_read_and_name_their_source():
    contrastive, dsae = results.published("contrastive"), results.published("dsae")
    assert all(one.source and one.corpus for one in contrastive + dsae)
    best = max(contrastive, key=lambda one: one.figures["mean"] if one.settings else 0)
    assert best.given["mean"] == "0.326" and best.settings["model.embedding"] == "1024"
    assert len(dsae) == 4 * 3 * 3 * 4  # models, sizes, scores, corpora and optimisers
    assert all(one.figures["low"] <= one.figures["high"] for one in dsae)
    assert {claim.table for claim in results.claims("dsae")} >= {"figure 3", "figure 7"}


@pytest.mark.parametrize("name", ["scenes", "dsae"])
def test_published_figures_name_existing_settings(name):
    path = checkpoint.SHIPPED / "results" / f"{name}.toml"
    grid = grids.read(path)
    read = results.Results(grid, NO_TABLE)
    known = results.published(grid.system)
    cells = [cell for table in grid.tables for cell in read.cells(table)]
    assert all(one.settings.keys() <= cells[0].texts.keys() for one in known)
    assert any(one.matches(cell) for one in known for cell in cells)


def test_a_weight_without_a_published_figure_matches_none():
    read = results.Results(grids.read(checkpoint.SHIPPED / "results" / "dsae.toml"), NO_TABLE)
    (table,) = [table for table in read.grid.tables if table.name == "swap terms"]
    known = results.published("dsae")
    found = {
        len(cell.settings): results.matching(cell, "f1_pre", known) for cell in read.cells(table)
    }
    assert found[0] is not None and found[1] is None


@pytest.mark.parametrize(
    "path", sorted((checkpoint.SHIPPED / "results").glob("*.toml")), ids=lambda path: path.stem
)
def test_shipped_grids_can_be_run(path):
    runs = grids.read(path).runs()
    assert len({run.name for run in runs}) == len(runs) > 1


def test_shipped_tables_of_published_figures_are_plain_csv():
    for system in ("dsae", "contrastive"):
        for path in results.published_files(system):
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
            assert len({len(row) for row in rows}) == 1 and "source" in rows[0]
