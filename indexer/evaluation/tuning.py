"""A peer to its best parameters: one after the other, by NDCG@10 on the tuning part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from indexer.errors import RequestError
from indexer.evaluation.cases import Cases
from indexer.evaluation.peers.protocol import Params, Peer, PeerModel, Scores, TrainingData
from indexer.metrics import compute_ndcg10, compute_ranks

_CHUNK_CELLS = 4_000_000  # cases times items that are scored at once
_TIE_BREAK_SHARE = 1e-9  # of the largest score: orders equal scores, leaves others alone

Ranks = NDArray[np.float64]


@runtime_checkable
class ConvergingPeer(Peer, Protocol):
    """A peer that finds one of its parameters while it is being fitted."""

    def converge(
        self, training: TrainingData, params: Params, evaluate: Callable[[Any, Params], float]
    ) -> tuple[Params, float]:
        """Return all parameters, and the NDCG@10 that they reached."""


@dataclass(frozen=True, slots=True)
class PeerAnswers:
    """Answers of a peer to `c` cases.

    Attributes:
        ranks: `(c,)` ranks of the picked items, from 1.
        top10: The ten best items of each case, as positions in the log, in no order.
    """

    ranks: Ranks
    top10: list[list[int]]


def ask_peer(model: PeerModel, params: Params, cases: Cases, fallback: Scores) -> PeerAnswers:
    """Score all items for all cases, and rank the picked ones.

    Args:
        model: A fitted peer.
        params: What it is asked with.
        cases: To be answered.
        fallback: `(n,) float32` in [0, 1], by which equal scores are ordered.

    Raises:
        RequestError: If it scores an item with NaN.
    """
    chunk = max(1, _CHUNK_CELLS // len(fallback))
    ranks, top10 = [np.zeros(0)], []
    for start in range(0, len(cases), chunk):
        chunk_cases = cases.take_slice(slice(start, start + chunk))
        scores = model.score(chunk_cases, params).astype(np.float64)
        if np.isnan(scores).any():
            raise RequestError(f"a peer with {dict(params)} scored an item with NaN")
        largest = np.abs(scores).max(axis=1, keepdims=True)
        scores += np.where(largest > 0, largest, 1.0) * _TIE_BREAK_SHARE * fallback
        if not chunk_cases.repeats:
            _hide_history(scores, chunk_cases)
        ranks.append(compute_ranks(scores, chunk_cases.target))
        top10 += np.argpartition(-scores, min(10, scores.shape[1] - 1), axis=1)[:, :10].tolist()
    return PeerAnswers(np.concatenate(ranks), top10)


def _hide_history(scores: NDArray[np.float64], cases: Cases) -> None:
    for case, history in enumerate(cases.histories):
        scores[case, cases.log.item[history]] = -np.inf


def tune(
    peer: Peer, training: TrainingData, cases: Cases, fallback: Scores
) -> tuple[Params, float]:
    """Return the best parameters and their NDCG@10, by coordinate search.

    Each parameter begins at the first value of its grid. Then its other values are tried, one
    parameter after the other, and a value is kept if NDCG@10 rises.
    """
    if isinstance(peer, ConvergingPeer):
        return _tune_while_fitting(peer, training, cases, fallback)
    params = {name: values[0] for name, values in {**peer.fit_grid, **peer.score_grid}.items()}
    model = peer.fit(training, params)
    best = _compute_mean_ndcg10(model, params, cases, fallback)
    for name, values in peer.fit_grid.items():
        for value in values[1:]:
            other_params = {**params, name: value}
            other_model = peer.fit(training, other_params)
            ndcg10 = _compute_mean_ndcg10(other_model, other_params, cases, fallback)
            if ndcg10 > best:
                params, model, best = other_params, other_model, ndcg10
    for name, values in peer.score_grid.items():
        for value in _drop_value(values, params[name]):
            other_params = {**params, name: value}
            ndcg10 = _compute_mean_ndcg10(model, other_params, cases, fallback)
            if ndcg10 > best:
                params, best = other_params, ndcg10
    return params, best


def _tune_while_fitting(
    peer: ConvergingPeer, training: TrainingData, cases: Cases, fallback: Scores
) -> tuple[Params, float]:
    def evaluate(model: PeerModel, params: Params) -> float:
        return _compute_mean_ndcg10(model, params, cases, fallback)

    start_params = {name: values[0] for name, values in peer.fit_grid.items()}
    params, best = peer.converge(training, start_params, evaluate)
    for name, values in peer.fit_grid.items():
        for value in values[1:]:
            other_params, ndcg10 = peer.converge(training, {**params, name: value}, evaluate)
            if ndcg10 > best:
                params, best = other_params, ndcg10
    return params, best


def _drop_value(values: Sequence[Any], but: Any) -> list[Any]:
    return [value for value in values if value != but]


def _compute_mean_ndcg10(model: PeerModel, params: Params, cases: Cases, fallback: Scores) -> float:
    ranks = ask_peer(model, params, cases, fallback).ranks
    return float(compute_ndcg10(ranks).mean()) if len(ranks) else 0.0
