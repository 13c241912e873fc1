"""Answers to an exam to figures beyond rank: popularity bias, and what a score promises."""

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
_MAX_KNN_ROWS = 200_000  # its strips of common users would take longer than the fit itself
_KNN_PARAMS = {"use": POSITIVE_EVENTS, "shrink": 20.0, "nearest": 200, "decay": 10.0, "aggregate": "sum",
        "own": 0.0}  # fmt: skip


def compute_release_metrics(answers: IndexAnswers | PeerAnswers, cases: Cases) -> dict[str, Any]:
    """Return the figures of every slice, and how popular what is listed is."""
    told = compute_metrics_by_slice(answers.ranks, answers.top10, cases)
    return {**told, "popularity_bias": compute_popularity_bias(answers.top10, cases)}


def compute_popularity_bias(top10: TopItems, cases: Cases) -> dict[str, float]:
    """Return where lists and picks stand among all items by popularity, 0 the least popular.

    `listed` and `picked` are mean percentiles; `top_percent` is the share of the places in lists
    that the most popular hundredth of the catalogue takes. A live snapshot may list items that have
    left the catalogue since; they count nowhere.
    """
    log = cases.log
    counts = np.bincount(log.item[log.part < Part.TEST], minlength=len(log.item_ids))
    order = np.argsort(counts, kind="stable")
    percentile = np.empty(len(counts))
    percentile[order] = np.arange(len(counts)) / max(len(counts) - 1, 1)
    places = {item_id: place for place, item_id in enumerate(log.item_ids)}
    found = (i if isinstance(i, int) else places.get(i) for row in top10 for i in row)
    listed = np.array([place for place in found if place is not None], int)
    head = np.zeros(len(counts), bool)
    head[order[-max(1, len(counts) // 100) :]] = True
    return {
        "listed": float(percentile[listed].mean()) if len(listed) else 0.0,
        "picked": float(percentile[cases.target].mean()),
        "top_percent": float(head[listed].mean()) if len(listed) else 0.0,
    }


def compute_calibration(asked: IndexAnswers) -> list[dict[str, float]]:
    """Return, for tenths of the listed places by score, the mean score and the share of hits."""
    known = ~np.isnan(asked.scores)
    score, hit = asked.scores[known], asked.hit[known]
    order = np.argsort(score, kind="stable")
    return [
        {"score": float(score[part].mean()), "hits": float(hit[part].mean()), "places": len(part)}
        for part in np.array_split(order, _BINS)
        if len(part)
    ]


def compute_peer_metrics(cases: Cases) -> dict[str, Any]:
    """Return the figures of peers that cost next to nothing, with usual knobs, untuned."""
    lesson = TrainingData(
        log=cases.log,
        row_mask=cases.log.part < Part.TEST,
        vectors=np.zeros((len(cases.log.item_ids), 1), np.float32),
        repeats=cases.repeats,
        seed=0,
    )
    popular = POPULAR.fit(lesson, {"use": POSITIVE_EVENTS, "half_life": NO_DECAY})
    recent = POPULAR_RECENT.fit(lesson, {"use": POSITIVE_EVENTS, "half_life": 0.1})
    fallback = recent.counts / max(float(recent.counts.max()), 1e-9)
    answers = {
        "popular": ask_peer(popular, {}, cases, fallback),
        "popular_recent": ask_peer(recent, {}, cases, fallback),
    }
    if np.count_nonzero(lesson.row_mask) <= _MAX_KNN_ROWS:
        knn = ItemKnn(cases.repeats).fit(lesson, _KNN_PARAMS)
        answers["itemknn_decay"] = ask_peer(knn, _KNN_PARAMS, cases, fallback)
    return {name: compute_release_metrics(answer, cases) for name, answer in answers.items()}
