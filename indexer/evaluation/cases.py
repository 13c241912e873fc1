"""A log to cases: a user's history up to a moment, and the item that they picked next."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows
from indexer.evaluation.interaction_log import InteractionLog, Part
from indexer.metrics import ANSWER_LENGTH

MAX_CASES = 3_000
NEW_USER_MAX_ROWS = 3  # rows of history that a new user has at most
_SEED = "2026"


@dataclass(frozen=True, slots=True)
class Cases:
    """Picks of a log with the history before each.

    Attributes:
        log: All rows.
        part: Part of the log that the picks are from.
        repeats: Whether an item of the history may be the answer.
        row: `(c,) int64`, the picks as rows of the log, ascending.
        histories: For each case, the earlier rows of the same user, in order.
        cold: `(c,) bool`, whether the picked item has no row in the fitted parts.
        new_user: `(c,) bool`, whether the history has at most `NEW_USER_MAX_ROWS`.
    """

    log: InteractionLog
    part: Part
    repeats: bool
    row: Rows
    histories: tuple[Rows, ...]
    cold: NDArray[np.bool_]
    new_user: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def target(self) -> Rows:
        """`(c,) int64`, the picked item as a position in `log.item_ids`."""
        return self.log.item[self.row]

    @property
    def user(self) -> Rows:
        """`(c,) int64`, the user as a position in `log.user_ids`."""
        return self.log.user[self.row]

    def take_slice(self, numbers: slice) -> "Cases":
        """Return a slice of the cases."""
        return self.take(np.arange(len(self))[numbers])

    def take(self, numbers: Rows) -> "Cases":
        """Return the cases of these numbers."""
        return replace(
            self,
            row=self.row[numbers],
            histories=tuple(self.histories[case] for case in numbers),
            cold=self.cold[numbers],
            new_user=self.new_user[numbers],
        )

    def build_requests(self) -> Iterator[dict[str, Any]]:
        """Yield a request body for each case, without anything that reveals the picked item."""
        for row, history in zip(self.row.tolist(), self.histories, strict=True):
            yield self._build_request(row, history.tolist())

    def _build_request(self, row: int, history: list[int]) -> dict[str, Any]:
        at = self.log.at[row]
        return {
            "history": [self._build_entry(entry_row) for entry_row in history],
            "context": dict(self.log.contexts[row]),
            **({} if np.isnan(at) else {"at": float(at)}),
            "k": ANSWER_LENGTH,
            "include_seen": self.repeats,
        }

    def _build_entry(self, row: int) -> dict[str, Any]:
        log = self.log
        entry = {
            "item_id": log.item_ids[log.item[row]],
            "event": log.event[row],
            "value": None if np.isnan(log.value[row]) else float(log.value[row]),
            "at": None if np.isnan(log.at[row]) else float(log.at[row]),
            "context": dict(log.contexts[row]),
        }
        return {name: value for name, value in entry.items() if value not in (None, {})}


def build_cases(
    log: InteractionLog, part: Part, *, repeats: bool, max_cases: int = MAX_CASES
) -> Cases:
    """Make a case of each liked row of a part, or of a sample of them that is always the same.

    Args:
        log: All rows.
        part: Part of the log that the picks are from.
        repeats: Whether an item of the history may be the answer; if not, a row whose item is in
            its own history is no case.
        max_cases: The cases are sampled down to this many, by a hash of each row.
    """
    by_user = _group_rows_by_user(log)
    fit_mask = log.select_fit_rows(part)
    candidate_rows = np.flatnonzero((log.part == part) & log.positive)
    rows_and_histories: list[tuple[int, Rows]] = []
    for row in sorted(
        candidate_rows.tolist(), key=lambda row: (_compute_sampling_key(log, part, row), row)
    ):
        history = _find_history(log, by_user[log.user[row]], row, fit_mask)
        if repeats or log.item[row] not in log.item[history]:
            rows_and_histories.append((row, history))
        if len(rows_and_histories) == max_cases:
            break
    rows_and_histories.sort(key=lambda case: case[0])
    is_warm = np.zeros(len(log.item_ids), bool)
    is_warm[log.item[fit_mask]] = True
    rows = np.array([row for row, _ in rows_and_histories], np.int64)
    return Cases(
        log=log,
        part=part,
        repeats=repeats,
        row=rows,
        histories=tuple(history for _, history in rows_and_histories),
        cold=~is_warm[log.item[rows]],
        new_user=np.array([len(h) <= NEW_USER_MAX_ROWS for _, h in rows_and_histories], bool),
    )


def _group_rows_by_user(log: InteractionLog) -> list[Rows]:
    order = np.argsort(log.user, kind="stable")
    counts = np.bincount(log.user, minlength=len(log.user_ids))
    return list(np.split(order, np.cumsum(counts)[:-1]))


def _find_history(
    log: InteractionLog, user_rows: Rows, row: int, fit_mask: NDArray[np.bool_]
) -> Rows:
    """The rows of the same user before `row`; without an order, those in the fitted parts."""
    if not log.is_ordered:
        return user_rows[fit_mask[user_rows]]
    earlier = user_rows[log.step[user_rows] < log.step[row]]
    in_order: Rows = earlier[np.argsort(log.step[earlier], kind="stable")]
    return in_order


def _compute_sampling_key(log: InteractionLog, part: Part, row: int) -> str:
    user, item = log.user_ids[log.user[row]], log.item_ids[log.item[row]]
    text = f"{_SEED}|{_PART_KEYS[part]}|{user}|{item}|{row}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


_PART_KEYS = {Part.FIT: "fit0", Part.VALID: "valid", Part.TEST: "test"}
