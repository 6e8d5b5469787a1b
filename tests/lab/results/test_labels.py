"""Settings of runs in words."""

from lab.results import labels


def test_settings_in_words():
    assert labels.value("views.pair", "mixture-channel") == "mixture vs channel"
    assert labels.value("views.separators", ["separator-scenes", "separator-scenes@0"]) == "S2 or N"
    assert labels.value("views.separators", ["random-filter"]) == "random filter"
    assert labels.value("objective.coincidence", 1.0) == "joint (SM + CP)"
    assert labels.setting("objective.v_gswap") == "Weight: v, global swap"
    assert labels.phrase("objective.v_gswap", 0.5) == "v, global swap × 0.5"
    assert labels.phrase("model.embedding", 1024) == "1,024 dimensions"
    assert labels.setting("training.learning_rate") == "Learning rate"
