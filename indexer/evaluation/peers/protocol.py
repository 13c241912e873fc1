"""What every peer offers, what it is fitted on, and cases to the history entries it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.evaluation.cases import Cases
from indexer.evaluation.interaction_log import InteractionLog
from indexer.taste import Matrix, build_matrix_from_coordinates

Params: TypeAlias = Mapping[str, Any]
Scores: TypeAlias = NDArray[np.float32]
Positions: TypeAlias = NDArray[np.int64]

POSITIVE_EVENTS, ALL_EVENTS = "positive", "every"  # which rows are learned from and asked with
NO_DECAY = float("inf")  # value of a decay or half-life: old rows count as much as new ones
MAX_ENTRIES = 500  # latest entries of a history that are read


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a peer may learn from.

    Attributes:
        log: All `m` rows.
        row_mask: `(m,) bool`, rows that may be seen.
        vectors: `(n, d) float32`, raw vectors of the items, unit length.
        repeats: Whether items of the history may be the answer.
        seed: For peers that draw random numbers.
    """

    log: InteractionLog
    row_mask: NDArray[np.bool_]
    vectors: Scores
    repeats: bool
    seed: int

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        return len(self.log.item_ids)

    def select_rows(self, use: str) -> Positions:
        """Return the positions of the rows to learn from, ascending; `use` is one of two words."""
        selected = self.row_mask & self.log.positive if use == POSITIVE_EVENTS else self.row_mask
        return np.flatnonzero(selected)

    def build_user_item_matrix(self, use: str) -> Matrix:
        """Return `(users, n) float32`, sparse, 1 where a user has a row with an item."""
        rows = self.select_rows(use)
        shape = (len(self.log.user_ids), self.n_items)
        ones = np.ones(len(rows), np.float32)
        matrix = build_matrix_from_coordinates(
            ones, self.log.user[rows], self.log.item[rows], shape
        )
        matrix.data[:] = 1
        return matrix


class PeerModel(Protocol):
    """A fitted peer."""

    def score(self, cases: Cases, params: Params) -> Scores:
        """Return `(c, n) float32`, a score of each item for each case; higher is better."""


class Peer(Protocol):
    """A method with parameters; tuning begins at the first value of each.

    Attributes:
        name: In reports.
        fit_grid: Parameters to values; each value needs another fit.
        score_grid: The same for parameters that only change how cases are answered.
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
    """The histories of some cases as `h` entries, by case, oldest first.

    Attributes:
        case: `(h,) int64`, number of the case.
        item: `(h,) int64`, position of the item.
        weight: `(h,) float32` in (0, 1], by recency.
    """

    case: Positions
    item: Positions
    weight: Scores

    def to_matrix(self, cases: int, items: int) -> Matrix:
        """Return `(cases, items)`, sparse, the sum of the weights of each pair."""
        return build_matrix_from_coordinates(self.weight, self.case, self.item, (cases, items))


def collect_entries(cases: Cases, *, use: str, decay: float) -> HistoryEntries:
    """Return the histories' latest entries, weighted by recency.

    Args:
        cases: Whose histories are read.
        use: `POSITIVE_EVENTS` or `ALL_EVENTS`.
        decay: An entry this many places before the last one counts 1/e of it.
    """
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
