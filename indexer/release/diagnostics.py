"""Answers to an exam to figures beyond rank: popularity bias, and what a score promises."""

from typing import Any

import numpy as np

from indexer.evaluation import (
    FOREVER,
    POPULAR,
    POPULAR_RECENT,
    POSITIVE,
    Asked,
    Cases,
    ItemKnn,
    Judged,
    Lesson,
    Part,
    Top,
    figures_by_slice,
    judged,
)

_BINS = 10
_MOST_KNN_ROWS = 200_000  # its strips of common users would take longer than the fit itself
_KNN = {"use": POSITIVE, "shrink": 20.0, "nearest": 200, "decay": 10.0, "aggregate": "sum",
        "own": 0.0}  # fmt: skip


def figures_of(answers: Asked | Judged, cases: Cases) -> dict[str, Any]:
    """Return the figures of every slice, and how popular what is listed is."""
    told = figures_by_slice(answers.ranks, answers.top10, cases)
    return {**told, "popularity_bias": popularity_bias(answers.top10, cases)}


def popularity_bias(top10: Top, cases: Cases) -> dict[str, float]:
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


def calibration(asked: Asked) -> list[dict[str, float]]:
    """Return, for tenths of the listed places by score, the mean score and the share of hits."""
    known = ~np.isnan(asked.scores)
    score, hit = asked.scores[known], asked.hit[known]
    order = np.argsort(score, kind="stable")
    return [
        {"score": float(score[part].mean()), "hits": float(hit[part].mean()), "places": len(part)}
        for part in np.array_split(order, _BINS)
        if len(part)
    ]


def peer_figures(cases: Cases) -> dict[str, Any]:
    """Return the figures of peers that cost next to nothing, with usual knobs, untuned."""
    lesson = Lesson(
        log=cases.log,
        rows=cases.log.part < Part.TEST,
        vectors=np.zeros((len(cases.log.item_ids), 1), np.float32),
        repeats=cases.repeats,
        seed=0,
    )
    popular = POPULAR.fit(lesson, {"use": POSITIVE, "half_life": FOREVER})
    recent = POPULAR_RECENT.fit(lesson, {"use": POSITIVE, "half_life": 0.1})
    fallback = recent.counts / max(float(recent.counts.max()), 1e-9)
    answers = {
        "popular": judged(popular, {}, cases, fallback),
        "popular_recent": judged(recent, {}, cases, fallback),
    }
    if np.count_nonzero(lesson.rows) <= _MOST_KNN_ROWS:
        knn = ItemKnn(cases.repeats).fit(lesson, _KNN)
        answers["itemknn_decay"] = judged(knn, _KNN, cases, fallback)
    return {name: figures_of(answer, cases) for name, answer in answers.items()}
