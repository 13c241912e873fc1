"""A peer to its best knobs: one knob after the other, judged on the tuning part only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from indexer.errors import RequestError
from indexer.evaluation.cases import Cases
from indexer.evaluation.peers.protocol import Params, Peer, PeerModel, Scores, TrainingData
from indexer.metrics import compute_ndcg10, compute_ranks

_CHUNK_CELLS = 4_000_000  # cases x items scored at once
_TIE_BREAK_SHARE = 1e-9  # of the largest score: enough to part equal ones, too little for others

Ranks = NDArray[np.float64]


@runtime_checkable
class ConvergingPeer(Peer, Protocol):
    """A peer that finds one of its knobs while it is being fitted."""

    def converge(
        self, lesson: TrainingData, knobs: Params, judge: Callable[[Any, Params], float]
    ) -> tuple[Params, float]:
        """Return the knobs, complete, and the figure they reached."""


@dataclass(frozen=True, slots=True)
class PeerAnswers:
    """Answers of a peer to some cases.

    Attributes:
        ranks: `(c,)`.
        top10: Items of the first ten places.
    """

    ranks: Ranks
    top10: list[list[int]]


def ask_peer(fitted: PeerModel, knobs: Params, cases: Cases, fallback: Scores) -> PeerAnswers:
    """Ask a peer; what it scores equally is ordered by a fallback `(n,)` in [0, 1].

    Raises:
        RequestError: If it scores something with NaN.
    """
    chunk = max(1, _CHUNK_CELLS // len(fallback))
    ranks, top10 = [np.zeros(0)], []
    for start in range(0, len(cases), chunk):
        some = cases.some(slice(start, start + chunk))
        scores = fitted.score(some, knobs).astype(np.float64)
        if np.isnan(scores).any():
            raise RequestError(f"a peer with {dict(knobs)} scored an item with NaN")
        largest = np.abs(scores).max(axis=1, keepdims=True)
        scores += np.where(largest > 0, largest, 1.0) * _TIE_BREAK_SHARE * fallback
        if not some.repeats:
            _hide_history(scores, some)
        ranks.append(compute_ranks(scores, some.target))
        top10 += np.argpartition(-scores, min(10, scores.shape[1] - 1), axis=1)[:, :10].tolist()
    return PeerAnswers(np.concatenate(ranks), top10)


def _hide_history(scores: NDArray[np.float64], cases: Cases) -> None:
    for case, history in enumerate(cases.histories):
        scores[case, cases.log.item[history]] = -np.inf


def tune(peer: Peer, lesson: TrainingData, cases: Cases, fallback: Scores) -> tuple[Params, float]:
    """Return the best knobs and their NDCG@10: one knob after the other."""
    if isinstance(peer, ConvergingPeer):
        return _tune_while_fitting(peer, lesson, cases, fallback)
    knobs = {name: values[0] for name, values in {**peer.fit_grid, **peer.score_grid}.items()}
    fitted = peer.fit(lesson, knobs)
    best = _compute_mean_ndcg10(fitted, knobs, cases, fallback)
    for name, values in peer.fit_grid.items():
        for value in values[1:]:
            other = {**knobs, name: value}
            rival = peer.fit(lesson, other)
            figure = _compute_mean_ndcg10(rival, other, cases, fallback)
            if figure > best:
                knobs, fitted, best = other, rival, figure
    for name, values in peer.score_grid.items():
        for value in _drop_value(values, knobs[name]):
            other = {**knobs, name: value}
            figure = _compute_mean_ndcg10(fitted, other, cases, fallback)
            if figure > best:
                knobs, best = other, figure
    return knobs, best


def _tune_while_fitting(
    peer: ConvergingPeer, lesson: TrainingData, cases: Cases, fallback: Scores
) -> tuple[Params, float]:
    def judge(fitted: PeerModel, knobs: Params) -> float:
        return _compute_mean_ndcg10(fitted, knobs, cases, fallback)

    start = {name: values[0] for name, values in peer.fit_grid.items()}
    knobs, best = peer.converge(lesson, start, judge)
    for name, values in peer.fit_grid.items():
        for value in values[1:]:
            other, figure = peer.converge(lesson, {**knobs, name: value}, judge)
            if figure > best:
                knobs, best = other, figure
    return knobs, best


def _drop_value(values: Sequence[Any], but: Any) -> list[Any]:
    return [value for value in values if value != but]


def _compute_mean_ndcg10(fitted: PeerModel, knobs: Params, cases: Cases, fallback: Scores) -> float:
    ranks = ask_peer(fitted, knobs, cases, fallback).ranks
    return float(compute_ndcg10(ranks).mean()) if len(ranks) else 0.0
