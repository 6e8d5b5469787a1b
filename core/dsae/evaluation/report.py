"""Scores of checkpoints on a feature store and on real recordings, printed and kept."""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from core.audio import pitch, vggish
from core.audio.clip import Clip
from core.audio.mel import log_mel
from core.checkpoints.card import compared, record_scores, shown
from core.data import folder
from core.data.store import FeatureStore
from core.dsae.card import MEANINGS
from core.dsae.evaluation import recordings
from core.dsae.evaluation import scores as measures
from core.dsae.evaluation.classifier import Classifier
from core.dsae.evaluation.pitch_accuracy import Listener, Originals
from core.dsae.latents import load
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.training.distributed import pick_device
from core.vocoder.play import PAPER, check_route, play

LABELS = ("violin", "trumpet")
WIDTH = max(map(len, MEANINGS.values()))
MOST = 200  # clips of each instrument and kind that the judges take from a store


class Hearing(NamedTuple):
    """What is heard of a store: how many validation clips, nothing at 0; how many draws from the
    prior; CREPE's capacity (none: full on a GPU, else tiny); the way from log-mels to sound;
    whether VGGish embeds them too, and its weights' file, if they are not to be fetched."""

    melodies: int = 100
    draws: int = 0
    crepe: pitch.Capacity | None = None
    route: str = PAPER
    vggish: bool = False
    weights: str | None = None


def evaluate(names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
    """Score disentangling models on a store, on real recordings, or on both, as `options` says."""
    if options.data:
        hearing = Hearing(
            options.melodies,
            options.draws,
            options.crepe,
            options.route or PAPER,
            options.fad == "vggish" or bool(options.vggish),
            options.vggish,
        )
        on_store(names, options.data, say, hearing)
    if options.real:
        on_recordings(names, options.real, options.judge, options.most, say, options.route)


def on_store(names: Sequence[str], path: str, say: Say, hearing: Hearing | None = None) -> None:
    """Score checkpoints on a store's validation split; write each one's metrics.json and card.

    What does not depend on the model, the originals' sound and the judges, is done once. Raises
    RavelError for a store that lacks the label of a model's v, or one of the two splits.
    """
    device, hearing = pick_device("auto"), hearing or Hearing()
    store, models = FeatureStore.open(path), [load(name, str(device)) for name in names]
    for model in models:
        measures.check(store, model.config.data.factor)
    originals = listen(store, hearing, device, say)
    for model in models:
        clips, factor = len(store.indices("validation")), model.config.data.factor
        say(f"scoring {model.name} on {clips:,} validation clips of {store.path.name}")
        scores = measures.score(
            model.model,
            store,
            factor,
            judges=_judges(_Stamped.of(store), factor),
            originals=originals,
            draws=hearing.draws,
            device=device,
        )
        record_scores(model.checkpoint, store.path.name, scores)
        say(f"\n{model.name} on {store.path.name}")
        for name, value in scores.items():
            say(f"  {MEANINGS.get(name, name):<{WIDTH}} {shown(value)}")


def listen(
    store: FeatureStore, hearing: Hearing, device: torch.device, say: Say
) -> Originals | None:
    """The originals as they are heard; None if nothing is to be heard. Raises RavelError."""
    if hearing.melodies < 0 or hearing.melodies == 1:
        raise RavelError(
            f"--melodies {hearing.melodies} is no number of clips to listen to: give 2 or more, or "
            "0 for none."
        )
    if hearing.draws < 0 or hearing.draws == 1:
        raise RavelError(
            f"--draws {hearing.draws} is no number of draws to listen to: give 2 or more, or 0 for "
            "none."
        )
    if not hearing.melodies:
        return None
    return _originals(_Stamped.of(store), hearing, device, say)


class _Stamped(NamedTuple):
    """A store's folder and when it was made: whoever scores run after run does what depends on the
    store alone once."""

    path: Path
    made: int

    @classmethod
    def of(cls, store: FeatureStore) -> "_Stamped":
        return cls(store.path.resolve(), (store.path / "store.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _judges(stamped: _Stamped, factor: str) -> measures.Judges:
    return measures.make_judges(FeatureStore.open(stamped.path), factor)


@lru_cache(maxsize=1)
def _originals(stamped: _Stamped, hearing: Hearing, device: torch.device, say: Say) -> Originals:
    store = FeatureStore.open(stamped.path)
    embedding = vggish.load(hearing.weights, device) if hearing.vggish else None
    capacity = hearing.crepe or ("tiny" if device.type == "cpu" else "full")
    listener = Listener(capacity, hearing.route, embedding, device)
    count = min(hearing.melodies, len(store.indices("validation")))
    say(f"listening to {count:,} validation clips of {store.path.name} by CREPE {capacity}")
    return Originals(store, count, listener)


def on_recordings(
    names: Sequence[str],
    folders: Sequence[str],
    learn_from: Sequence[str],
    most: int | None,
    say: Say,
    route: str | None = None,
) -> None:
    """Swap every violin with every trumpet of real recordings, both ways, and judge the sound.

    The judges learn from `learn_from`, audio folders and stores; `most` limits the recordings of
    each instrument; `route` is the way from log-mels to sound, by default the usual one.
    """
    route = check_route(route)
    models = [load(name) for name in names]
    clips = read_recordings(folders, most)
    real, rendered = read_learnt(learn_from)
    say(
        f"{len(clips)} recordings to swap; the judges learn from {len(real[0])} real clips (copies "
        f"included) and {len(rendered[0])} rendered ones"
    )
    originals = recordings.Originals(clips)
    both = (real[0] + rendered[0], real[1] + rendered[1])
    judges = {name: Classifier(*told) for name, told in (("judge", both), ("real_judge", real))}
    predictors = {name: partial(judge.predict, among=LABELS) for name, judge in judges.items()}
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        say(f"swapping by {model.name}")
        own = {"own_encoder": recordings.own_encoder(model, both, LABELS)}
        to_waveform = partial(play, route=route)
        scores = recordings.score_model(model, originals, own | predictors, to_waveform)
        found[model.name] = {"pairs": len(originals.pairs), "route": route, **scores}
        record_scores(model.checkpoint, "real recordings", found[model.name])
    say(f"\nreal recordings\n{compared(found, MEANINGS)}")


def read_recordings(folders: Sequence[str], most: int | None) -> list[Clip]:
    """The beginning of each violin and trumpet in audio folders, all cut to one length.

    At most four seconds of each recording, at most `most` recordings of each instrument.
    """
    files = [file for path in folders for file in folder.listing(path)]
    clips: list[Clip] = []
    for label in LABELS:
        of_label = [file for file in files if file.labels.get("instrument") == label]
        if not of_label:
            raise RavelError(
                f"There is no recording with the instrument '{label}' in {', '.join(folders)}: "
                "give folders whose metadata.csv has a column 'instrument'."
            )
        count = min(len(of_label), most or len(of_label))
        chosen = [of_label[i] for i in np.linspace(0, len(of_label) - 1, count).astype(int)]
        clips += [next(folder.segments(file)) for file in chosen]
    seconds = min(clip.seconds for clip in clips)
    return [clip.segment(0.0, seconds) for clip in clips]


def read_learnt(sources: Sequence[str]) -> tuple[recordings.Told, recordings.Told]:
    """What judges learn from: real recordings and rendered clips, of all instruments there are.

    Audio folders are real; the clips of a store are what its column `source` says, else rendered.
    """
    learnt: dict[str, recordings.Told] = {"real": ([], []), "rendered": ([], [])}
    for path in sources:
        if (Path(path) / "store.json").exists():
            _add_store(FeatureStore.open(path), learnt)
        else:
            for clip in folder.recordings(path):
                learnt["real"][0].append(log_mel(clip.wave).numpy())
                learnt["real"][1].append(clip.labels.get("instrument", "unknown").lower())
    real, rendered = learnt["real"], learnt["rendered"]
    if not set(LABELS) <= set(real[1]):
        raise RavelError(
            "The judges need real violins and trumpets to learn from, other ones than those that "
            "are swapped: give --judge FOLDER."
        )
    return real, rendered


def _add_store(store: FeatureStore, learnt: dict[str, recordings.Told]) -> None:
    instruments = np.char.lower(store.labels["instrument"])
    sources = store.labels.get("source", np.full(len(store), "rendered"))
    train = store.labels["split"] == "train"
    for source, (clips, labels) in learnt.items():
        for label in np.unique(instruments):
            rows = np.flatnonzero(train & (sources == source) & (instruments == label))
            for row in rows[:MOST]:
                clips.append(store.log_mel[row, : store.lengths[row]].astype("float32"))
                labels.append(str(label))
