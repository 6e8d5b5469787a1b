import numpy as np
import pytest

from core.dsae.evaluation import matched_pitch

BANDS, FRAMES = 20, 40


def clip(bump: int, pitch: int, rng: np.random.Generator, level: float = 0.0) -> np.ndarray:
    """A log-mel whose timbre is a bump at a band, and whose pitch is a peak at another."""
    spectrum = np.zeros(BANDS)
    spectrum[bump] += 3.0
    spectrum[pitch % 10] += 5.0
    return level + spectrum + rng.normal(0, 0.3, (FRAMES, BANDS))


def corpus(plays: dict[str, tuple[int, list[int]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-mels, pitches and instruments: of each instrument its bump and the pitches it plays."""
    rng = np.random.default_rng(0)
    rows = [(name, bump, p) for name, (bump, pitches) in plays.items() for p in pitches]
    mels = np.stack([clip(bump, pitch, rng, level=rng.normal()) for _, bump, pitch in rows])
    midi = np.stack([np.full(FRAMES, float(pitch)) for *_, pitch in rows])
    return mels, midi, np.array([name for name, *_ in rows])


PLAYS = {"flute": (12, [60, 61, 62, 63]), "oboe": (16, [62, 63, 64, 65])}


def real() -> matched_pitch.Means:
    mels, midi, names = corpus(PLAYS)
    return matched_pitch.means(matched_pitch.frames(mels, midi, names, names))


def swaps(bump: int, source: str, target: str) -> matched_pitch.Frames:
    rng = np.random.default_rng(1)
    pitches = PLAYS[source][1]
    mels = np.stack([clip(bump, pitch, rng, level=-4.0) for pitch in pitches])
    midi = np.stack([np.full(FRAMES, float(pitch)) for pitch in pitches])
    count = len(pitches)
    return matched_pitch.frames(mels, midi, np.array([source] * count), np.array([target] * count))


def test_a_swap_with_the_targets_timbre_is_nearer_at_every_pitch_that_both_play() -> None:
    found = matched_pitch.compare(swaps(16, "flute", "oboe"), real())
    assert found.semitone == [62, 63]  # not 60 and 61, which the oboe never plays
    assert found.share()["value"] == 1.0
    assert found.by_instruments() == {"flute as oboe": 1.0}


def test_a_swap_that_keeps_the_sources_timbre_is_never_nearer_whatever_its_level() -> None:
    assert matched_pitch.compare(swaps(12, "flute", "oboe"), real()).share()["value"] == 0.0


def test_distances_are_those_of_plain_numpy() -> None:
    mels, midi, names = corpus(PLAYS)
    made = swaps(14, "flute", "oboe")  # between the two
    found = matched_pitch.compare(made, real())
    for note, nearer in zip(found.semitone, found.nearer, strict=True):
        of = {}
        for name in PLAYS:
            at = (names == name) & (midi[:, 0] == note)
            level = mels[at].mean(2, keepdims=True)
            of[name] = (mels[at] - level).mean((0, 1))
        mean = made.spectra[made.semitone == note].mean(0)
        distance = {name: np.sqrt(((mean - of[name]) ** 2).sum()) for name in of}
        assert nearer == (distance["oboe"] < distance["flute"])


def test_semitones_with_few_frames_are_left_out() -> None:
    made = swaps(16, "flute", "oboe")
    few = made.semitone != 62
    few[np.flatnonzero(made.semitone == 62)[:5]] = True
    kept = matched_pitch.Frames(*(column[few] for column in made))
    assert matched_pitch.compare(kept, real()).semitone == [63]


def test_frames_without_a_pitch_are_left_out_and_noise_below_the_floor_is_cut() -> None:
    mels = np.zeros((1, 4, BANDS))
    mels[0, :, 0], mels[0, :, 1] = 2.0, -30.0
    midi = np.array([[60.2, np.nan, 60.4, 59.6]])
    found = matched_pitch.frames(mels, midi, np.array(["a"]), np.array(["b"]), floor=12.0)
    assert found.semitone.tolist() == [60, 60, 60]
    spectrum = np.zeros(BANDS)
    spectrum[:2] = 2.0, -10.0  # 12 below the peak of 2
    assert found.spectra[0] == pytest.approx(spectrum - spectrum.mean())


def test_originals_are_nearer_to_the_other_half_of_their_own_instrument() -> None:
    rng = np.random.default_rng(2)
    rows = [(n, b, p, half) for n, (b, ps) in PLAYS.items() for p in ps for half in "ab"]
    mels = np.stack([clip(bump, pitch, rng) for _, bump, pitch, _ in rows])
    midi = np.stack([np.full(FRAMES, float(pitch)) for *_, pitch, _ in rows])
    names = np.array([row[0] for row in rows])
    halves = matched_pitch.halves(np.array([r[0] + r[3] for r in rows]), midi, names)
    of = matched_pitch.frames(mels, midi, names, names)
    found = matched_pitch.of_itself(of, halves, of)
    assert found.share()["value"] == 1.0
    assert len(found.nearer) == 2 * 2 * 2  # instruments, shared semitones, halves
    strange = of._replace(spectra=rng.normal(size=of.spectra.shape))
    assert matched_pitch.of_itself(strange, halves, of).share()["value"] < 1.0


def test_no_shared_pitch_gives_no_score() -> None:
    apart = {"flute": (12, [60, 61]), "oboe": (16, [70])}
    mels, midi, names = corpus(apart)
    of = matched_pitch.frames(mels, midi, names, names)
    found = matched_pitch.compare(swaps(16, "flute", "oboe"), matched_pitch.means(of))
    assert found.share() == {}
