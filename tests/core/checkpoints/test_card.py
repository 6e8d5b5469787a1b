"""Several checkpoints' scores side by side."""

from core.checkpoints.card import compared

MEANINGS = {"mse": "error", "swap": "after a swap", "melody": "melody kept"}


def test_checkpoints_stand_side_by_side_in_the_words_of_their_cards():
    third = {"value": 1 / 3, "low": 0.2, "high": 0.5}
    found = {
        "one": {"mse": 2.0, "swap": {"melody": third}},
        "two": {"swap": {"melody": third, "judge": 1.0}, "leak": {}},
    }
    assert compared(found, MEANINGS).splitlines() == [
        "| what | one | two |",
        "| --- | --- | --- |",
        "| error | 2.000 |  |",
        "| after a swap: melody kept | 0.333 [0.200, 0.500] | 0.333 [0.200, 0.500] |",
        "| after a swap: judge |  | 1.000 |",
        "| leak |  |  |",
    ]
