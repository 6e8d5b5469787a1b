"""The Train page, driven in process; the workers it starts are real."""

import json
import os
import signal
import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.audio.clip import write_wav
from core.dsae import trajectory
from core.dsae.config import DsaeConfig
from core.errors import RavelError
from core.training import launcher
from core.training.run import Run
from lab.training import runs
from tests.lab import tones
from tests.lab.conftest import APP
from tests.lab.pages import players

TRAIN = "lab/pages/train.py"


@pytest.fixture
def folder(tmp_path, melodies, monkeypatch):
    """Where the lab keeps its runs in this test; its data hold one store."""
    monkeypatch.setattr(runs, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(runs, "DATA", melodies.parent)
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def train(folder):
    """The Train page, not run yet."""
    page = AppTest.from_file(APP, default_timeout=120)
    return page.switch_page(TRAIN)


def tiny(store, **training):
    values = {"steps": 100_000, "batch_size": 4, "validate_every": 1000, "device": "cpu"}
    model = {"hidden": 8}
    given = {"model": model, "data": {"store": str(store)}, "training": values | training}
    return DsaeConfig.parse(given).model_dump()


def wait(until, seconds=60):
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def keys(page):
    return {button.key for button in page.button}


def type_in(page, name, value):
    field = next(f for f in page.text_input if f.key and f.key.endswith(f"/{name}"))
    return field.set_value(value).run()


def test_the_form_has_a_field_for_every_setting_and_offers_what_there_is(train, melodies):
    train.run()
    assert not train.exception and not train.error
    kinds = [*train.text_input, *train.selectbox, *train.toggle]
    fields = {widget.key.split("/")[-1] for widget in kinds if widget.key and "/" in widget.key}
    wanted = {f"{s}.{n}" for s, values in tiny("").items() if s != "system" for n in values}
    assert fields == wanted - {"data.store", "training.device", "training.processes"}
    assert any("36 clips" in option for option in train.selectbox(key="corpus_dsae").options)
    assert any(option.startswith("cpu") for option in train.selectbox(key="device").options)


@pytest.mark.parametrize(
    ("name", "value"), [("training.steps", "many"), ("training.seed", "-1"), ("model.z_size", "")]
)
def test_a_wrong_value_has_the_error_of_the_command_line(train, name, value):
    train.run()
    type_in(train, name, value)
    section, setting = name.split(".")
    with pytest.raises(RavelError) as raised:
        DsaeConfig.parse({section: {setting: value}})
    assert [error.value for error in train.error] == [str(raised.value)]
    assert train.button[-1].disabled
    assert not runs.names()


def test_a_name_that_cannot_be_and_a_corpus_that_is_none_are_refused(train, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "DATA", tmp_path)
    monkeypatch.chdir(tmp_path)
    train.run()
    train.text_input(key="name").set_value("../up").run()
    assert "cannot be called '../up'" in train.error[0].value
    train.text_input(key="name").set_value("").run()
    assert "no feature store" in train.error[0].value  # before it is started
    assert next(one for one in train.button if one.label == "Start training").disabled
    assert not runs.names()


def test_a_run_is_started_watched_stopped_and_cloned_from_the_page(train, melodies):
    train.run()
    train.selectbox(key="corpus_dsae").set_value(str(melodies)).run()
    for name, value in (("model.hidden", "8"), ("training.batch_size", "4")):
        type_in(train, name, value)
    type_in(train, "training.steps", "100000")
    train.text_input(key="name").set_value("first")
    train.button(key="start").click().run()

    assert not train.exception and not train.error
    assert train.selectbox(key="run").value == "first"
    run = Run(runs.path("first"))
    assert run.held
    assert run.config["training"]["steps"] == 100_000
    wait(lambda: any(run.metrics("train")))
    train.run()
    assert "of 100,000" in train.get("progress")[0].proto.text
    assert {"stop", "clone"} <= keys(train) and "delete" not in keys(train)

    train.button(key="stop").click().run()
    wait(lambda: not run.held)
    train.run()
    assert {"resume", "clone", "delete"} <= keys(train)
    assert run.has("last")

    train.button(key="clone").click().run()
    assert not train.exception
    assert train.selectbox(key="run").value is None
    hidden = next(f for f in train.text_input if f.key.endswith("model.hidden"))
    assert hidden.value == "8"


def test_a_run_whose_process_was_killed_is_called_failed_at_once(train, folder, melodies):
    run = launcher.start(folder / "victim", tiny(melodies))
    train.query_params["run"] = "victim"
    wait(lambda: run.state().get("pid"))
    train.run()
    assert "stop" in keys(train)

    os.kill(run.state()["pid"], signal.SIGKILL)
    wait(lambda: not run.held)
    train.run()
    assert not train.exception
    assert {"resume", "delete"} <= keys(train) and "stop" not in keys(train)
    assert any("Its process died; resume it to continue" in c.value for c in train.caption)


def test_a_run_is_deleted_only_after_a_confirmation(train, folder):
    run = Run.create(folder / "old", tiny("data/nothing"))
    run.write_state(state="stopped")
    train.query_params["run"] = "old"
    train.run()
    train.button(key="delete").click().run()
    assert runs.names() == ["old"]
    train.button(key="delete_yes").click().run()
    assert not train.exception
    assert runs.names() == []
    assert train.selectbox(key="run").value is None


def test_a_missing_run_has_a_warning(train):
    train.query_params["run"] = "gone"
    train.run()
    assert not train.exception
    assert "no run called 'gone'" in train.warning[0].value


def test_a_damaged_run_has_an_error_of_one_sentence(train, folder):
    run = Run.create(folder / "broken", tiny("data/nothing"))
    (run.path / "config.json").write_text('{"system": ')
    train.query_params["run"] = "broken"
    train.run()
    assert not train.exception
    assert "config.json is damaged" in train.error[0].value


def test_an_old_run_without_figures_or_log_is_shown(train, folder):
    Run.create(folder / "empty", tiny("data/nothing")).write_state(state="stopped")
    train.query_params["run"] = "empty"
    train.run()
    assert not train.exception and not train.error
    assert len(train.get("plotly_chart")) == 6


def test_sounds_have_a_slider_of_steps_which_follows_the_latest_until_one_is_chosen(train, folder):
    run = Run.create(folder / "heard", tiny("data/nothing"))
    run.write_state(state="stopped")

    def keep(step):
        made = run.path / "samples" / f"step_{step:06d}"
        made.mkdir(parents=True)
        write_wav(made / "1 source rebuilt.wav", np.full(1600, step / 1000, dtype=np.float32))

    keep(100)
    train.query_params["run"] = "heard"
    train.run()
    assert not train.exception and len(players(train)) == 1
    for step in (200, 300):
        keep(step)
        train.run()
        assert train.select_slider(key="step/heard").value == step
    train.select_slider(key="step/heard").set_value(200).run()
    keep(400)
    train.run()
    assert train.select_slider(key="step/heard").value == 200
    assert not train.exception and len(players(train)) == 1


def test_latents_are_mapped_step_by_step_on_axes_that_stay(train, folder):
    run = Run.create(folder / "mapped", tiny("data/nothing"))
    run.write_state(state="stopped")
    rng = np.random.default_rng(0)
    labels = np.array(["Trumpet", "Violin"] * 5)
    for step in (100, 200):
        v, z = rng.normal(size=(2, 10, 4)) * step
        trajectory.write(run.path / "samples" / f"step_{step:06d}", v, z, labels)
    write_wav(run.path / "samples" / "step_000200" / "1 source rebuilt.wav", np.full(1600, 0.1))
    train.query_params["run"] = "mapped"
    train.run()
    assert not train.exception

    def maps():
        specs = [json.loads(chart.proto.spec) for chart in train.get("plotly_chart")][-2:]
        assert [[t["name"] for t in spec["data"]] for spec in specs] == [["Trumpet", "Violin"]] * 2
        assert all(spec["layout"]["yaxis"]["scaleanchor"] == "x" for spec in specs)
        ranges = [spec["layout"][axis]["range"] for spec in specs for axis in ("xaxis", "yaxis")]
        return specs, ranges

    late, ranges = maps()
    assert len(players(train)) == 1
    train.select_slider(key="step/mapped").set_value(100).run()
    early, same = maps()
    assert ranges == same
    assert [spec["data"] for spec in early] != [spec["data"] for spec in late]
    assert not players(train)


def test_a_separator_is_trained_from_the_page_like_any_other(train, folder, tmp_path, monkeypatch):
    store = tones.build(tmp_path / "data" / "scenes").path
    monkeypatch.setattr(runs, "DATA", store.parent)
    train.run()
    train.selectbox(key="system").set_value("separation").run()
    assert not train.exception and not train.error
    assert train.selectbox(key="from").value == "preset tiny"
    fields = {f.key.split("/")[-1] for f in train.text_input if f.key and "/" in f.key}
    assert {"model.basis", "objective.snr_max", "data.level_spread"} <= fields
    for name, value in (("model.hidden", "8"), ("model.basis", "16"), ("data.seconds", "0.5")):
        type_in(train, name, value)
    train.button(key="start").click().run()
    assert not train.exception and not train.error
    assert train.selectbox(key="run").value == "mixit-scenes"
    run = Run(runs.path("mixit-scenes"))
    assert run.config["system"] == "separation"
    wait(lambda: any(run.metrics("validation")))
    train.run()
    assert not train.exception
    assert "MoMi" in {metric.label for metric in train.metric}
    launcher.stop(run)
    wait(lambda: not run.held)
    train.run()
    train.button(key="clone").click().run()
    assert not train.exception and not train.error
    assert train.selectbox(key="system").value == "separation"
    assert train.selectbox(key="from").value == "run mixit-scenes"


def test_an_encoder_is_trained_from_the_page_like_any_other(train, folder, tmp_path, monkeypatch):
    store = tones.build(tmp_path / "data" / "scenes").path
    monkeypatch.setattr(runs, "DATA", store.parent)
    train.run()
    train.selectbox(key="system").set_value("contrastive").run()
    assert not train.exception and not train.error
    pair = next(box for box in train.selectbox if box.key and box.key.endswith("views.pair"))
    pair.set_value("mixture-mixture").run()
    for name, value in (("model.width", "4"), ("views.frames", "32")):
        type_in(train, name, value)
    train.button(key="start").click().run()
    assert not train.exception and not train.error
    assert train.selectbox(key="run").value == "encoder-scenes"
    run = Run(runs.path("encoder-scenes"))
    wait(lambda: any(run.metrics("validation")))
    train.run()
    assert not train.exception
    launcher.stop(run)
    wait(lambda: not run.held)


def test_a_run_is_resumed_on_the_chosen_device(train, folder, monkeypatch):
    from lab.training import run_view as watch

    run = Run.create(folder / "old", tiny("data/nothing"))
    run.write_state(state="stopped")
    there = {("cpu", 1): "cpu: 2 cores", ("cpu", 2): "cpu: 2 processes"}
    monkeypatch.setattr(watch, "places", lambda: there)
    resumed = []
    monkeypatch.setattr(
        launcher, "resume", lambda run, place: resumed.append((run.path.name, place))
    )
    train.query_params["run"] = "old"
    train.run()
    assert train.selectbox(key="place/old").value == ("cpu", 1)
    train.selectbox(key="place/old").set_value(("cpu", 2)).run()
    train.button(key="resume").click().run()
    assert resumed == [("old", ("cpu", 2))]


def test_the_gpu_s_load_and_memory_are_drawn_where_they_were_measured(train, folder):
    run = Run.create(folder / "fast", tiny("data/nothing"))
    run.write_state(state="stopped")
    for step in (10, 20):
        run.log("train", step, {"loss": 1.0, "gpu_memory": 3.5, "gpu_load": 90.0})
    train.query_params["run"] = "fast"
    train.run()
    drawn = [chart.proto.spec for chart in train.get("plotly_chart")]
    assert len(drawn) == 8
    assert sum('"per cent"' in chart for chart in drawn) == 1
    assert sum('"GiB"' in chart for chart in drawn) == 1
