import numpy as np
import pytest

from core.data import instruments, phrases, synth
from core.errors import RavelError

SETTING = instruments.Setting(
    0, "tinysoundfont", (str(synth.bundled_soundfont()),), noise=None, audio=False
)


@pytest.fixture(scope="module")
def store(tmp_path_factory, examples):
    return instruments.build(
        tmp_path_factory.mktemp("corpus") / "store",
        count=40,
        validation=0.25,
        synthesiser="tinysoundfont",
        real=examples,
        real_copies=2,
        workers=1,
        progress=False,
    )


def test_it_has_eight_instruments_or_more_in_equal_parts():
    jobs = instruments.draw(instruments.INSTRUMENTS, 1000, 0.1, 0)
    played = [job.instrument for job in jobs if job.split != "counterfactual"]
    assert len(set(played)) >= 8
    assert max(map(played.count, set(played))) - min(map(played.count, set(played))) <= 1


def test_a_counterfactual_is_the_same_phrase_by_another_instrument(store):
    labels = store.labels
    held_out = {labels["melody"][i]: i for i in store.indices("validation")}
    again = store.indices("counterfactual")
    assert len(again) == 10
    for i in again:
        original = held_out[labels["melody"][i]]
        assert labels["instrument"][i] != labels["instrument"][original]
        assert labels["soundfont"][i] == labels["soundfont"][original]


def test_every_counterfactual_pair_has_notes_that_both_can_play():
    pairs = [
        job for job in instruments.draw(instruments.INSTRUMENTS, 400, 1 - 1e-9, 0) if job.partner
    ]
    for job in pairs:
        both = [synth.instrument(name) for name in (job.instrument, job.partner)]
        low, high = instruments._range(job.instrument, job.partner)
        notes = phrases.draw(np.random.default_rng(job.index), low, high, 5.0).notes
        assert all(one.low <= note.pitch <= one.high for note in notes for one in both)


def test_recordings_are_copied_into_train_and_left_alone_in_validation(store):
    real = store.labels["source"] == "real"
    held_out = store.labels["name"][real & (store.labels["split"] == "validation")]
    trained = store.labels["name"][real & (store.labels["split"] == "train")]
    assert len(held_out) and all(name.endswith("-0") for name in held_out)
    stems = {name.rsplit("-", 1)[0] for name in trained}
    assert len(trained) == 2 * len(stems)
    assert not stems & {name.rsplit("-", 1)[0] for name in held_out}
    assert {"Violin", "Trumpet"} <= set(store.labels["instrument"][real])


def test_clips_are_finite_and_unlike_each_other(store):
    mels = [store.log_mel[i, :n].astype(np.float32) for i, n in enumerate(store.lengths)]
    assert all(np.isfinite(mel).all() and mel.std() > 0.5 for mel in mels)
    assert len({mel.tobytes() for mel in mels}) == len(mels)


def test_the_same_number_gives_the_same_clip_and_another_seed_another():
    job = instruments.Rendered(7, "train", "Oboe")
    first, again = (instruments._rendered(SETTING, job).wave for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = instruments._rendered(SETTING._replace(seed=1), job).wave
    assert np.abs(other - first).max() > 0.1


def test_impossible_choices_are_refused(tmp_path):
    def build(**wrong):
        instruments.build(tmp_path / "store", progress=False, **wrong)

    with pytest.raises(RavelError, match="two instruments or more"):
        build(instruments=["Violin"])
    with pytest.raises(RavelError, match="There is no instrument 'Kazoo'"):
        build(instruments=["Violin", "Kazoo"])
    with pytest.raises(RavelError, match="is not a folder"):
        build(real=tmp_path / "none")
    with pytest.raises(RavelError, match="does not exist"):
        build(soundfonts=["none.sf2"])
    assert not (tmp_path / "store").exists()
