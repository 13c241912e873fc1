"""A finished build and its exam to what the live snapshot answers, having seen no answer."""

from indexer.build import FinishedBuild
from indexer.errors import IndexerError
from indexer.evaluation import Asked, ask
from indexer.index import Index
from indexer.metrics import figures
from indexer.release.holdout import Exam, exam_of
from indexer.release.holdout_index import REHEARSAL, facts_of, meaning_of, rehearsed
from indexer.snapshot import read_manifest, snapshot_path
from indexer.taste import refit_taste

_MOST_RECOGNISED = 300  # cases


def answers_of_live(made: FinishedBuild, exam: Exam) -> tuple[Asked | None, str]:
    """Ask the live snapshot; return its answers, if there are any, and what was asked in words."""
    if made.manifest.parent is None:
        return None, "There was no live snapshot to compare with."
    try:
        return _asked_of_live(made, exam, made.manifest.parent)
    except IndexerError as error:
        return None, f"The live snapshot could not be compared with: {error}."


def recognised(made: FinishedBuild, learned_until: float | None) -> float | None:
    """Ask the live snapshot about rows that it must have learned from; None if there are too few.

    What it learned from it has seen, so that it does better than at its release; unless these are
    other rows, whatever a comparison on the newest of them would say.
    """
    rows = made.interactions
    if learned_until is not None:
        rows = [row for row in rows if row.at is not None and row.at <= learned_until]
    exam = exam_of(rows, made.facts.ids, learned_until=None, most_cases=_MOST_RECOGNISED)
    if exam is None:
        return None
    live = Index.open(made.root, snapshot_id=made.manifest.parent)
    try:
        return figures(ask(live, exam.requests, exam.targets).ranks).ndcg10
    finally:
        live.close()


def _asked_of_live(made: FinishedBuild, exam: Exam, live_id: str) -> tuple[Asked, str]:
    known = read_manifest(snapshot_path(made.root, live_id)).encoder
    encoder = made.encoder if known == made.manifest.encoder else None
    live = Index.open(made.root, snapshot_id=live_id, encoder=encoder)
    try:
        if live.taste is None:
            words = "The live snapshot has learned nothing and was asked as it is."
            return ask(live, exam.requests, exam.targets), words
        if exam.unseen_by_live:
            words = "The live snapshot learned from nothing of them and was asked as it is."
            return ask(live, exam.requests, exam.targets), words
        facts = facts_of(live)
        model = refit_taste(
            exam.before, facts.ids, meaning_of(live.path), settings=live.taste.settings
        )
        folder = made.work / REHEARSAL / "live"
        with rehearsed(
            live.path, live.manifest, model, facts=facts, encoder=encoder, folder=folder
        ) as again:
            words = (
                "The live snapshot may have learned from them, so that its settings were fitted "
                "again on the interactions before."
            )
            return ask(again, exam.requests, exam.targets), words
    finally:
        live.close()
