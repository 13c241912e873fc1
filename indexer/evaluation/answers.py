"""Requests and the items that were picked to ranks, asked of an index as any caller asks it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.answer import recommend_many
from indexer.metrics import find_rank
from indexer.query import Catalogue
from indexer.request import MAX_HISTORY_BATCH, parse_request

_BATCH_SIZE = 64  # requests of one call
_ANSWER_FIELDS = {"explain": False, "fields": ["id"]}


@dataclass(frozen=True, slots=True)
class IndexAnswers:
    """Answers of an index to `c` cases.

    Attributes:
        ranks: `(c,)` ranks of the picked items, from 1; infinite if not listed.
        top10: Ids of the first ten items of each list.
        scores: `(c, 10)` scores of these; NaN where a list is shorter.
        hit: `(c, 10) bool`, whether the item is the one picked.
    """

    ranks: NDArray[np.float64]
    top10: list[list[str]]
    scores: NDArray[np.float64]
    hit: NDArray[np.bool_]


def ask_index(
    index: Catalogue,
    requests: Sequence[Mapping[str, Any]],
    targets: Sequence[str],
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> IndexAnswers:
    """Answer each request and find the rank of its target.

    Args:
        index: An open index.
        requests: `c` bodies of POST /v1/recommend.
        targets: `c` ids of the picked items.
        progress: Called with the number of answers so far.
    """
    count = len(requests)
    ranks = np.full(count, np.inf)
    scores, hit = np.full((count, 10), np.nan), np.zeros((count, 10), bool)
    top10: list[list[str]] = []
    for start in range(0, count, _BATCH_SIZE):
        bodies = requests[start : start + _BATCH_SIZE]
        parsed = [
            parse_request(
                {**body, **_ANSWER_FIELDS}, max_history=MAX_HISTORY_BATCH, scenarios=index.scenarios
            )
            for body in bodies
        ]
        for case, answer in enumerate(recommend_many(index, parsed), start=start):
            ids_and_scores = [(item.id, item.score) for item in answer]
            ranks[case] = find_rank(ids_and_scores, targets[case])
            first = ids_and_scores[:10]
            top10.append([item_id for item_id, _ in first])
            scores[case, : len(first)] = [score for _, score in first]
            hit[case, : len(first)] = [item_id == targets[case] for item_id, _ in first]
        progress(min(start + _BATCH_SIZE, count))
    return IndexAnswers(ranks, top10, scores, hit)
