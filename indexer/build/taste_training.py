"""Interactions and meaning vectors to a taste model, saved in the working folder.

A build with `since="last"` keeps the settings that the live snapshot was tuned to, and only fits
the model again with them, until there are twice as many interactions as the tuning had.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from indexer.arrays import Vectors
from indexer.build.context import BuildContext
from indexer.build.options import BuildOptions
from indexer.build.parent_snapshot import ParentSnapshot
from indexer.build.raw_vectors import EncodedCatalogue
from indexer.errors import SnapshotError
from indexer.snapshot import Times
from indexer.taste import (
    Events,
    TasteModel,
    TasteSettings,
    build_events,
    fit_taste,
    load_settings,
    refit_taste,
)

RETUNE_GROWTH = 2  # times the interactions of the last tuning: then taste is tuned anew


@dataclass(frozen=True, slots=True)
class EarlierTuning:
    """The settings that a snapshot was tuned to.

    Attributes:
        snapshot_id: The snapshot.
        settings: Its settings.
        tuned_on_count: Number of interactions that they were tuned on.
    """

    snapshot_id: str
    settings: TasteSettings
    tuned_on_count: int


@dataclass(frozen=True, slots=True)
class LearnedTaste:
    """What a build learned from interactions.

    Attributes:
        model: The taste model.
        report: For `report.json`: the model's report and how the encoder's tuning ended.
        kept_settings: Settings taken over from the live snapshot; None: tuned in this build.
    """

    model: TasteModel
    report: dict[str, Any]
    kept_settings: TasteSettings | None


def learn_taste(
    context: BuildContext, catalogue: EncodedCatalogue, ids: Sequence[str], arrivals: Times
) -> LearnedTaste:
    """Fit a taste model on the build's interactions and save it as `taste/`.

    Args:
        context: Of the build.
        catalogue: The items as the build's encoder sees them.
        ids: `n` item ids, by row.
        arrivals: `(n,)`, when each item arrived.
    """
    context.report("learn", 0, 0)
    interaction_count = len(context.interactions)
    meaning = catalogue.compute_meaning()
    earlier = find_earlier_tuning(context.options, context.parent, interaction_count)
    events = build_events(context.interactions, ids, context.event_weights, arrivals=arrivals)
    model = _fit(context, events, (ids, meaning), earlier)
    folder = context.work / "taste"
    folder.mkdir()
    model.save(folder)
    report = dict(model.report)
    if context.encoder_report:
        report["encoder"] = context.encoder_report
    context.report("learn", 1, 1)
    return LearnedTaste(model, report, earlier.settings if earlier else None)


def _fit(
    context: BuildContext,
    events: Events,
    items: tuple[Sequence[str], Vectors],
    earlier: EarlierTuning | None,
) -> TasteModel:
    """Tune and fit, or only fit with earlier settings; the model's report says which."""
    started = time.process_time()
    ids, meaning = items
    if earlier is None:
        model = fit_taste(
            events,
            ids,
            meaning,
            progress=lambda step: context.report(f"learn: {step}", 0, 0),
            trials_path=context.trials_file,
        )
        extra_report: dict[str, Any] = {"tuned_from": model.report["events"]}
    else:
        model = refit_taste(events, ids, meaning, settings=earlier.settings)
        extra_report = {"tuned_from": earlier.tuned_on_count, "settings_of": earlier.snapshot_id}
    extra_report["fit_cpu_s"] = round(time.process_time() - started, 2)
    return replace(model, report={**model.report, **extra_report})


def find_earlier_tuning(
    options: BuildOptions, parent: ParentSnapshot, interaction_count: int
) -> EarlierTuning | None:
    """Return the live snapshot's settings, if a build is to keep them.

    None with `force_full`, without `since="last"`, if the live snapshot has learned nothing or is
    damaged, and from `RETUNE_GROWTH` times the interactions that it was tuned on.
    """
    if options.since is None or options.force_full or parent.id is None or not parent.manifest:
        return None
    if not parent.manifest.learned:
        return None
    try:
        report = json.loads((parent.folder / "report.json").read_text(encoding="utf-8"))
        learned = report["learned"]
        tuning = EarlierTuning(
            parent.id,
            load_settings(parent.folder / "taste"),
            int(learned.get("tuned_from", learned["events"])),
        )
    except (SnapshotError, OSError, ValueError, LookupError, TypeError):
        return None  # damaged: it is tuned anew
    return tuning if interaction_count < RETUNE_GROWTH * tuning.tuned_on_count else None
