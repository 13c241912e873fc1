"""The face of a peer, and a request's history as every peer reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation.cases import Cases
from indexer.evaluation.interaction_log import InteractionLog
from indexer.taste import Matrix, matrix_from_coordinates

Params: TypeAlias = Mapping[str, Any]
Scores: TypeAlias = NDArray[np.float32]
Positions: TypeAlias = NDArray[np.int64]

POSITIVE_EVENTS, ALL_EVENTS = "positive", "every"  # event, to learn from and to ask with
NO_DECAY = float("inf")  # decay: none
MAX_ENTRIES = 500  # entries of a history that are read, the latest


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a peer may learn from.

    Attributes:
        log: All rows.
        row_mask: `(m,) bool`, those that may be seen.
        vectors: `(n, d) float32`, the encoder's, of unit length.
        repeats: Whether items are consumed again.
        seed: Of whatever is drawn.
    """

    log: InteractionLog
    row_mask: NDArray[np.bool_]
    vectors: Scores
    repeats: bool
    seed: int

    @property
    def n_items(self) -> int:
        """Rows of the catalogue."""
        return len(self.log.item_ids)

    def select_rows(self, use: str) -> Positions:
        """The numbers of the rows to learn from, in order."""
        selected = self.row_mask & self.log.positive if use == POSITIVE_EVENTS else self.row_mask
        return np.flatnonzero(selected)

    def build_user_item_matrix(self, use: str) -> Matrix:
        """`(users, n)`, 1 where they met."""
        rows = self.select_rows(use)
        shape = (len(self.log.user_ids), self.n_items)
        ones = np.ones(len(rows), np.float32)
        matrix = matrix_from_coordinates(ones, self.log.user[rows], self.log.item[rows], shape)
        matrix.data[:] = 1
        return matrix


class PeerModel(Protocol):
    """A peer that has learned."""

    def score(self, cases: Cases, knobs: Params) -> Scores:
        """Return `(c, n)`; higher is better."""


class Peer(Protocol):
    """A method with knobs; the first value of each is where tuning begins.

    Attributes:
        fit_grid: That need another fit.
        score_grid: That only change how a question is answered.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def fit_grid(self) -> Mapping[str, tuple[Any, ...]]: ...  # noqa: D102
    @property
    def score_grid(self) -> Mapping[str, tuple[Any, ...]]: ...  # noqa: D102
    def fit(self, training: TrainingData, params: Params) -> PeerModel: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class HistoryEntries:
    """The histories of some cases, flat, in order.

    Attributes:
        case: `(h,)`.
        item: `(h,)`.
        weight: `(h,) float32`, by recency.
    """

    case: Positions
    item: Positions
    weight: Scores

    def to_matrix(self, cases: int, items: int) -> Matrix:
        """`(cases, items)`, weights summed."""
        return matrix_from_coordinates(self.weight, self.case, self.item, (cases, items))


def collect_entries(cases: Cases, *, use: str, decay: float) -> HistoryEntries:
    """Read histories; an entry `decay` places before the last counts 1/e of it."""
    parts = list(cases.histories)
    if use == POSITIVE_EVENTS:
        parts = [rows[cases.log.positive[rows]] for rows in parts]
    parts = [rows[-MAX_ENTRIES:] for rows in parts]
    length = np.array([len(rows) for rows in parts], np.int64)
    case = np.repeat(np.arange(len(parts)), length)
    row = np.concatenate([np.zeros(0, np.int64), *parts])
    end = np.cumsum(length)
    age = (end[case] - 1 - np.arange(len(case))).astype(np.float32)
    weight = np.exp(-age / np.float32(decay)).astype(np.float32)
    return HistoryEntries(case, cases.log.item[row], weight)
