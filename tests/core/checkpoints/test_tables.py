"""Scores as text: single ones, tables of a card, checkpoints side by side, a terminal's columns."""

from core.checkpoints.tables import aligned, comparison, format_score, score_table

MEANINGS = {"mse": "error", "swap": "after a swap", "melody": "melody kept"}


def test_checkpoints_stand_side_by_side_in_the_words_of_their_cards():
    third = {"value": 1 / 3, "low": 0.2, "high": 0.5}
    found = {
        "one": {"mse": 2.0, "swap": {"melody": third}},
        "two": {"swap": {"melody": third, "judge": 1.0}, "leak": {}},
    }
    assert comparison(found, MEANINGS).splitlines() == [
        "| what | one | two |",
        "| --- | --- | --- |",
        "| error | 2.000 |  |",
        "| after a swap: melody kept | 0.333 [0.200, 0.500] | 0.333 [0.200, 0.500] |",
        "| after a swap: judge |  | 1.000 |",
        "| leak |  |  |",
    ]


def test_a_card_has_single_scores_line_by_line_and_rows_side_by_side():
    third = {"value": 1 / 3, "low": 0.2, "high": 0.5}
    scores = {"mse": third, "clips": 5, "swap": {"melody": third}, "original": {"fad": 1.0}}
    assert score_table("store", scores, MEANINGS).splitlines() == [
        "",
        "**store**",
        "",
        "| what | value [95 % interval] |",
        "| --- | --- |",
        "| error | 0.333 [0.200, 0.500] |",
        "| clips | 5 |",
        "",
        "| what | after a swap | original |",
        "| --- | --- | --- |",
        "| melody kept | 0.333 [0.200, 0.500] |  |",
        "| fad |  | 1.000 |",
    ]


def test_columns_are_as_wide_as_their_widest_cell():
    assert aligned([["", "error"], ["a model", "1"]]) == "         error\na model  1"


def test_scores_have_the_number_of_digits_of_their_format():
    assert format_score({"value": 1, "low": 0.5, "high": 2}, digits=2) == "1.00 [0.50, 2.00]"
    assert format_score(None) == format_score({}) == ""
    assert (format_score(3), format_score("tiny"), format_score(0.5)) == ("3", "tiny", "0.500")


def test_lists_are_shown_by_their_large_numbers():
    assert format_score([0.001, 1.5, 0.25, 0.0]) == "1.50, 0.25, 2 below 0.01"
    assert format_score([0.5]) == "0.50"
    assert format_score([0.0, 0.0]) == "2 below 0.01"
