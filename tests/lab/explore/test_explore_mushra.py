"""MUSHRA on the Explore page, in process: choose, rate every trial, save, summarise."""

import pytest
from streamlit.testing.v1 import AppTest

from core.checkpoints import checkpoint as checkpoints
from core.listening import mushra
from tests.lab.conftest import APP


@pytest.fixture
def listening(untrained, monkeypatch) -> AppTest:
    monkeypatch.setattr(checkpoints, "SHIPPED", untrained)
    page = AppTest.from_file(APP, default_timeout=240).switch_page("lab/pages/explore.py")
    page.query_params["section"] = "Listen"
    page.query_params["listen_test"] = "MUSHRA"
    return page.run()


def test_a_listener_rates_every_trial_and_gets_figures_and_a_file(listening):
    page = listening
    assert not page.exception and not page.error
    assert len(page.multiselect(key="mushra_recordings").value) == 3
    two = page.multiselect(key="mushra_recordings").value[:2]
    page.multiselect(key="mushra_recordings").set_value(two).run()
    page.multiselect(key="mushra_renderings").set_value(["Griffin-Lim round trip"]).run()
    page.button(key="mushra_begin").click().run()
    for number in (1, 2):
        assert not page.exception and not page.error
        assert page.button(key="mushra_next").disabled  # nothing is rated yet
        order = page.session_state["mushra_test"].current.order
        assert set(order) == {mushra.REFERENCE, mushra.LOW_ANCHOR, "Griffin-Lim round trip"}
        for letter, condition in zip("ABC", order, strict=True):
            slider = page.slider(key=f"mushra_rating_{number}_{letter}")
            slider.set_value({mushra.REFERENCE: 100, mushra.LOW_ANCHOR: 15}.get(condition, 62))
        page.run()
        assert {"**A**", "**B**", "**C**"} == {one.label.split()[0] for one in page.slider}
        page.button(key="mushra_next").click().run()
    assert "passes post-screening" in " ".join(one.value for one in page.markdown)
    table = page.dataframe[0].value
    assert list(table["Rendering"]) == [
        mushra.REFERENCE, "Griffin-Lim round trip", mushra.LOW_ANCHOR,
    ]  # fmt: skip
    assert list(table["Mean"]) == [100, 62, 15]
    ratings = page.session_state["mushra_test"].to_csv()

    page.file_uploader(key="mushra_files_given").upload("mushra-1.csv", ratings).run()
    assert not page.error and len(page.dataframe) == 2
    page.file_uploader(key="mushra_files_given").upload("bad.csv", b"a,b\n1,2\n").run()
    assert "bad.csv has no ratings" in page.error[0].value
