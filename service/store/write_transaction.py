"""Changes of the store to their sequence numbers, which are written with them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson
import sqlalchemy as sa

from service.store.decayed_sums import BLOCK_EVENTS
from service.store.parameters import split_parameters
from service.store.schema import counter, removals

_MARK_LISTED = sa.text(
    "INSERT OR REPLACE INTO live_removals (block, seq) SELECT value, :seq FROM json_each(:blocks)"
)


@dataclass(frozen=True, slots=True)
class SequenceNumbers:
    """How far the store has come; see `service.store.schema.counter`.

    Attributes:
        seq: Of the last change of any kind.
        items_seq: Of the last change of an item.
        removals_seq: Of the last change that removed events or a user's profile, or merged users.
        generation: How often this process has found another store in place of the one before, such
            as a backup. Numbers of different generations do not compare.
    """

    seq: int
    items_seq: int
    removals_seq: int
    generation: int = 0

    @property
    def removals(self) -> tuple[int, int]:
        """What sums over the log are valid for: generation and `removals_seq`."""
        return self.generation, self.removals_seq


class WriteTransaction:
    """A transaction that writes, and the sequence numbers it takes.

    Attributes:
        before: The sequence numbers when it began.
    """

    def __init__(self, connection: sa.Connection, before: SequenceNumbers) -> None:
        self.connection = connection
        self.before = before
        self.seq = before.seq
        self._items_seq, self._removals_seq = before.items_seq, before.removals_seq

    def reserve(self, count: int = 1) -> int:
        """Return the first of `count` new sequence numbers."""
        self.seq += count
        return self.seq - count + 1

    def mark_items_changed(self) -> None:
        """Make every worker load the item changes up to now."""
        self._items_seq = self.seq

    def mark_events_changed(self, seqs: Iterable[int]) -> None:
        """Make every worker look again at events that were removed, or given to another user.

        Args:
            seqs: Their sequence numbers.
        """
        self.mark_blocks_changed({seq // BLOCK_EVENTS for seq in seqs})

    def mark_blocks_changed(self, blocks: Iterable[int]) -> None:
        """Do the same for all events of some blocks, see `service.store.schema.removals`."""
        self._removals_seq = self.seq
        numbers = sorted(blocks)
        if self.connection.dialect.name == "sqlite":  # quicker: a long log has thousands
            listed = {"seq": self.seq, "blocks": orjson.dumps(numbers).decode()}
            self.connection.execute(_MARK_LISTED, listed)
            return
        for chunk in split_parameters(numbers):
            self.connection.execute(removals.delete().where(removals.c.block.in_(chunk)))
        if numbers:
            rows = [{"block": number, "seq": self.seq} for number in numbers]
            self.connection.execute(removals.insert(), rows)

    def write_sequence(self) -> None:
        """Write the new sequence numbers, if any were taken."""
        after = replace(
            self.before,
            seq=self.seq,
            items_seq=self._items_seq,
            removals_seq=self._removals_seq,
        )
        if after != self.before:
            values = {"seq": after.seq, "items_seq": after.items_seq}
            self.connection.execute(
                counter.update().values(**values, removals_seq=after.removals_seq)
            )
