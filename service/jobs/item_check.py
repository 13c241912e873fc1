"""Events to how many of them name an item of the catalogue: the snapshot's, or a live one."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

from indexer.errors import CatalogError, SnapshotError
from indexer.metadata import MetadataStore
from indexer.reading import ItemNames
from indexer.snapshot import find_snapshot, read_manifest
from service.store import Event, LiveDatabase, load_changes

_MIN_TO_JUDGE = 100  # events; of fewer it may be chance that none names an item


class ItemCheck:
    """Counts events by whether their item is in the catalogue.

    Args:
        root: Index directory.
        database: The live store.
        fields_option: The option that names columns of events, for messages.

    Attributes:
        named: Events that name an item.
        known: Of these, those whose item is in the catalogue.
        first_unknown: The first item that is not; empty without any.
        has_catalogue: Whether there is a snapshot; without one nothing is counted.
    """

    def __init__(self, root: Path, database: LiveDatabase, *, fields_option: str) -> None:
        self.named = self.known = 0
        self.first_unknown = ""
        self._database, self._fields_option = database, fields_option
        self._is_known: dict[str, bool] = {}
        self._opened = ExitStack()
        self._metadata: MetadataStore | None = None
        try:
            snapshot = find_snapshot(root)
            self._applied_seq = read_manifest(snapshot).applied_seq
            self._metadata = self._opened.enter_context(
                MetadataStore.open(snapshot / "catalog.sqlite")
            )
        except SnapshotError:  # nothing is built yet, or whoever serves it will say what is wrong
            self._applied_seq = 0

    @property
    def has_catalogue(self) -> bool:
        """Whether there is a catalogue to compare with."""
        return self._metadata is not None

    def make_names(self) -> ItemNames | None:
        """Return what finds the items of the catalogue by other names; None without one."""
        metadata = self._metadata
        if metadata is None:
            return None
        return ItemNames(self._find_known, lambda: (item for _, item in metadata.iterate()))

    def _find_known(self, ids: Collection[str]) -> set[str]:
        self._look_up({item_id for item_id in ids if item_id not in self._is_known})
        return {item_id for item_id in ids if self._is_known[item_id]}

    def close(self) -> None:
        """Close the catalogue."""
        self._opened.close()

    def observe(self, events: Sequence[Event], source: str) -> None:
        """Count some events, in their order.

        Args:
            events: They are not kept yet.
            source: Where they are from.

        Raises:
            CatalogError: If they are the first, and many, and none names an item.
        """
        if self._metadata is None:
            return
        ids = [event.item_id for event in events if event.item_id is not None]
        self._look_up({item_id for item_id in ids if item_id not in self._is_known})
        unknown = [item_id for item_id in ids if not self._is_known[item_id]]
        is_first = not self.named
        self.named += len(ids)
        self.known += len(ids) - len(unknown)
        self.first_unknown = self.first_unknown or next(iter(unknown), "")
        if is_first and len(ids) >= _MIN_TO_JUDGE and not self.known:
            raise CatalogError(
                f"none of the first {len(ids):,} interactions of {source} names an item of the "
                f"catalogue {self.describe_unknown()}; nothing was kept; name the column of item "
                f"ids with {self._fields_option} item_id=…, or build the index over these items "
                f"first"
            )

    def describe_unknown(self) -> str:
        """Return the first unknown id beside one of the catalogue, in brackets."""
        example = ""
        if self._metadata is not None and len(self._metadata):
            example = f'; the catalogue\'s look like "{self._metadata.read_ids([0])[0][:60]}"'
        return f'(first: "{self.first_unknown[:60]}"{example})'

    def _look_up(self, ids: Collection[str]) -> None:
        if not ids or self._metadata is None:
            return
        listed = sorted(ids)
        known = set(self._metadata.find_rows(listed))
        with self._database.begin_read() as connection:
            changes = load_changes(connection, listed)
        for item_id, change in changes.items():
            if change.seq > self._applied_seq:
                (known.discard if change.fields is None else known.add)(item_id)
        self._is_known.update((item_id, item_id in known) for item_id in listed)
