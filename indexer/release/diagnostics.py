"""Answers on a holdout to further figures: popularity bias, calibration, and simple peers."""

from typing import Any

import numpy as np

from indexer.evaluation import (
    NO_DECAY,
    POPULAR,
    POPULAR_RECENT,
    POSITIVE_EVENTS,
    Cases,
    IndexAnswers,
    ItemKnn,
    Part,
    PeerAnswers,
    TopItems,
    TrainingData,
    ask_peer,
    compute_metrics_by_slice,
)

_BINS = 10
_MAX_KNN_ROWS = 200_000  # item-kNN on more rows would take longer than the fit itself
_KNN_PARAMS = {
    "use": POSITIVE_EVENTS,
    "shrink": 20.0,
    "nearest": 200,
    "decay": 10.0,
    "aggregate": "sum",
    "own": 0.0,
}


def compute_release_metrics(answers: IndexAnswers | PeerAnswers, cases: Cases) -> dict[str, Any]:
    """Return the metrics of every slice, and `popularity_bias`."""
    metrics = compute_metrics_by_slice(answers.ranks, answers.top10, cases)
    return {**metrics, "popularity_bias": compute_popularity_bias(answers.top10, cases)}


def compute_popularity_bias(top10: TopItems, cases: Cases) -> dict[str, float]:
    """Return how popular the recommended items are, against the picked ones.

    An item's percentile of popularity is its rank by number of interactions in the fitted part,
    from 0 for the least to 1 for the most popular. Listed items that are no longer in the
    catalogue, as a live snapshot may have, are left out.

    Returns:
        `listed` and `picked`, mean percentiles; and `top_percent`, the share of the first ten
        places that the most popular hundredth of the catalogue takes.
    """
    log = cases.log
    counts = np.bincount(log.item[log.part < Part.TEST], minlength=len(log.item_ids))
    order = np.argsort(counts, kind="stable")
    percentile = np.empty(len(counts))
    percentile[order] = np.arange(len(counts)) / max(len(counts) - 1, 1)
    position_by_id = {item_id: position for position, item_id in enumerate(log.item_ids)}
    listed = (i if isinstance(i, int) else position_by_id.get(i) for row in top10 for i in row)
    listed_positions = np.array([position for position in listed if position is not None], int)
    is_popular = np.zeros(len(counts), bool)
    is_popular[order[-max(1, len(counts) // 100) :]] = True
    return {
        "listed": float(percentile[listed_positions].mean()) if len(listed_positions) else 0.0,
        "picked": float(percentile[cases.target].mean()),
        "top_percent": float(is_popular[listed_positions].mean()) if len(listed_positions) else 0.0,
    }


def compute_calibration(answers: IndexAnswers) -> list[dict[str, float]]:
    """Return how often places of a score are hits, from the lowest tenth of scores to the highest.

    Returns:
        For each tenth, the mean `score`, the share of `hits`, and the number of `places`.
    """
    known = ~np.isnan(answers.scores)
    score, hit = answers.scores[known], answers.hit[known]
    order = np.argsort(score, kind="stable")
    return [
        {"score": float(score[part].mean()), "hits": float(hit[part].mean()), "places": len(part)}
        for part in np.array_split(order, _BINS)
        if len(part)
    ]


def answer_with_peers(cases: Cases) -> dict[str, PeerAnswers]:
    """Return the answers of peers that are cheap to fit, with usual parameters, untuned."""
    training = TrainingData(
        log=cases.log,
        row_mask=cases.log.part < Part.TEST,
        vectors=np.zeros((len(cases.log.item_ids), 1), np.float32),
        repeats=cases.repeats,
        seed=0,
    )
    popular = POPULAR.fit(training, {"use": POSITIVE_EVENTS, "half_life": NO_DECAY})
    recent = POPULAR_RECENT.fit(training, {"use": POSITIVE_EVENTS, "half_life": 0.1})
    fallback = recent.counts / max(float(recent.counts.max()), 1e-9)
    answers = {
        "popular": ask_peer(popular, {}, cases, fallback),
        "popular_recent": ask_peer(recent, {}, cases, fallback),
    }
    if np.count_nonzero(training.row_mask) <= _MAX_KNN_ROWS:
        knn = ItemKnn(cases.repeats).fit(training, _KNN_PARAMS)
        answers["itemknn_decay"] = ask_peer(knn, _KNN_PARAMS, cases, fallback)
    return answers
