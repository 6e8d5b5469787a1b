"""Checkpoints to and from the Hub, against a stand-in on loopback: whole, or a sentence."""

import contextlib
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.checkpoints import checkpoint, hub
from core.cli import main
from core.dsae import latents
from core.errors import RavelError
from tests.core.checkpoints.hub_server import TOKEN, Hub

REPO = "somebody/model"


@pytest.fixture
def there(monkeypatch, tmp_path):
    """The stand-in, which gets every request to the Hub; an empty cache; no user logged in."""
    from huggingface_hub import constants

    server = Hub()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda _: None)  # between attempts
    _point(monkeypatch, server.url)
    hub.fetch.cache_clear()
    yield server
    hub.fetch.cache_clear()
    server.close()


def _point(monkeypatch, url):
    from huggingface_hub import constants

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + template[template.index("/{repo_id}") :]
    )


def _unreachable(monkeypatch):
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    _point(monkeypatch, f"http://127.0.0.1:{port}")


def _files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def pushed(there, untrained):
    """The same, where a checkpoint is that has a snapshot, and files that must not be fetched."""
    files = _files(untrained)
    files["step_5.safetensors"] = files["model.safetensors"][:-1] + b"\1"
    files["pytorch_model.bin"] = pickle.dumps(print)
    files["evil.py"] = b"raise SystemExit"
    there.commit_id = there.put(REPO, files)
    return there


def test_a_model_is_loaded_by_its_hub_id_and_swaps_as_the_folder_does(pushed, untrained, examples):
    from core.audio.clip import read

    model, local = latents.load(REPO), latents.load(untrained)
    clip = read(examples / "violin-1.flac", duration=1.0)
    assert model.encode(clip).z.equal(local.encode(clip).z)
    assert model.name == "model"


def test_only_the_files_of_a_checkpoint_are_fetched(pushed):
    folder = checkpoint.find(REPO).path
    assert sorted(_files(folder)) == ["config.json", "model.safetensors", "step_5.safetensors"]
    assert not any("evil" in request or ".bin" in request for request in pushed.requests)


def test_a_snapshot_is_named_by_its_step(pushed):
    assert checkpoint.find(f"{REPO}@5").snapshots == [5]
    assert latents.load(f"{REPO}@5").name == "model@5"
    with pytest.raises(RavelError, match="no snapshot of step 7: it keeps 5"):
        checkpoint.find(f"{REPO}@7")


def test_a_revision_stays_what_it_was(pushed, untrained):
    files = _files(untrained)
    pushed.put(REPO, files | {"config.json": files["config.json"].replace(b" ", b"  ")})
    old, new = checkpoint.find(f"{REPO}@{pushed.commit_id}"), checkpoint.find(REPO)
    assert old.snapshots == [5] and new.snapshots == []
    assert old.digest != new.digest and old.config == new.config
    with pytest.raises(RavelError, match=r"has no revision 'v9'"):
        checkpoint.find(f"{REPO}@v9")


def test_a_copy_serves_while_the_hub_is_away(pushed, monkeypatch):
    folder = checkpoint.find(REPO).path
    hub.fetch.cache_clear()
    _unreachable(monkeypatch)
    assert checkpoint.find(REPO).path == folder
    hub.fetch.cache_clear()
    with pytest.raises(RavelError, match="connection to the Hub failed") as raised:
        checkpoint.find("somebody/else")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (401, "neither a folder .* nor a model of that name"),
        (403, "does not allow"),
        (404, "neither a folder"),
        (500, "reports an error"),
        (429, "reports an error"),
    ],
)
def test_a_refusal_by_the_hub_is_an_error_of_one_sentence(pushed, fault, words, capsys, tmp_path):
    pushed.faults[r"/api/models/"] = fault
    assert main(["hub", "pull", REPO, "--out", "mine"]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("python -m core: ")
    with pytest.raises(RavelError, match=words):
        hub.fetch(hub.HubId(REPO), checkpoint.check)
    assert not (tmp_path / "mine").exists()
    assert hub.cached(hub.HubId(REPO)) is None


def test_a_download_that_breaks_off_leaves_nothing_that_looks_whole(pushed, untrained, tmp_path):
    pushed.faults[r"GET .*/resolve/.*/model\.safetensors"] = "cut"
    with pytest.raises(RavelError, match="connection to the Hub failed"):
        checkpoint.find(REPO)
    assert hub.cached(hub.HubId(REPO)) is None
    assert main(["hub", "pull", REPO, "--out", "mine"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]
    pushed.faults.clear()
    whole = checkpoint.find(REPO).path / "model.safetensors"
    assert whole.read_bytes() == (untrained / "model.safetensors").read_bytes()


def test_an_update_that_breaks_off_leaves_the_copy_before_it(pushed, untrained, monkeypatch):
    before = checkpoint.find(REPO)
    files = _files(untrained)
    pushed.put(REPO, files | {"model.safetensors": b"\0" + files["model.safetensors"]})
    pushed.faults[r"GET .*/resolve/.*/model\.safetensors"] = "cut"
    hub.fetch.cache_clear()
    assert checkpoint.find(REPO).path == before.path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", None, "has no config.json"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("config.json", b"{}", "no system called 'none'"),
        ("config.json", b'{"system": "dsae", "model": {"hiden": 3}}', "hiden"),
        ("config.json", b'{"system": "dsae", "model": {"hidden": 60000}}', "does not fit"),
        ("config.json", b'{"system": "dsae", "model": {"hidden": 1000000000}}', "cannot be 10000"),
        ("config.json", b"[", "damaged config.json"),
        ("model.safetensors", pickle.dumps({"a": print}), "damaged"),
        ("step_5.safetensors", b"\xff" * 99, "step_5.safetensors is missing or damaged"),
    ],
)
def test_what_is_no_checkpoint_of_ours_is_refused(pushed, name, content, words):
    files = {k: v for k, v in pushed.files(REPO).items() if k != name}
    pushed.put(REPO, files | ({name: content} if content is not None else {}))
    with pytest.raises(RavelError, match=f"not a checkpoint that Ravel can use.*{words}"):
        checkpoint.find(REPO)


def test_local_names_are_never_looked_up_on_the_hub(pushed, tmp_path, untrained):
    shutil.copytree(untrained, tmp_path / "somebody" / "model")
    assert checkpoint.find(REPO).path.samefile(tmp_path / "somebody" / "model")
    for name in ("somebody/mistyped", tmp_path.joinpath("no/where"), "../a/b", "a/b/c", "nothing"):
        with pytest.raises(RavelError, match="no checkpoint called"):
            checkpoint.find(name)
    assert not pushed.requests


def test_scores_are_not_written_into_the_cache(pushed):
    with pytest.raises(RavelError, match=rf"hub pull {REPO} --out FOLDER"):
        checkpoint.find(REPO).write_metrics({"a": {}})
    assert main(["evaluate", REPO, "--data", "nowhere"]) == 2


def test_pull_makes_a_folder_of_ones_own(pushed, tmp_path, capsys):
    assert main(["hub", "pull", REPO, "--revision", pushed.commit_id, "--out", "mine"]) == 0
    assert f"{REPO}@{pushed.commit_id}: mine" in capsys.readouterr().out
    mine = checkpoint.find("mine")
    mine.write_metrics({"a": {"b": 1}})
    assert not any(path.is_symlink() for path in mine.path.iterdir())
    assert main(["hub", "pull", REPO, "--out", "mine"]) == 2
    assert "there already" in capsys.readouterr().err


# Pushing.


@pytest.fixture
def login(there, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return there


SHIPPED = "ts-dsae-instruments"


def test_a_checkpoint_goes_up_in_one_commit_and_comes_down_the_same(login, capsys):
    assert main(["hub", "push-checkpoint", SHIPPED, REPO]) == 0
    printed = capsys.readouterr()
    assert f"pushed to {login.url}/{REPO}" in printed.out
    assert TOKEN not in printed.out + printed.err
    assert len(login.repos["model", REPO]) == 2  # made, and this commit
    assert checkpoint.find(REPO).digest == checkpoint.find(SHIPPED).digest
    card = login.files(REPO)["README.md"].decode()
    assert f'load("{REPO}")' in card and f'load("{SHIPPED}")' not in card
    assert "recordings.csv" in login.files(REPO)


def test_pushed_again_it_is_the_new_one_whole_and_other_files_stay(login):
    assert main(["hub", "push-checkpoint", "separator-scenes", REPO]) == 0
    files = login.files(REPO)
    assert sum(name.startswith("step_") for name in files) == 3
    login.put(REPO, files | {"notes.txt": b"mine"})
    assert main(["hub", "push-checkpoint", SHIPPED, REPO]) == 0
    assert not any(name.startswith("step_") for name in login.files(REPO))
    assert login.files(REPO)["notes.txt"] == b"mine"


def test_what_holds_something_else_is_left_alone(login, capsys):
    login.put(REPO, {"weights.gguf": b"theirs", "README.md": b""})
    assert main(["hub", "push-checkpoint", SHIPPED, REPO]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert len(login.repos["model", REPO]) == 1


def test_a_dry_run_lists_files_and_asks_nothing(login, capsys):
    assert main(["hub", "push-checkpoint", SHIPPED, REPO, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "1,583,680  model.safetensors" in said
    assert "bytes in 6 files" in said and "a dry run" in said
    assert not login.requests


@pytest.mark.parametrize(
    ("where", "fault", "words"),
    [
        ("preupload", 403, "does not allow"),
        ("commit/main", 500, "reports an error"),
        ("commit/main", 413, "refused what was sent"),
    ],
)
def test_a_push_that_fails_changes_nothing(login, where, fault, words, capsys):
    before = {"config.json": b"{}", "README.md": b"---\n---\n"}
    login.put(REPO, before)
    login.faults[f"POST .*{where}"] = fault
    assert main(["hub", "push-checkpoint", SHIPPED, REPO]) == 2
    printed = capsys.readouterr()
    assert words in printed.err.strip().splitlines()[-1]
    assert TOKEN not in printed.out + printed.err
    assert login.files(REPO) == before


@pytest.mark.parametrize(("fault", "words"), [(401, "hf auth login"), (402, "your plan")])
def test_where_nothing_may_be_made_a_sentence_says_so(login, fault, words, capsys):
    login.faults["POST .*repos/create"] = fault
    assert main(["hub", "push-checkpoint", SHIPPED, REPO]) == 2
    assert words in capsys.readouterr().err
    assert not login.repos


def test_without_a_login_the_error_says_how_to_log_in(there, capsys):
    assert main(["hub", "push-checkpoint", SHIPPED, REPO]) == 2
    assert "hf auth login" in capsys.readouterr().err
    assert not there.repos


@pytest.mark.parametrize("name", ["model", "a/b/c", "/a/b", "a--b/c", "../b", "a/b@v1@5", "a b/c"])
def test_a_name_that_is_no_hub_id_is_refused(there, name, capsys):
    assert main(["hub", "push-checkpoint", SHIPPED, name]) == 2
    assert "OWNER/NAME" in capsys.readouterr().err
    assert not there.requests


def test_the_command_asks_where_hf_endpoint_points(pushed, tmp_path):
    environment = os.environ | {"HF_ENDPOINT": pushed.url, "HF_HOME": str(tmp_path / "home")}
    ended = subprocess.run(
        [sys.executable, "-m", "core", "hub", "pull", REPO],
        env=environment,
        cwd=checkpoint.SHIPPED.parent,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    folder = Path(ended.stdout.strip().removeprefix(f"{REPO}: "))
    assert json.loads((folder / "config.json").read_text())["system"] == "dsae"
