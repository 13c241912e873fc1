"""Stored item changes to the live catalogue that shows them; what it cannot take is set aside.

The store may hold an item that an earlier release accepted, or that cannot be read any more. It
must not keep everybody's requests from being answered, so it is not shown, and named.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from indexer.errors import EncoderUnavailableError, GivenUpError, SnapshotError
from indexer.live import LiveCatalogue
from indexer.reading import describe_excess
from service.live.item_vectors import to_live_changes
from service.store import ItemChange

# What an item that is damaged can cause; anything else is no fault of an item.
_OF_ITEMS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_NOT_OF_ITEMS = (EncoderUnavailableError, GivenUpError, SnapshotError, OSError, MemoryError)

_log = logging.getLogger(__name__)


def take_changes(
    catalogue: LiveCatalogue, changes: Sequence[ItemChange]
) -> tuple[LiveCatalogue, Mapping[str, str]]:
    """Return the catalogue after some changes, and why items among them are not shown, by id.

    Such an item is shown as if it were deleted, not as the snapshot has it.

    Raises:
        EncoderUnavailableError: If texts must be encoded and cannot be.
        GivenUpError: If nobody waits for them to be encoded any more.
    """
    set_aside = {
        change.item_id: reason
        for change in changes
        if change.fields is not None and (reason := describe_excess(change.fields))
    }
    kept = [_delete(change) if change.item_id in set_aside else change for change in changes]
    catalogue = _apply(catalogue, kept, set_aside)
    for item_id, reason in set_aside.items():
        _log.error("live item %r is set aside and not shown: %s", item_id, reason)
    return catalogue, set_aside


def _apply(
    catalogue: LiveCatalogue, changes: Sequence[ItemChange], set_aside: dict[str, str]
) -> LiveCatalogue:
    """Apply changes; if that fails, halve them until those that cannot be taken are found."""
    try:
        return catalogue.apply_changes(to_live_changes(catalogue.base, changes))
    except _NOT_OF_ITEMS:
        raise
    except _OF_ITEMS as error:
        if len(changes) > 1:
            middle = len(changes) // 2
            return _apply(
                _apply(catalogue, changes[:middle], set_aside), changes[middle:], set_aside
            )
        (change,) = changes
        if change.fields is None:
            raise
        _log.warning("live item %r cannot be taken", change.item_id, exc_info=error)
        set_aside[change.item_id] = f"cannot be read ({type(error).__name__})"
        return catalogue.apply_changes(to_live_changes(catalogue.base, [_delete(change)]))


def _delete(change: ItemChange) -> ItemChange:
    return replace(change, fields=None, raw_vector=None, encoder_key="")
