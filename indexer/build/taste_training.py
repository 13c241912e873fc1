"""Interactions to a taste model in a working folder: read, left out, fitted, saved."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.build.collector import REJECTED_FILE
from indexer.build.incremental_reuse import ParentSnapshot
from indexer.build.options import BuildOptions
from indexer.errors import CatalogError, SnapshotError
from indexer.reading import Interaction, Rejection, read_interactions, render_rejection
from indexer.taste import TasteModel, TasteSettings, load_settings

RETUNE_GROWTH = 2
_MIN_LIVE_EVENTS = 1_000  # fewer, and no file of interactions: there is nothing to learn yet


def has_training_data(options: BuildOptions) -> bool:
    """Whether a build has anything to learn from."""
    return options.interactions is not None or len(options.live_events) >= _MIN_LIVE_EVENTS


def read_training_data(
    options: BuildOptions, work: Path, counts: dict[str, int]
) -> list[Interaction]:
    """Return the good rows and the live events, without those of users who were erased.

    Args:
        options: Of the build.
        work: Working folder; bad rows are added to its rejected.jsonl.
        counts: What was read and rejected is counted here.

    Raises:
        CatalogError: If the source cannot be read or too many rows are bad.
    """
    rows: Sequence[Interaction] = ()
    if options.interactions is not None:
        rows = _read_good_rows(options.interactions, options, work, counts)
    is_erased = options.is_erased or (lambda _: False)
    interactions = [row for row in (*rows, *options.live_events) if not is_erased(row)]
    counts["interactions"] = len(interactions)
    return interactions


@dataclass(frozen=True, slots=True)
class EarlierTuning:
    """What an earlier build was tuned to.

    Attributes:
        snapshot_id: Its id.
        settings: The learned numbers.
        tuned_on_count: How many interactions they were tuned on.
    """

    snapshot_id: str
    settings: TasteSettings
    tuned_on_count: int


def find_earlier_tuning(
    options: BuildOptions, parent: ParentSnapshot, rows: int
) -> EarlierTuning | None:
    """Return what the live snapshot was tuned to, if a build is to go on from there.

    Once there are `RETUNE_GROWTH` times the interactions it was tuned on, they are worth tuning
    anew.
    """
    if options.since is None or options.force_full or parent.id is None or not parent.manifest:
        return None
    if not parent.manifest.learned:
        return None
    try:
        report = json.loads((parent.folder / "report.json").read_text(encoding="utf-8"))
        tuning = EarlierTuning(
            parent.id,
            load_settings(parent.folder / "taste"),
            int(_read_tuned_from(report["learned"])),
        )
    except (SnapshotError, OSError, ValueError, LookupError, TypeError):
        return None  # nothing to go on from: it is tuned anew
    return tuning if rows < RETUNE_GROWTH * tuning.tuned_on_count else None


def _read_tuned_from(learned: Mapping[str, Any]) -> Any:
    return learned.get("tuned_from", learned["events"])


@dataclass(frozen=True, slots=True)
class TasteTrainingData:
    """What is learned from.

    Attributes:
        interactions: All of them.
        ids: `n` ids of the catalogue.
        meaning: `(n, d) float32`, of unit length.
    """

    interactions: Sequence[Interaction]
    ids: Sequence[str]
    meaning: NDArray[np.float32]


def train_taste(
    lessons: TasteTrainingData,
    *,
    folder: Path,
    known: EarlierTuning | None,
    trials: Path,
    step: Callable[[str], None],
) -> TasteModel:
    """Fit taste, or count anew with settings that are known, and save it in a new folder.

    Args:
        lessons: What is learned from.
        folder: Must not exist.
        known: From an earlier build.
        trials: File that outlives a killed build; see `fit_taste`.
        step: Is told each step of the fit in a sentence.
    """
    from indexer.taste import fit_taste, refit_taste

    started = time.process_time()
    given = (lessons.interactions, lessons.ids, lessons.meaning)
    if known is None:
        model = fit_taste(*given, progress=step, trials_path=trials)
        extra_report: dict[str, Any] = {"tuned_from": model.report["events"]}
    else:
        model = refit_taste(*given, settings=known.settings)
        extra_report = {"tuned_from": known.tuned_on_count, "settings_of": known.snapshot_id}
    extra_report["fit_cpu_s"] = round(time.process_time() - started, 2)
    model = replace(model, report={**model.report, **extra_report})
    folder.mkdir()
    model.save(folder)
    return model


def _read_good_rows(
    source: str, options: BuildOptions, work: Path, counts: dict[str, int]
) -> list[Interaction]:
    interactions = []
    rows = read_interactions(
        source, context=options.context, mapping=options.fields, query=options.interactions_query
    )
    with (work / REJECTED_FILE).open("a", encoding="utf-8") as rejected:
        for row in rows:
            if isinstance(row, Rejection):
                counts["rejected_interactions"] += 1
                rejected.write(render_rejection(row) + "\n")
            else:
                interactions.append(row)
    bad = counts["rejected_interactions"]
    if bad > options.max_rejected * (bad + len(interactions)):
        raise CatalogError(
            f"{bad} of {bad + len(interactions)} rows of {source} are bad, more than the "
            f"{options.max_rejected:.2%} allowed; fix them or raise --max-rejected"
        )
    return interactions
