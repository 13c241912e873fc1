"""The face of a peer, and a request's history as every peer reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation.cases import Cases
from indexer.evaluation.interaction_log import Log
from indexer.taste import Matrix, from_coordinates

Knobs: TypeAlias = Mapping[str, Any]
Scores: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]

POSITIVE, EVERY = "positive", "every"  # event, to learn from and to ask with
FOREVER = float("inf")  # decay: none
LONGEST = 500  # entries of a history that are read, the latest


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a peer may learn from.

    Attributes:
        log: All rows.
        rows: `(m,) bool`, those that may be seen.
        vectors: `(n, d) float32`, the encoder's, of unit length.
        repeats: Whether items are consumed again.
        seed: Of whatever is drawn.
    """

    log: Log
    rows: NDArray[np.bool_]
    vectors: Scores
    repeats: bool
    seed: int

    @property
    def n_items(self) -> int:
        """Rows of the catalogue."""
        return len(self.log.item_ids)

    def used(self, use: str) -> Ids:
        """The numbers of the rows to learn from, in order."""
        wanted = self.rows & self.log.positive if use == POSITIVE else self.rows
        return np.flatnonzero(wanted)

    def users_by_items(self, use: str) -> Matrix:
        """`(users, n)`, 1 where they met."""
        rows = self.used(use)
        shape = (len(self.log.user_ids), self.n_items)
        ones = np.ones(len(rows), np.float32)
        met = from_coordinates(ones, self.log.user[rows], self.log.item[rows], shape)
        met.data[:] = 1
        return met


class Fitted(Protocol):
    """A peer that has learned."""

    def scores(self, cases: Cases, knobs: Knobs) -> Scores:
        """Return `(c, n)`; higher is better."""


class Peer(Protocol):
    """A method with knobs; the first value of each is where tuning begins.

    Attributes:
        fit_knobs: That need another fit.
        ask_knobs: That only change how a question is answered.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def fit_knobs(self) -> Mapping[str, tuple[Any, ...]]: ...  # noqa: D102
    @property
    def ask_knobs(self) -> Mapping[str, tuple[Any, ...]]: ...  # noqa: D102
    def fit(self, lesson: Lesson, knobs: Knobs) -> Fitted: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Entries:
    """The histories of some cases, flat, in order.

    Attributes:
        case: `(h,)`.
        item: `(h,)`.
        weight: `(h,) float32`, by recency.
    """

    case: Ids
    item: Ids
    weight: Scores

    def matrix(self, cases: int, items: int) -> Matrix:
        """`(cases, items)`, weights summed."""
        return from_coordinates(self.weight, self.case, self.item, (cases, items))


def entries_of(cases: Cases, *, use: str, decay: float) -> Entries:
    """Read histories; an entry `decay` places before the last counts 1/e of it."""
    parts = list(cases.histories)
    if use == POSITIVE:
        parts = [rows[cases.log.positive[rows]] for rows in parts]
    parts = [rows[-LONGEST:] for rows in parts]
    length = np.array([len(rows) for rows in parts], np.int64)
    case = np.repeat(np.arange(len(parts)), length)
    row = np.concatenate([np.zeros(0, np.int64), *parts])
    end = np.cumsum(length)
    age = (end[case] - 1 - np.arange(len(case))).astype(np.float32)
    weight = np.exp(-age / np.float32(decay)).astype(np.float32)
    return Entries(case, cases.log.item[row], weight)
