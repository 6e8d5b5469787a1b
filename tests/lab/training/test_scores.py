"""The table of scores of checkpoints."""

from core.checkpoints import checkpoint as checkpoints
from core.training import evaluation


def test_scores_with_baselines_have_a_column_for_each(tmp_path):
    from lab.training import scores

    checkpoint = checkpoints.write(tmp_path / "mine", {"system": "contrastive"}, {})
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    found = {"clips": 9, "encoder": {"map": interval}, "untrained": {"map": interval}}
    one = evaluation.Evaluation("done", checkpoint.path, "data/scenes", 0.0, "", scores=found)
    frame = scores.table({"mine": one})
    assert list(frame.columns) == [
        "mine on scenes",
        "mine on scenes: encoder",
        "mine on scenes: same encoder, untrained",
    ]
    assert frame.loc["held-out clips", "mine on scenes"] == "9"
