"""Clicks on the chart of results."""

from lab.results import dot_chart


def test_a_click_gives_the_run_of_its_dot_and_none_of_a_mean():
    def event(*points):
        return {"selection": {"points": list(points)}}

    assert dot_chart.clicked(event({"customdata": "a"}, {"customdata": ["b"]})) == "b"
    assert dot_chart.clicked(event({"x": 1})) is None
    assert dot_chart.clicked(event({"customdata": ""})) is None
