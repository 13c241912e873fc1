"""A finished build and its exam to what the live snapshot answers, having seen no answer."""

from indexer.build import FinishedBuild
from indexer.errors import IndexerError
from indexer.evaluation import IndexAnswers, ask_index
from indexer.index import Index
from indexer.metrics import compute_metrics
from indexer.release.holdout import Holdout, split_holdout
from indexer.release.holdout_index import (
    HOLDOUT_FOLDER,
    load_meaning,
    open_holdout_index,
    read_catalogue_stats,
)
from indexer.snapshot import find_snapshot, read_manifest
from indexer.taste import refit_taste

_MAX_RECOGNITION_CASES = 300  # cases


def evaluate_live(candidate: FinishedBuild, holdout: Holdout) -> tuple[IndexAnswers | None, str]:
    """Ask the live snapshot; return its answers, if there are any, and what was asked in words."""
    if candidate.manifest.parent is None:
        return None, "There was no live snapshot to compare with."
    try:
        return _evaluate_as_is_or_refitted(candidate, holdout, candidate.manifest.parent)
    except IndexerError as error:
        return None, f"The live snapshot could not be compared with: {error}."


def measure_live_on_training_rows(
    candidate: FinishedBuild, learned_until: float | None
) -> float | None:
    """Ask the live snapshot about rows that it must have learned from; None if there are too few.

    What it learned from it has seen, so that it does better than at its release; unless these are
    other rows, whatever a comparison on the newest of them would say.
    """
    rows = candidate.interactions
    if learned_until is not None:
        rows = [row for row in rows if row.at is not None and row.at <= learned_until]
    holdout = split_holdout(
        rows, candidate.facts.ids, learned_until=None, max_cases=_MAX_RECOGNITION_CASES
    )
    if holdout is None:
        return None
    live = Index.open(candidate.root, snapshot_id=candidate.manifest.parent)
    try:
        return compute_metrics(ask_index(live, holdout.requests, holdout.targets).ranks).ndcg10
    finally:
        live.close()


def _evaluate_as_is_or_refitted(
    candidate: FinishedBuild, holdout: Holdout, live_id: str
) -> tuple[IndexAnswers, str]:
    live_fingerprint = read_manifest(find_snapshot(candidate.root, live_id)).encoder
    encoder = candidate.encoder if live_fingerprint == candidate.manifest.encoder else None
    live = Index.open(candidate.root, snapshot_id=live_id, encoder=encoder)
    try:
        if live.taste is None:
            note = "The live snapshot has learned nothing and was asked as it is."
            return ask_index(live, holdout.requests, holdout.targets), note
        if holdout.is_unseen_by_live:
            note = "The live snapshot learned from nothing of them and was asked as it is."
            return ask_index(live, holdout.requests, holdout.targets), note
        stats = read_catalogue_stats(live)
        model = refit_taste(
            holdout.training_rows, stats.ids, load_meaning(live.path), settings=live.taste.settings
        )
        folder = candidate.work / HOLDOUT_FOLDER / "live"
        with open_holdout_index(
            live.path, live.manifest, model, stats=stats, encoder=encoder, folder=folder
        ) as refitted:
            note = (
                "The live snapshot may have learned from them, so that its settings were fitted "
                "again on the interactions before."
            )
            return ask_index(refitted, holdout.requests, holdout.targets), note
    finally:
        live.close()
