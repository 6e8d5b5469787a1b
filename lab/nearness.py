"""The distance of two sounds in words."""

WORDS = {0.01: "very close", 0.1: "close", 0.5: "somewhat alike"}
FAR = "no closer than most"


def in_words(nearer: float) -> str:
    """A distance in words, by the share of pairs of clips that are nearer to each other."""
    return next((word for share, word in WORDS.items() if nearer < share), FAR)
