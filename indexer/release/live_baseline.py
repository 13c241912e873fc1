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


def evaluate_live(made: FinishedBuild, exam: Holdout) -> tuple[IndexAnswers | None, str]:
    """Ask the live snapshot; return its answers, if there are any, and what was asked in words."""
    if made.manifest.parent is None:
        return None, "There was no live snapshot to compare with."
    try:
        return _evaluate_as_is_or_refitted(made, exam, made.manifest.parent)
    except IndexerError as error:
        return None, f"The live snapshot could not be compared with: {error}."


def measure_live_on_training_rows(made: FinishedBuild, learned_until: float | None) -> float | None:
    """Ask the live snapshot about rows that it must have learned from; None if there are too few.

    What it learned from it has seen, so that it does better than at its release; unless these are
    other rows, whatever a comparison on the newest of them would say.
    """
    rows = made.interactions
    if learned_until is not None:
        rows = [row for row in rows if row.at is not None and row.at <= learned_until]
    exam = split_holdout(
        rows, made.facts.ids, learned_until=None, most_cases=_MAX_RECOGNITION_CASES
    )
    if exam is None:
        return None
    live = Index.open(made.root, snapshot_id=made.manifest.parent)
    try:
        return compute_metrics(ask_index(live, exam.requests, exam.targets).ranks).ndcg10
    finally:
        live.close()


def _evaluate_as_is_or_refitted(
    made: FinishedBuild, exam: Holdout, live_id: str
) -> tuple[IndexAnswers, str]:
    known = read_manifest(find_snapshot(made.root, live_id)).encoder
    encoder = made.encoder if known == made.manifest.encoder else None
    live = Index.open(made.root, snapshot_id=live_id, encoder=encoder)
    try:
        if live.taste is None:
            words = "The live snapshot has learned nothing and was asked as it is."
            return ask_index(live, exam.requests, exam.targets), words
        if exam.is_unseen_by_live:
            words = "The live snapshot learned from nothing of them and was asked as it is."
            return ask_index(live, exam.requests, exam.targets), words
        facts = read_catalogue_stats(live)
        model = refit_taste(
            exam.training_rows, facts.ids, load_meaning(live.path), settings=live.taste.settings
        )
        folder = made.work / HOLDOUT_FOLDER / "live"
        with open_holdout_index(
            live.path, live.manifest, model, facts=facts, encoder=encoder, folder=folder
        ) as again:
            words = (
                "The live snapshot may have learned from them, so that its settings were fitted "
                "again on the interactions before."
            )
            return ask_index(again, exam.requests, exam.targets), words
    finally:
        live.close()
