"""A taste model and a holdout to its answers: scores of whole cases at once, not single requests.

What a request adds besides (the encoded words of a moment, several interests in one list) is the
same for every model that is compared, and would take a hundred times as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.evaluation import Cases, IndexAnswers
from indexer.metrics import ANSWER_LENGTH
from indexer.reading import Interaction
from indexer.release.holdout import Holdout
from indexer.taste import (
    Events,
    History,
    HoldoutCases,
    TasteModel,
    TasteSettings,
    build_events,
    judge_events,
    mark_undone,
    rank_cases,
)

_FIRST = 10
_NO_ROW = -1

Number = TypeVar("Number", np.float64, np.bool_)


@dataclass(frozen=True, slots=True)
class ModelCatalogue:
    """What a model recommends from.

    Attributes:
        ids: `n` item ids by row.
        meaning: `(n, d) float32`, meaning vectors.
        unavailable: `(m,) int64`, rows that are never recommended.
        rating_prior: `(n,) float32`, what is added to the scores if a model has no prior.
        arrivals: `(n,) float64`, when each item arrived, Unix seconds, NaN where that is unknown.
    """

    ids: Sequence[str]
    meaning: Vectors
    unavailable: NDArray[np.int64]
    rating_prior: NDArray[np.float32]
    arrivals: NDArray[np.float64]

    def build_events(self, rows: Sequence[Interaction], own_weights: Mapping[str, float]) -> Events:
        """Return interactions as events with the items of this catalogue."""
        return build_events(rows, self.ids, own_weights, arrivals=self.arrivals)

    def answer(self, model: TasteModel, holdout: Holdout) -> IndexAnswers:
        """Answer the cases of a holdout by a model of this catalogue.

        An item that this catalogue does not have is left out of histories and never found.
        """
        cases = holdout.cases
        rows = _find_rows(cases.log.item_ids, self.ids)
        target = rows[cases.target]
        known = target != _NO_ROW
        if not model.prior.any():
            model = replace(model, prior=self.rating_prior)
        ranked = rank_cases(
            model,
            self.meaning,
            _build_cases(cases, rows, model),
            repeats=cases.repeats,
            hidden_rows=self.unavailable,
            count=_FIRST,
        )
        ranks = ranked.ranks.astype(np.float64)
        is_listed = known & (ranks <= ANSWER_LENGTH) & ~np.isin(target, self.unavailable)
        listed = ~np.isnan(ranked.scores)
        top10 = [
            [self.ids[row] for row in own[is_own]]
            for own, is_own in zip(ranked.rows, listed, strict=True)
        ]
        return IndexAnswers(
            ranks=np.where(is_listed, ranks, np.inf),
            top10=top10,
            scores=_pad(ranked.scores.astype(np.float64), fill=np.nan),
            hit=_pad((ranked.rows == target[:, None]) & listed & is_listed[:, None], fill=False),
        )


def _pad(values: NDArray[Number], *, fill: float) -> NDArray[Number]:
    """Return values `(c, k)` widened to `(c, 10)`."""
    missing = _FIRST - values.shape[1]
    return np.pad(values, ((0, 0), (0, missing)), constant_values=fill)


def _find_rows(item_ids: Sequence[str], ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the row of each item of a log, `_NO_ROW` for those that are not in a catalogue."""
    rows = {item_id: row for row, item_id in enumerate(ids)}
    return np.array([rows.get(item_id, _NO_ROW) for item_id in item_ids], np.int64)


def _build_cases(cases: Cases, rows: NDArray[np.int64], model: TasteModel) -> HoldoutCases:
    """Return the cases with the rows, context words and likings of one model."""
    log, settings = cases.log, model.settings
    case = np.repeat(np.arange(len(cases)), [len(history) for history in cases.histories])
    entry = np.concatenate([np.zeros(0, np.int64), *cases.histories])
    known = rows[log.item[entry]] != _NO_ROW
    case, entry = case[known], entry[known]
    pair = case * len(log.item_ids) + log.item[entry]
    stands = ~mark_undone([log.event[row] for row in entry.tolist()], pair)
    case, entry = case[stands], entry[stands]
    reactions = judge_events(
        [log.event[row] for row in entry.tolist()], log.value[entry], settings.scale, case
    )
    return HoldoutCases(
        target=np.maximum(rows[cases.target], 0),
        user=cases.user,
        cold=cases.cold,
        new_user=cases.new_user,
        entry_case=case,
        history=History(
            row=rows[log.item[entry]],
            age=_compute_ages(case, log.step[entry]),
            liking=reactions.liking,
            strength=reactions.strength,
            context_match=_compute_context_matches(cases, case, entry, settings),
        ),
        context_rows=_find_context_rows(cases, model),
    )


def _compute_ages(case: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how many entries of the same case have a later step, `(h,)`; steps ascend in it."""
    if len(case) == 0:
        return np.zeros(0, np.float32)
    is_last = np.r_[(case[1:] != case[:-1]) | (step[1:] != step[:-1]), True]
    lasts = np.flatnonzero(is_last)
    last_of_step = lasts[np.searchsorted(lasts, np.arange(len(case)))]
    last_of_case = np.searchsorted(case, case, side="right") - 1
    return (last_of_case - last_of_step).astype(np.float32)


def _compute_context_matches(
    cases: Cases, case: NDArray[np.int64], entry: NDArray[np.int64], settings: TasteSettings
) -> NDArray[np.float32]:
    """Return the share of the words of each case's moment that an entry has too, `(h,)`."""
    if not settings.context:
        return np.zeros(len(entry), np.float32)
    contexts = cases.log.contexts
    now = [_select_words(contexts[row], settings) for row in cases.row.tolist()]
    return np.array(
        [
            _compute_share(now[number], contexts[row])
            for number, row in zip(case.tolist(), entry.tolist(), strict=True)
        ],
        np.float32,
    )


def _select_words(context: Mapping[str, str], settings: TasteSettings) -> dict[str, str]:
    return {column: word for column, word in context.items() if column in settings.context}


def _compute_share(now: Mapping[str, str], past: Mapping[str, str]) -> float:
    return sum(past.get(column) == word for column, word in now.items()) / max(len(now), 1)


def _find_context_rows(cases: Cases, model: TasteModel) -> NDArray[np.int64]:
    """Return the rows of the model's context directions for each case's moment, `(c, columns)`."""
    names = model.context_directions.names
    row_by_name = {name: row for row, name in enumerate(names)}
    columns = sorted({column for column, _ in names})
    contexts = [cases.log.contexts[row] for row in cases.row.tolist()]
    rows = [
        [row_by_name.get((column, context.get(column, "")), _NO_ROW) for column in columns]
        for context in contexts
    ]
    return np.array(rows, np.int64).reshape(len(cases), len(columns))
