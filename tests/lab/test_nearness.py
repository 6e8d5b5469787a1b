"""The distance of two sounds in words."""

import pytest

from lab.nearness import FAR, in_words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.001, "very close"), (0.05, "close"), (0.3, "somewhat alike"), (0.6, FAR)],
)
def test_distances_are_put_into_words_by_pairs_of_the_corpus(share, words):
    assert in_words(share) == words
