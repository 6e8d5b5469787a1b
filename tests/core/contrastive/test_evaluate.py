"""What embeddings are scored by: against scikit-learn, closed forms and answers that are known."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from core import statistics
from core.contrastive import evaluate
from core.contrastive.evaluate import Embedded, Labels, labels_of, measure
from core.data.store import Chunk, StoreWriter
from core.errors import RavelError


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 60)
    monkeypatch.setattr(evaluate, "EPOCHS", 12)


def rng(seed=0):
    return np.random.default_rng(seed)


# Average precision


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_scikit_learns(ties):
    scores = rng().standard_normal((60, 7))
    scores = np.round(scores, 0) if ties else scores
    truth = rng(1).random((60, 7)) < 0.3
    found = evaluate.average_precision(scores, truth)
    expected = [average_precision_score(truth[:, c], scores[:, c]) for c in range(7)]
    assert np.allclose(found, expected)


def test_a_class_without_positives_has_no_precision():
    truth = np.array([[True, False], [False, False]])
    found = evaluate.average_precision(np.ones((2, 2)), truth)
    assert found[0] == 0.5 and np.isnan(found[1])


# Query by example


def test_the_papers_hundred_of_each_give_4950_and_10000_pairs():
    clips, truth = rng().standard_normal((400, 8)), np.zeros((400, 1), bool)
    truth[:150] = True
    precision, chance = evaluate.query_by_example(clips, truth)
    assert chance.tolist() == [4950 / 14_950]  # 0.331
    assert precision[0] == pytest.approx(chance[0], abs=0.03)


def test_embeddings_that_know_nothing_are_found_by_chance():
    truth = np.arange(300)[:, None] % 30 == np.arange(30)
    precision, chance = evaluate.query_by_example(rng().standard_normal((300, 64)), truth)
    assert np.allclose(chance, 45 / (45 + 1000))
    assert precision.mean() == pytest.approx(chance.mean(), abs=0.02)
    same, _ = evaluate.query_by_example(np.ones((300, 4)), truth)
    assert np.allclose(same, chance)  # all pairs tied


def test_retrieval_is_by_the_angle_and_against_a_slow_loop():
    clips = rng().standard_normal((25, 5)) * rng(1).uniform(0.1, 10, (25, 1))
    truth = np.arange(25)[:, None] % 3 == np.arange(3)
    precision, _ = evaluate.query_by_example(clips, truth)
    for c in range(3):
        inside, outside = np.flatnonzero(truth[:, c]), np.flatnonzero(~truth[:, c])
        scores, wanted = [], []
        for i in inside:
            for j in (*inside[inside > i], *outside):
                cosine = clips[i] @ clips[j] / np.linalg.norm(clips[i]) / np.linalg.norm(clips[j])
                scores.append(cosine)
                wanted.append(j in inside)
        assert precision[c] == pytest.approx(average_precision_score(wanted, scores))


def test_classes_that_no_pair_can_be_made_of_are_left_out():
    truth = np.zeros((10, 3), bool)
    truth[:4, 0], truth[4, 1], truth[:, 2] = True, True, True
    precision, _ = evaluate.query_by_example(rng().standard_normal((10, 4)), truth)
    assert len(precision) == 1
    with pytest.raises(RavelError, match="No class has two"):
        evaluate.query_by_example(rng().standard_normal((10, 4)), truth[:, 1:2])


# A whole corpus: patches around a mean for each class


def corpus(apart, classes=5, clips=100, patches=3, seed=0):
    """Embeddings of `patches` patches a clip; classes are `apart` deviations apart."""
    drawn = rng(seed)
    of = np.arange(clips) % classes
    centres = apart * drawn.standard_normal((classes, 16))
    owner = np.repeat(np.arange(clips), patches)
    x = centres[of[owner]] + drawn.standard_normal((len(owner), 16))
    labels = Labels([str(c) for c in range(classes)], of[:, None] == np.arange(classes), True)
    return Embedded(x, owner), labels, np.arange(clips // 2), np.arange(clips // 2, clips)


def test_a_clips_embedding_is_the_mean_of_its_patches():
    embedded, *_ = corpus(1.0)
    assert np.allclose(embedded.clips[7], embedded.patches[21:24].mean(axis=0), atol=1e-6)


def test_separable_classes_score_high_and_noise_at_chance():
    good = measure(*corpus(3.0))
    none = measure(*corpus(0.0))
    for name in ("accuracy", "map", "qbe_map", "knn_accuracy", "three_shot"):
        assert good[name]["value"] > 0.95, name
        assert none[name]["value"] < 0.45, name
        assert none[name]["low"] <= none[name]["value"] <= none[name]["high"]
    assert none["three_shot"]["value"] == pytest.approx(0.2, abs=0.1)


def test_the_scale_and_the_offset_of_an_embedding_do_not_matter_to_the_network():
    embedded, labels, train, test = corpus(0.5)
    moved = Embedded(1e-3 * embedded.patches + 5, embedded.owner)
    one = evaluate.shallow(embedded, labels, train, test)
    assert np.allclose(one, evaluate.shallow(moved, labels, train, test), atol=0.02)


def test_a_network_is_a_function_of_its_seed_and_scores_are_chances():
    embedded, labels, train, test = corpus(0.5)
    one, again, other = (evaluate.shallow(embedded, labels, train, test, s) for s in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert np.allclose(one.sum(axis=1), 1, atol=1e-5)
    shuffled = rng().permutation(test)
    order = np.argsort(shuffled)
    assert np.allclose(evaluate.shallow(embedded, labels, train, shuffled)[order], one, atol=1e-6)


def test_the_network_never_sees_the_labels_it_is_tested_on():
    embedded, labels, train, test = corpus(0.5)
    lies = labels.truth.copy()
    lies[test] = rng().permutation(lies[test])
    one = evaluate.shallow(embedded, labels, train, test)
    assert np.array_equal(one, evaluate.shallow(embedded, labels._replace(truth=lies), train, test))


def test_clips_of_several_labels_have_a_map_but_no_accuracy():
    embedded, labels, train, test = corpus(3.0)
    several = labels.truth | np.roll(labels.truth, 1, axis=1)
    found = measure(embedded, Labels(labels.names, several, False), train, test)
    assert set(found) == {"map", "qbe_map"}
    assert found["map"]["value"] > 0.9


def test_each_fold_is_left_out_once():
    embedded, labels, train, test = corpus(3.0)
    folds = np.array(["1", "2", "3", "4"])[np.arange(100) % 4]
    found = measure(embedded, labels, train, test, folds)
    assert found["folds_accuracy"]["value"] > 0.95
    shifted = Embedded(embedded.patches.copy(), embedded.owner)
    alien = folds[shifted.owner] == "3"  # one fold is nothing like the others
    shifted.patches[alien] = rng(9).standard_normal((alien.sum(), 16))
    right = evaluate.by_folds(shifted, labels, folds)
    assert right[folds == "3"].mean() < 0.6 < right[folds != "3"].mean()


def test_few_shots_take_training_clips_alone():
    clips = np.vstack([np.eye(2)[np.arange(8) % 2], np.eye(2)[(np.arange(8) + 1) % 2]])
    of = np.arange(16) % 2  # the held-out half has its classes the wrong way round
    found = evaluate.few_shot(clips, of, np.arange(8), np.arange(8, 16))
    assert found.tolist() == [0.0] * 8
    assert evaluate.few_shot(clips, of, np.arange(4), np.arange(8)).tolist() == [0.0] * 8


# Labels


def store(folder, **columns):
    count = len(next(iter(columns.values())))
    rows = [
        {"name": str(i), "split": "train", **{k: v[i] for k, v in columns.items()}}
        for i in range(count)
    ]
    writer = StoreWriter(folder, kind="t", settings={}, chunks=1)
    writer.write(0, Chunk(rows, [np.zeros((2, 80))] * count))
    return writer.finish()


def test_labels_are_one_a_clip_or_joined_by_commas_as_in_fsd50k(tmp_path):
    found = labels_of(store(tmp_path / "a", label=["dog, old", "cat", "dog, old"]))
    assert found.names == ["cat", "dog, old"] and found.single
    assert found.truth.tolist() == [[False, True], [True, False], [False, True]]
    found = labels_of(store(tmp_path / "b", labels=["Bark,Dog", "Rain", "Dog, Rain", ""]))
    assert found.names == ["Bark", "Dog", "Rain"] and not found.single
    assert found.truth.sum(axis=1).tolist() == [2, 1, 2, 0]


def test_a_store_without_classes_is_refused(tmp_path):
    with pytest.raises(RavelError, match="no column 'label' or 'labels'"):
        labels_of(store(tmp_path / "a", other=["x", "y"]))
    with pytest.raises(RavelError, match="fewer than two classes"):
        labels_of(store(tmp_path / "b", label=["x", "x"]))
