"""Scores checkpoints on a feature store or on real recordings, prints and records the scores."""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from core.audio import pitch, vggish
from core.audio.clip import Clip
from core.audio.mel import log_mel
from core.checkpoints.card import record_scores
from core.checkpoints.tables import aligned, comparison, format_score
from core.data import folder
from core.data.store import FeatureStore
from core.dsae.card import MEANINGS
from core.dsae.evaluation import recordings
from core.dsae.evaluation import scores as measures
from core.dsae.evaluation.classifier import Classifier
from core.dsae.evaluation.pitch_accuracy import Analyser, Originals
from core.dsae.evaluation.players_report import on_players
from core.dsae.latents import load
from core.errors import RavelError
from core.registry import EvaluationOptions, Say
from core.training.distributed import pick_device
from core.vocoder.play import PAPER, check_route, play

LABELS = ("violin", "trumpet")
MOST = 200  # clips of each instrument and source that classifiers take from a store


def evaluate(names: Sequence[str], options: EvaluationOptions, say: Say) -> None:
    """Score disentangling models on a store, real recordings or players, as `options` says."""
    if options.data:
        on_store(names, options.data, options, say)
    if options.real:
        on_recordings(names, options.real, options.judge, options.most, say, options.route)
    if options.players:
        on_players(names, options, say)


def on_store(names: Sequence[str], path: str, options: EvaluationOptions, say: Say) -> None:
    """Score checkpoints on a store's validation split; write each metrics.json and card.

    The originals' sound and the classifiers do not depend on the model and are computed once.
    Raises RavelError for a store that lacks the label of a model's v, or one of the two splits.
    """
    device = pick_device("auto")
    store, models = FeatureStore.open(path), [load(name, str(device)) for name in names]
    for model in models:
        measures.check(store, model.config.data.factor)
    for flag, count in (("--melodies", options.melodies), ("--draws", options.draws)):
        if count < 0 or count == 1:
            raise RavelError(f"{flag} cannot be {count}: give 2 or more, or 0 for none.")
    sound = SoundOptions.of(options) if options.melodies else None
    originals = _originals(_Version.of(store), sound, device, say) if sound else None
    for model in models:
        clips, factor = len(store.indices("validation")), model.config.data.factor
        say(f"scoring {model.name} on {clips:,} validation clips of {store.path.name}")
        scores = measures.score(
            model.model,
            store,
            factor,
            judges=_classifiers(_Version.of(store), factor),
            originals=originals,
            draws=options.draws,
            device=device,
        )
        record_scores(model.checkpoint, store.path.name, scores)
        say(f"\n{model.name} on {store.path.name}")
        say(aligned([[MEANINGS.get(k, k), format_score(score)] for k, score in scores.items()]))


class SoundOptions(NamedTuple):
    """How validation clips are turned into sound and analysed."""

    melodies: int  # number of clips
    crepe: pitch.Capacity | None  # None: full on a GPU, else tiny
    route: str  # from log-mels to sound
    vggish: bool  # whether VGGish embeds the sounds too
    weights: str | None  # VGGish's weights, if they are not to be downloaded

    @classmethod
    def of(cls, options: EvaluationOptions) -> "SoundOptions":
        """The part of the options that concerns sound."""
        use_vggish = options.fad == "vggish" or bool(options.vggish)
        route = options.route or PAPER
        return cls(options.melodies, options.crepe, route, use_vggish, options.vggish)


class _Version(NamedTuple):
    """A store's folder and when it was built: the key of what depends on the store alone, so that
    scoring several runs in one process computes it once."""

    path: Path
    built: int

    @classmethod
    def of(cls, store: FeatureStore) -> "_Version":
        return cls(store.path.resolve(), (store.path / "store.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _classifiers(version: _Version, factor: str) -> measures.Classifiers:
    return measures.make_classifiers(FeatureStore.open(version.path), factor)


@lru_cache(maxsize=1)
def _originals(version: _Version, sound: SoundOptions, device: torch.device, say: Say) -> Originals:
    store = FeatureStore.open(version.path)
    embedding = vggish.load(sound.weights, device) if sound.vggish else None
    capacity = sound.crepe or ("tiny" if device.type == "cpu" else "full")
    count = min(sound.melodies, len(store.indices("validation")))
    say(f"analysing {count:,} validation clips of {store.path.name} with CREPE {capacity}")
    return Originals(store, count, Analyser(capacity, sound.route, embedding, device))


def on_recordings(
    names: Sequence[str],
    folders: Sequence[str],
    train_on: Sequence[str],
    most: int | None,
    say: Say,
    route: str | None = None,
) -> None:
    """Swap every violin with every trumpet of real recordings, both ways, and score the sound.

    The classifiers are trained on `train_on`, audio folders and stores; `most` limits the
    recordings of each instrument; `route` is the route from log-mels to sound, see
    core.vocoder.play.
    """
    route = check_route(route)
    models = [load(name) for name in names]
    clips = read_recordings(folders, most)
    real, rendered = read_training_clips(train_on)
    say(
        f"{len(clips)} recordings to swap; classifiers are trained on {len(real[0])} real clips "
        f"(copies included) and {len(rendered[0])} rendered ones"
    )
    originals = recordings.Recordings(clips)
    both = (real[0] + rendered[0], real[1] + rendered[1])
    classifiers = {
        name: partial(Classifier(*clips_and_labels).predict, among=LABELS)
        for name, clips_and_labels in (("judge", both), ("real_judge", real))
    }
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        say(f"swapping by {model.name}")
        own = {"own_encoder": recordings.own_encoder(model, both, LABELS)}
        to_waveform = partial(play, route=route)
        scores = recordings.score_model(model, originals, own | classifiers, to_waveform)
        found[model.name] = {"pairs": len(originals.pairs), "route": route, **scores}
        record_scores(model.checkpoint, "real recordings", found[model.name])
    say(f"\nreal recordings\n{comparison(found, MEANINGS)}")


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


def read_training_clips(
    sources: Sequence[str],
) -> tuple[recordings.LabelledClips, recordings.LabelledClips]:
    """Training clips for classifiers: real recordings and rendered clips of all instruments.

    Audio folders count as real; a store's clips are what its column `source` says, else rendered.
    """
    found: dict[str, recordings.LabelledClips] = {"real": ([], []), "rendered": ([], [])}
    for path in sources:
        if (Path(path) / "store.json").exists():
            _add_store(FeatureStore.open(path), found)
        else:
            for clip in folder.recordings(path):
                found["real"][0].append(log_mel(clip.wave).numpy())
                found["real"][1].append(clip.labels.get("instrument", "unknown").lower())
    real, rendered = found["real"], found["rendered"]
    if not set(LABELS) <= set(real[1]):
        raise RavelError(
            "Classifiers need real violins and trumpets to train on, other than those that are "
            "swapped: give --judge FOLDER."
        )
    return real, rendered


def _add_store(store: FeatureStore, found: dict[str, recordings.LabelledClips]) -> None:
    instruments = np.char.lower(store.labels["instrument"])
    sources = store.labels.get("source", np.full(len(store), "rendered"))
    train = store.labels["split"] == "train"
    for source, (clips, labels) in found.items():
        for label in np.unique(instruments):
            rows = np.flatnonzero(train & (sources == source) & (instruments == label))
            for row in rows[:MOST]:
                clips.append(store.log_mel[row, : store.lengths[row]].astype("float32"))
                labels.append(str(label))
