"""The Results page: tables, charts and published figures of grids, the runs behind, scoring."""

import csv
import io
import json
import time

import pytest
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint as checkpoints
from core.experiments import grid as grids
from core.experiments import results
from core.training import evaluation
from core.training.run import Run
from lab.results import scoring
from lab.training import runs
from tests.lab.conftest import APP

SCENES = """
title = "Views on scenes"
system = "contrastive"
preset = "tiny"
seeds = [0, 1]
evaluate = ["--data", "data/scenes"]
[[tables]]
name = "table 4"
title = "Separators"
rows = { "views.separators" = [["separator-scenes"], ["separator-scenes", "separator-scenes@0"]] }
columns = { "objective.coincidence" = [0.0, 1.0] }
"""
DSAE = """
title = "Models and sizes"
system = "dsae"
preset = "quick"
seeds = [0, 1]
evaluate = ["--data", "data/dmelodies"]
[[tables]]
name = "models"
title = "Models at every size"
rows = { "model.z_size" = [8, 16], "objective.variant" = ["dsae", "ts-dsae"] }
"""
PUBLISHED = """table,corpus,method,views.separators,objective.coincidence,score,mean,note,source
table 4,AudioSet,S2 or N,separator-scenes+separator-scenes@0,1.0,map,0.306,,the paper
table 4,AudioSet,MMV,,,map,0.309,2048 dimensions,the paper
"""
OF_MODELS = """table,corpus,method,objective.variant,model.z_size,score,mean,sd,low,high,note,source
figure 3,dMelodies,DSAE,dsae,8,f1_global,0.09,0.10,0.02,0.29,,the authors
figure 3,URMP,DSAE,dsae,8,f1_global,0.39,0.42,0.07,0.98,,the authors
figure 3,dMelodies,TS-DSAE,ts-dsae,8,f1_global,,,0.98,1.00,about 1,the authors
"""


def write(folder, name, text, scored, baselines=()):
    """A grid and its table: `scored` gives a run's scores from its settings and seed, or None."""
    (folder / f"{name}.toml").write_text(text)
    lines = []
    for run in grids.read(folder / f"{name}.toml").runs():
        scores = scored(run.settings, run.seed)
        if scores:
            about = {"run": run.name, "row": "encoder", **run.settings, "seed": run.seed}
            lines.append({**about, "steps": 100, "cpu_seconds": 9, **scores})
    grids.write_table([*lines, *baselines], folder / f"{name}.csv")


def scene(settings, seed):
    joint = settings["objective.coincidence"] == "1.0"
    if "+" not in settings["views.separators"] and joint:
        return None
    value = 0.5 + 0.1 * joint + 0.02 * seed
    return {"map": value, "map_low": value - 0.1, "map_high": value + 0.1, "qbe_map": value / 2}


def model(settings, seed):
    kept = 1.0 if settings["objective.variant"] == "ts-dsae" else 0.1
    size = int(settings["model.z_size"])
    pitch = {f"rpa_{kind}_crepe_tiny": size / 20 for kind in ("pre", "global", "local")}
    return {"f1_pre": 1.0, "f1_global": kept, "f1_local": kept, "fad_crepe_tiny": 9 - size} | pitch


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHIPPED", tmp_path / "checkpoints")
    monkeypatch.setattr(runs, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(runs, "DATA", tmp_path / "data")
    (tmp_path / "checkpoints" / "results" / "published").mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    return tmp_path / "checkpoints" / "results"


@pytest.fixture
def page(folder):
    return AppTest.from_file(APP, default_timeout=120).switch_page("lab/pages/results.py")


@pytest.fixture
def scenes(page, folder):
    untrained = {"run": "", "row": "untrained", "map": 0.4, "map_low": 0.3, "map_high": 0.5}
    write(folder, "scenes", SCENES, scene, [untrained])
    (folder / "published" / "contrastive-tables.csv").write_text(PUBLISHED)
    page.query_params["paper"] = "Separated scenes"
    return page.run()


def chart(page, number=0):
    return json.loads(page.get("plotly_chart")[number].proto.spec)


def test_a_table_has_means_over_seeds_beside_what_was_published(scenes):
    assert not scenes.exception
    frame = scenes.dataframe[0].value.set_index(["Channels by", "Objective"])
    mean, published = "mAP of a shallow network, held-out clips", "map, published"
    assert frame.loc[("S2", "similarity (SM)"), mean] == "0.510 ± 0.014"
    assert frame.loc[("S2 or N", "joint (SM + CP)"), mean] == "0.610 ± 0.014"
    assert frame.loc[("S2 or N", "joint (SM + CP)"), published] == "0.306"
    assert frame.loc[("S2", "similarity (SM)"), published] == ""
    missing = frame.loc[("S2", "joint (SM + CP)")]
    assert (missing[mean], missing["Seeds"]) == ("–", "0 of 2")
    frame = scenes.dataframe[0].value.set_index("Channels by")
    assert frame.loc["Untrained encoder", mean] == "0.400 [0.300, 0.500]"
    assert frame.loc["MMV, 2048 dimensions", published] == "0.309"
    assert frame.loc["MMV, 2048 dimensions", mean] == ""
    assert "6 of 8 runs scored" in scenes.caption[0].value
    assert "python -m core grid" in scenes.code[0].value and "scenes.toml" in scenes.code[0].value


def test_the_chart_has_a_dot_for_each_run_a_mark_for_its_mean_and_hollow_published_ones(scenes):
    drawn = chart(scenes)
    dots = [trace for trace in drawn["data"] if "customdata" in trace]
    names = sorted(name for trace in dots for name in trace["customdata"] if name)
    assert len(names) == 2 * 6  # of two scores
    first = next(t for t in dots if t["name"] == "joint (SM + CP)" and t["xaxis"] == "x")
    assert sorted(first["x"]) == pytest.approx([0.6, 0.62])
    means = [t for t in drawn["data"] if t.get("marker", {}).get("symbol") == "line-ns"]
    assert sum(len(trace["x"]) for trace in means) == 2 * 3
    hollow = [t for t in drawn["data"] if t.get("marker", {}).get("symbol") == "diamond-open"]
    assert sorted(value for trace in hollow for value in trace["x"]) == [0.306, 0.309]
    titles = [note["text"] for note in drawn["layout"]["annotations"]]
    assert any(title.startswith("Published, AudioSet") for title in titles)
    places = drawn["layout"]["yaxis"]["ticktext"]
    assert places == ["S2", "S2 or N", "MMV", "Untrained encoder"]


def test_the_table_is_downloaded_in_numbers(scenes, media):
    scenes.run()
    written = [data for data in media.values() if b"map_mean" in data]
    if not written:  # made when its button is clicked
        from core.experiments import results
        from lab.results.table import View

        grid = grids.read(checkpoints.SHIPPED / "results" / "scenes.toml")
        whole = results.Results(grid, results.read_table(results.folder() / "scenes.csv"))
        known = results.published("contrastive")
        written = [View(whole, grid.tables[0], ["map"], known, {}).to_csv()]
    rows = list(csv.DictReader(io.StringIO(written[0].decode())))
    assert len(rows) == 4
    assert float(rows[0]["map_mean"]) == pytest.approx(0.51) and rows[0]["map_n"] == "2.0"
    assert rows[1]["map_mean"] == "" and rows[3]["map_published"] == "0.306"


def test_a_selected_run_links_to_the_page_runs_or_says_that_it_is_not_here(scenes, folder):
    grid = grids.read(folder / "scenes.toml")
    name = grid.runs()[0].name
    scenes.session_state["picked_scenes_table_4"] = name
    scenes.run()
    assert any("not on this machine" in caption.value for caption in scenes.caption)
    assert f"--only {name}" in scenes.code[1].value
    (runs.FOLDER / "grid-scenes").mkdir()
    Run.create(runs.FOLDER / "grid-scenes" / name, grid.runs()[0].config.model_dump())
    scenes.run()
    assert not scenes.exception
    assert not any("not on this machine" in caption.value for caption in scenes.caption)
    assert [link.label for link in links(scenes)] == ["Open its run"]
    assert name in links(scenes)[0].query_string

    other = AppTest.from_file(APP, default_timeout=120).switch_page("lab/pages/runs.py")
    other.query_params["runs"] = f"grid-scenes/{name}"
    other.run()
    assert not other.exception
    assert other.multiselect(key="runs").value == [f"grid-scenes/{name}"]


def links(page):
    return [link.proto for link in page.get("page_link")]


def test_two_settings_are_compared_seed_by_seed(scenes):
    scenes.segmented_control(key="below_scenes_table_4").set_value("Compare two settings").run()
    assert not scenes.exception
    row = scenes.table[0].value.loc["mAP of a shallow network, held-out clips"]
    assert row["Difference"] == "+0.100" and row["By seed"] == "+0.100, +0.100"


def test_every_run_is_listed_with_its_interval(scenes):
    scenes.segmented_control(key="below_scenes_table_4").set_value("Every run").run()
    frame = scenes.dataframe[0].value
    assert len(frame) == 6
    assert frame.iloc[0]["mAP of a shallow network, held-out clips"] == "0.500 [0.400, 0.600]"


def test_the_scores_that_are_drawn_can_be_chosen(scenes):
    scenes.multiselect(key="scores_scenes_table_4").set_value(["qbe_map"]).run()
    assert not scenes.exception
    assert [note["text"] for note in chart(scenes)["layout"]["annotations"]] == [
        "Query by example, mAP"
    ]
    scenes.multiselect(key="scores_scenes_table_4").set_value([]).run()
    assert not scenes.exception and not scenes.get("plotly_chart")


def test_a_table_s_own_scores_are_drawn_by_default(page, folder):
    named = DSAE.replace('name = "models"', 'name = "figure 6"\nscores = ["rpa_pre_crepe_tiny"]')
    named = named.replace("model.z_size", "model.v_size")
    write(folder, "dsae", named, lambda settings, seed: {"f1_pre": 1.0, "rpa_pre_crepe_tiny": 0.9})
    claim = "table,corpus,claim,source\nfigure 6,URMP,It rebuilds better.,the paper\n"
    (folder / "published" / "dsae-claims.csv").write_text(claim)
    page.run()
    assert not page.exception
    assert page.multiselect(key="scores_dsae_figure_6").value == ["rpa_pre_crepe_tiny"]
    assert any("It rebuilds better" in caption.value for caption in page.caption)


def test_without_own_scores_the_published_figures_start_at_the_top(page, folder):
    (folder / "dsae.toml").write_text(DSAE)
    (folder / "published" / "dsae-f1.csv").write_text(OF_MODELS)
    page.run()
    assert not page.exception
    drawn = chart(page)
    tops = [axis["domain"][1] for name, axis in drawn["layout"].items() if name.startswith("yaxis")]
    assert tops and set(tops) == {1}


def test_the_first_paper_s_figures_are_drawn_over_sizes(page, folder):
    write(folder, "dsae", DSAE, model)
    (folder / "published" / "dsae-f1.csv").write_text(OF_MODELS)
    page.run()
    assert not page.exception
    drawn = chart(page)
    assert drawn["layout"]["xaxis"]["ticktext"] == ["z 8", "z 16"]
    mark = next(t for t in drawn["data"] if t["name"] == "TS-DSAE" and t["xaxis"] == "x2")
    assert set(mark["y"]) == {1.0}
    frame = page.dataframe[0].value
    assert list(frame["f1_global, published"]) == ["0.09 ± 0.10", "≥ 0.98", "", ""]
    page.selectbox(key="published").set_value("URMP").run()
    assert list(page.dataframe[0].value["f1_global, published"]) == ["0.39 ± 0.42", "", "", ""]
    page.segmented_control(key="figure_dsae_models").set_value("Figure 5").run()
    assert not page.exception
    titles = [note["text"] for note in chart(page)["layout"]["annotations"]]
    assert len(titles) == 3 and all(title.startswith("Pitch accuracy") for title in titles)


@pytest.mark.parametrize("paper", ["TS-DSAE", "Separated scenes"])
def test_the_grids_that_ship_are_all_shown(paper):
    shown = AppTest.from_file(APP, default_timeout=90)
    shown.switch_page("lab/pages/results.py")
    shown.query_params["paper"] = paper
    shown.run()
    assert not shown.exception and not shown.error
    system = {"TS-DSAE": "dsae"}.get(paper, "contrastive")
    titles = [grid.title for path in results.grids() if (grid := grids.read(path)).system == system]
    headed = [header.value for header in shown.header]
    further = ["Two global factors"] if system == "dsae" else []  # by the checkpoint that ships
    assert titles and headed == titles + further


def test_without_any_grid_the_page_says_so(page):
    page.run()
    assert not page.exception
    assert "There are no results for TS-DSAE yet" in page.info[0].value


def test_a_grid_without_results_shows_what_was_published_and_how_to_make_them(page, folder):
    (folder / "dsae.toml").write_text(DSAE)
    (folder / "published" / "dsae-f1.csv").write_text(OF_MODELS)
    page.run()
    assert not page.exception
    assert "No run of this grid has been scored yet" in page.info[0].value
    assert set(page.dataframe[0].value["Seeds"]) == {"0 of 2"}
    assert not [trace for trace in chart(page)["data"] if "customdata" in trace]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("dsae.csv", "run,seed,f1_pre\nx,0\n"),
        ("dsae.toml", "title = "),
        ("published/dsae-f1.csv", "table,score,mean\nfigure 3,f1_pre,high\n"),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(page, folder, file, text):
    write(folder, "dsae", DSAE, model)
    (folder / file).write_text(text)
    page.run()
    assert not page.exception
    assert len(page.error) == 1 and file.rsplit("/", 1)[-1] in page.error[0].value


def test_the_page_follows_changes_of_the_table(scenes, folder):
    assert "6 of 8" in scenes.caption[0].value
    write(folder, "scenes", SCENES, lambda settings, seed: {"map": 0.5})
    scenes.run()
    assert "8 of 8" in scenes.caption[0].value


def test_a_checkpoint_is_evaluated_and_its_scores_are_shown(page, folder):
    (runs.DATA / "melodies").mkdir(parents=True)
    (runs.DATA / "melodies" / "store.json").write_text('{"finished": true, "clips": 6}')
    mine = checkpoints.write(folder.parent / "mine", {"system": "dsae"}, {})
    dialog = AppTest.from_function(ask, default_timeout=120).run()
    assert dialog.selectbox(key="results_checkpoint").value == "mine"
    dialog.button(key="results_score").click().run()
    assert not dialog.exception and not dialog.error
    page.query_params["scored"] = "mine"
    page.run()  # the process has not got beyond its imports
    assert not page.exception
    assert any("**mine** is scored on" in markdown.value for markdown in page.markdown)
    evaluation.stop(scoring.folder("mine"))
    deadline = time.monotonic() + 60
    while evaluation.look(scoring.folder("mine")).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    page.run()
    assert "mine could not be scored" in page.error[0].value

    mine.write_metrics({"melodies": {"clips": 6}})  # what the process would have written
    page.run()
    assert not page.exception and not page.error
    assert page.table[0].value["mine on melodies"]["validation clips"] == "6"
    page.button(key="results_close").click().run()
    assert not page.table


def ask():
    from lab.results import scoring

    scoring.form()


def test_without_a_checkpoint_or_a_corpus_the_dialog_says_what_is_missing(folder):
    dialog = AppTest.from_function(ask, default_timeout=120).run()
    assert "no checkpoint yet" in dialog.caption[0].value
    checkpoints.write(folder.parent / "mine", {"system": "dsae"}, {})
    dialog.run()
    assert "no corpus" in dialog.caption[0].value
