"""A question and its pool to the answer: ranked, cut, and told why."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from indexer.ann import Vectors
from indexer.answer import Answer, Hit
from indexer.arranging import Arranged, arranged, within_caps
from indexer.catalogue import Catalogue
from indexer.paging import narrowed
from indexer.pools import caps_of
from indexer.question import Question
from indexer.retrieval import Pool, at_least
from indexer.signals import Role, Signal


def answered(question: Question, pool: Pool, clock: "Clock") -> Answer:
    """Retrieve, cut, and tell why.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    catalogue, request, page = question.catalogue, question.request, question.page
    pool = limited(question, pool)
    pool = narrowed(catalogue, pool, page)
    found = arranged(question, pool)
    clock.lap("search")
    rows = [*found.page.rows.tolist(), *found.following.tolist()]
    ids = catalogue.ids(rows)
    hits = _hits(question, found, ids[: len(found.page.rows)])
    clock.lap("rank")
    return Answer(
        hits=hits,
        complete={
            "returned": len(hits),
            "eligible": max(0, pool.eligible - page.skip),
            "excluded": dict(pool.excluded),
            "search": catalogue.manifest.index.get("search", "exact"),
        },
        snapshot=catalogue.manifest.id,
        unknown_items=unknown_items(
            catalogue, [*request.exclude, *(p.item_id for p in request.pin)]
        ),
        following=tuple(ids[len(hits) :]),
        timing_ms=clock.told(),
    )


def limited(question: Question, pool: Pool) -> Pool:
    """Narrow a pool to what scores enough and what the caps keep.

    Raises:
        FilterError: If `max_per` names a field that the catalogue does not have.
    """
    catalogue, request = question.catalogue, question.request
    caps = caps_of(catalogue, request, question.scenario)
    if request.min_score is not None:
        vectors, additive = question.weighed.vectors, question.additive
        pool = at_least(catalogue, vectors, pool, request.min_score, additive)
    return within_caps(question, pool, caps) if caps else pool


def sources_of(
    catalogue: Catalogue, signals: Sequence[Signal], known: Mapping[str, int]
) -> Vectors:
    """Return `(m, d) float32`: each signal's vector in the item space."""
    layout = catalogue.manifest.layout
    sources = np.zeros((len(signals), layout.dim), np.float32)
    items = [place for place, signal in enumerate(signals) if signal.item_id is not None]
    texts = [place for place, signal in enumerate(signals) if signal.text and not signal.item_id]
    if items:
        rows = np.array([known[signals[place].item_id or ""] for place in items])
        sources[items, : layout.meaning] = catalogue.item_vectors(rows)[:, : layout.meaning]
    if texts:
        sources[texts] = catalogue.query_vectors([signals[place].text or "" for place in texts])
    for place, signal in enumerate(signals):
        if signal.role is Role.PRIOR:
            sources[place, layout.meaning + layout.taste] = 1.0
    return sources


def unknown_items(catalogue: Catalogue, ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that the catalogue does not have, each once."""
    known = catalogue.rows(ids)
    return tuple(dict.fromkeys(item_id for item_id in ids if item_id not in known))


def with_unknown(answer: Answer, first: Sequence[str]) -> Answer:
    """Return the answer with further unknown ids before its own."""
    return replace(answer, unknown_items=tuple(dict.fromkeys([*first, *answer.unknown_items])))


def _hits(question: Question, found: Arranged, ids: Sequence[str]) -> tuple[Hit, ...]:
    catalogue, request, page = question.catalogue, question.request, found.page
    rows = page.rows
    stored = catalogue.item_vectors(rows) if request.explain and len(rows) else None
    first = question.page.offset + 1
    hits = []
    items = [{"id": item_id} for item_id in ids]
    if request.fields != ():
        items = catalogue.items(rows.tolist())
    for place, (item_id, item) in enumerate(zip(ids, items, strict=True)):
        reasons: list[dict[str, Any]] = []
        if stored is not None:
            winner = int(page.winners[place])
            reasons = question.reasons(int(rows[place]), stored[place], winner)
        chance = None if found.propensities is None else float(found.propensities[place])
        shown = _chosen(item, request.fields)
        # Six decimals are what the order goes by: the last bits depend on the path of the sum.
        score = round(float(page.scores[place]), 6)
        hits.append(Hit(item_id, first + place, score, shown, reasons, chance))
    return tuple(hits)


def _chosen(item: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    if fields is None:
        return item
    return {key: item[key] for key in ("id", *fields) if key in item}


class Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def resume(self) -> None:
        """Leave out the time since the last lap, in which others were served."""
        now = time.perf_counter()
        self._started += now - self._last
        self._last = now

    def lap(self, name: str) -> None:
        """End a lap."""
        now = time.perf_counter()
        self._laps[name] = round(1_000 * (now - self._last), 3)
        self._last = now

    def told(self) -> dict[str, float]:
        """Return the laps and their total."""
        return {**self._laps, "total": round(1_000 * (self._last - self._started), 3)}
