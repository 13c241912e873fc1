"""A log and its cases to the measurements of peers: each tuned, fitted again, and asked once.

A peer is tuned on the tuning part after a fit on the part to fit, then fitted again on all rows
that may be seen. Items that a peer scores equally are ordered by recent popularity.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from indexer.evaluation.cases import Cases, build_cases
from indexer.evaluation.interaction_log import Part
from indexer.evaluation.measurement import CpuTimer, Measurement
from indexer.evaluation.peers.popularity import POPULAR, POPULAR_RECENT
from indexer.evaluation.peers.protocol import ALL_EVENTS, Params, Peer, Scores, TrainingData
from indexer.evaluation.peers.registry import TEXT_EASE, explain_unavailable, select_peers
from indexer.evaluation.peers.text_mean import TextEase
from indexer.evaluation.tuning import ask_peer, tune
from indexer.progress import StageProgress

MAX_TUNING_CASES = 1_500


def measure_peers(
    names: Sequence[str], cases: Cases, vectors: Scores, *, seed: int, report: StageProgress
) -> Iterator[Measurement]:
    """Yield a measurement of each peer of `names` that can be measured here.

    Args:
        names: Of peers, see `peers.registry`.
        cases: To be answered.
        vectors: `(n, d) float32`, raw vectors of the items, unit length.
        seed: For peers that draw random numbers.
        report: Called before each peer.
    """
    measurer = _PeerMeasurer(cases, vectors, seed)
    peers = _list_available(_add_required(names), repeats=cases.repeats)
    for done, peer in enumerate(peers):
        report(f"peer {peer.name}", done, len(peers))
        measurement = measurer.measure(peer)
        if peer.name in names:
            yield measurement
    if TEXT_EASE in names:
        report(f"peer {TEXT_EASE}", len(peers), len(peers))
        yield measurer.measure(measurer.combine_text_and_ease())


def _add_required(names: Sequence[str]) -> set[str]:
    """The names, and the peers whose tuned parameters text + EASE needs."""
    required = {"text_tuned", "ease_decay"} if TEXT_EASE in names else set()
    return required | set(names)


def _list_available(names: Collection[str], *, repeats: bool) -> list[Peer]:
    return [
        peer
        for peer in select_peers(names, repeats=repeats)
        if not explain_unavailable(peer.name, repeats=repeats)
    ]


class _PeerMeasurer:
    """Measures peers one after the other over the same cases."""

    def __init__(self, cases: Cases, vectors: Scores, seed: int) -> None:
        log, repeats = cases.log, cases.repeats
        self._cases = cases
        self._fit_data = TrainingData(log, log.part == Part.FIT, vectors, repeats, seed)
        self._all_data = TrainingData(log, log.select_fit_rows(cases.part), vectors, repeats, seed)
        self._tuning_cases = build_cases(
            log, Part.VALID, repeats=repeats, max_cases=MAX_TUNING_CASES
        )
        no_fallback = np.zeros(len(log.item_ids), np.float32)
        self._popular_params, _ = tune(
            POPULAR_RECENT, self._fit_data, self._tuning_cases, no_fallback
        )
        self._params_by_peer: dict[str, Params] = {}

    def measure(self, peer: Peer) -> Measurement:
        """Tune, fit again and ask a peer."""
        fallback = self._compute_fallback(self._fit_data)
        params, tuned_ndcg10 = tune(peer, self._fit_data, self._tuning_cases, fallback)
        self._params_by_peer[peer.name] = params
        timer = CpuTimer()
        model = peer.fit(self._all_data, params)
        fit_cpu_s = timer.read_s()
        timer = CpuTimer()
        answers = ask_peer(model, params, self._cases, self._compute_fallback(self._all_data))
        return Measurement(
            name=peer.name,
            ranks=answers.ranks,
            top10=answers.top10,
            fit_cpu_s=fit_cpu_s,
            ms_per_request=timer.read_ms_per(len(self._cases)),
            params={**params, "ndcg10_when_tuned": round(tuned_ndcg10, 4)},
        )

    def combine_text_and_ease(self) -> TextEase:
        """Return the peer that blends text, EASE and popularity as they were tuned alone."""
        return TextEase(
            self._params_by_peer["text_tuned"],
            self._params_by_peer["ease_decay"],
            self._popular_params,
            self._cases.repeats,
        )

    def _compute_fallback(self, data: TrainingData) -> Scores:
        """`(n,)` in [0, 1]: popularity, by which a peer's ties are broken."""
        counts = POPULAR_RECENT.fit(data, self._popular_params).counts
        if not counts.any():
            counts = POPULAR.fit(data, {"use": ALL_EVENTS, "half_life": 1.0}).counts
        return counts / max(float(counts.max()), 1e-9)
