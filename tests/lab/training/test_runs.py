"""Runs by their names."""

import pytest

from core.errors import RavelError
from lab.training import runs


@pytest.mark.parametrize("name", ["../secret", "grid-x/..", ".evaluations", "a/b", ""])
def test_a_name_outside_the_runs_folder_is_refused(name, tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    monkeypatch.setattr(runs, "FOLDER", folder)
    for place in (tmp_path, folder, folder / ".evaluations"):
        place.mkdir(exist_ok=True)
        (place / "config.json").write_text("{}")
    with pytest.raises(RavelError, match="no run called"):
        runs.find(name)
