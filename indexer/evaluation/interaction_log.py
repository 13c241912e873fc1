"""Interactions to one ordered log, cut by time into a part to fit, one to tune, one to test.

If every row has a time, the newest tenth is the test part and the tenth before it the tuning part;
rows of equal times are in the same part. Without times, a source may bring its own parts in the
columns `split` and `order_in_user`. Else there is no order, and a hash of a row's user, item and
number decides its part.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from indexer.errors import CatalogError
from indexer.event_kinds import (
    EVENT_WEIGHTS,
    LIKED_SHARE,
    RATING_MAJORITY,
    Event,
    find_undone,
    has_happened,
)
from indexer.reading import Interaction

SPLIT, ORDER = "split", "order_in_user"  # columns of a source that has parts of its own
REPEAT_SHARE = 0.2  # of liked rows whose pair comes again; from there on items are repeated
NO_OWN_WEIGHTS: Mapping[str, float] = MappingProxyType({})


class Part(IntEnum):
    """A part of the log, in order of time."""

    FIT, VALID, TEST = 0, 1, 2


_PART_BY_NAME = {"train": Part.FIT, "valid": Part.VALID, "test": Part.TEST}


@dataclass(frozen=True, slots=True)
class InteractionLog:
    """`m` interactions in a fixed order, as columns.

    Attributes:
        item_ids: `n` ids of the catalogue, sorted.
        user_ids: Ids of users, sorted.
        user: `(m,) int64`, position in `user_ids`.
        item: `(m,) int64`, position in `item_ids`.
        event: `m` names of events.
        value: `(m,) float64`, ratings; NaN for other events.
        at: `(m,) float64`, Unix seconds; NaN where there are no times.
        step: `(m,) int64`, which orders the rows of a user, equal for simultaneous ones; -1 where
            there is no order.
        part: `(m,) int64`, values of `Part`.
        positive: `(m,) bool`, whether the user liked the item.
        contexts: `m` mappings from context column to word.
        is_ordered: Whether rows have an order.
    """

    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    user: NDArray[np.int64]
    item: NDArray[np.int64]
    event: tuple[str, ...]
    value: NDArray[np.float64]
    at: NDArray[np.float64]
    step: NDArray[np.int64]
    part: NDArray[np.int64]
    positive: NDArray[np.bool_]
    contexts: tuple[Mapping[str, str], ...]
    is_ordered: bool

    def __len__(self) -> int:
        return len(self.user)

    def select_fit_rows(self, part: Part) -> NDArray[np.bool_]:
        """Return `(m,) bool`, the rows that a method may learn from to be judged on `part`."""
        return self.part < part

    @property
    def has_repeats(self) -> bool:
        """Whether users consume the same items again, as the part to fit shows."""
        rows = np.flatnonzero((self.part == Part.FIT) & self.positive)
        pair = self.user[rows] * len(self.item_ids) + self.item[rows]
        return len(rows) > 0 and 1 - len(np.unique(pair)) / len(rows) >= REPEAT_SHARE


def build_log(
    interactions: Sequence[Interaction],
    item_ids: Sequence[str],
    *,
    rating_scale: tuple[float, float] | None = None,
    own_weights: Mapping[str, float] = NO_OWN_WEIGHTS,
) -> InteractionLog:
    """Order interactions and cut them into parts; those with unknown items are left out.

    Args:
        interactions: In the order of the source.
        item_ids: Ids of the catalogue.
        rating_scale: Lowest and highest possible rating; None: by the highest rating.
        own_weights: Weights of events that are not built in.

    Raises:
        CatalogError: If nothing is left.
    """
    items = {item_id: position for position, item_id in enumerate(sorted(item_ids))}
    known = [row for row in interactions if row.item_id in items]
    if not known:
        raise CatalogError("no interaction is with an item of the catalogue; check the ids")
    users = {user: position for position, user in enumerate(sorted({row.user_id for row in known}))}
    user = np.array([users[row.user_id] for row in known], np.int64)
    item = np.array([items[row.item_id] for row in known], np.int64)
    order, step, part = _choose_split(known)(known, user, item)
    rows = [known[position] for position in order]
    names = tuple(str(row.event) for row in rows)
    value = np.array([_read_rating(row) for row in rows], np.float64)
    top = rating_scale[1] if rating_scale else None
    positive = find_positives(names, value, top=top, own_weights=own_weights)
    # What was refunded is no success of who recommended it.
    undone = find_undone([((row.user_id, row.item_id), str(row.event)) for row in rows])
    positive[sorted(undone)] = False
    positive &= np.array([has_happened(str(row.event), row.value) for row in rows], bool)
    timed = all(row.at is not None for row in known)
    at = [row.at if timed and row.at is not None else np.nan for row in rows]
    return InteractionLog(
        item_ids=tuple(items),
        user_ids=tuple(users),
        user=user[order],
        item=item[order],
        event=names,
        value=value,
        at=np.array(at, np.float64),
        step=step,
        part=part,
        positive=positive,
        contexts=tuple(_read_context(row) for row in rows),
        is_ordered=bool((step >= 0).all()),
    )


def find_positives(
    event_names: Sequence[str],
    value: NDArray[np.float64],
    *,
    top: float | None = None,
    own_weights: Mapping[str, float] = NO_OWN_WEIGHTS,
) -> NDArray[np.bool_]:
    """Return which rows mean liking, `(m,) bool`.

    If at least half have a rating, only ratings of at least 80% of the highest possible one; else
    also all events with a weight above zero, which dislike, refund and impression have not.

    Args:
        event_names: `m` names of events.
        value: `(m,)`, NaN where there is no rating.
        top: Highest possible rating; None: 1, 5, 10 or 100, by the highest rating.
        own_weights: Weights of events that are not built in.
    """
    unrated = np.isnan(value)
    weights = {**own_weights, **EVENT_WEIGHTS}
    is_positive: NDArray[np.bool_] = unrated & np.array(
        [weights.get(name, 0.0) > 0 for name in event_names], bool
    )
    if unrated.all():
        return is_positive
    scale = top if top is not None else _infer_scale_top(float(np.nanmax(value)))
    is_liked = np.nan_to_num(value, nan=-np.inf) >= LIKED_SHARE * scale
    return is_liked | is_positive if unrated.mean() > 1 - RATING_MAJORITY else is_liked


def _infer_scale_top(highest: float) -> float:
    return next((top for top in (1.0, 5.0, 10.0) if highest <= top), 100.0)


def _read_rating(row: Interaction) -> float:
    return np.nan if row.value is None or row.event != Event.RATING else row.value


def _read_context(row: Interaction) -> Mapping[str, str]:
    return {name: word for name, word in row.context.items() if name not in (SPLIT, ORDER)}


OrderAndParts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
Split = Callable[[Sequence[Interaction], NDArray[np.int64], NDArray[np.int64]], OrderAndParts]


def _choose_split(rows: Sequence[Interaction]) -> Split:
    if all(row.at is not None for row in rows):
        return _split_by_time
    if all(row.context.get(SPLIT) in _PART_BY_NAME and ORDER in row.context for row in rows):
        return _split_by_source
    return _split_by_hash


def _split_by_time(
    rows: Sequence[Interaction], user: NDArray[np.int64], item: NDArray[np.int64]
) -> OrderAndParts:
    at = np.array([row.at for row in rows], np.float64)
    order = np.lexsort((item, user, at))
    times = at[order]
    valid_from, test_from = times[int(0.8 * len(rows))], times[int(0.9 * len(rows))]
    part = (times >= valid_from).astype(np.int64) + (times >= test_from)
    return order, np.unique(times, return_inverse=True)[1].astype(np.int64), part


def _split_by_source(
    rows: Sequence[Interaction], user: NDArray[np.int64], _: NDArray[np.int64]
) -> OrderAndParts:
    step = np.array([int(row.context[ORDER]) for row in rows], np.int64)
    part = np.array([_PART_BY_NAME[row.context[SPLIT]] for row in rows], np.int64)
    order = np.lexsort((step, user))
    return order, step[order], part[order]


def _split_by_hash(
    rows: Sequence[Interaction], user: NDArray[np.int64], _: NDArray[np.int64]
) -> OrderAndParts:
    percents = np.array(
        [_hash_to_percent(row, number) for number, row in enumerate(rows)], np.int64
    )
    part = (percents >= 80).astype(np.int64) + (percents >= 90)
    return np.arange(len(rows)), np.full(len(rows), -1, np.int64), part


def _hash_to_percent(row: Interaction, number: int) -> int:
    text = f"{row.user_id}|{row.item_id}|{number}"
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % 100
