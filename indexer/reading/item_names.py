"""What interactions call their items to the ids of the catalogue: ids, or else SKUs and titles."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from indexer.normal_forms import normalize
from indexer.reading.name_spellings import normalise_name

_SKU_FIELDS = frozenset(("sku", "skus", "variantsku", "itemsku", "productsku", "sellersku"))
_LOW_SHARE = 0.5  # of the items of the first rows, below which their names are probably no ids
_VARIANT_MARK = " - "  # between a product's title and its variant, as shops write it


class ItemNames:
    """Finds the items that interactions name.

    The other names are read and consulted only if few of the first rows name an item by its id.

    Args:
        find_ids: Returns those of some names that are ids of the catalogue.
        read_items: Yields the fields of every item.
    """

    def __init__(
        self,
        find_ids: Callable[[Collection[str]], Collection[str]],
        read_items: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> None:
        self._find_ids, self._read_items = find_ids, read_items
        self._ids: frozenset[str] = frozenset()
        self._id_by_name: dict[str, str | None] = {}  # None: several items are called so
        self._is_consulted = False
        self._resolved_count = 0
        self._first = ("", "")
        self._ambiguous_count = 0
        self._first_ambiguous = ""

    def count_known(self, names: Collection[str]) -> int:
        """Return how many of some names are those of items."""
        found = len(self._find_ids(names))
        if found < _LOW_SHARE * len(names):
            self._read_other_names()
            found = max(found, sum(self._look_up(name) is not None for name in names))
        return found

    def observe(self, names: Collection[str]) -> None:
        """Note what the first rows call their items, and consult other names if they need them."""
        if names and len(self._find_ids(names)) < _LOW_SHARE * len(names):
            self._read_other_names()
            self._is_consulted = True

    def _read_other_names(self) -> None:
        if self._ids:
            return
        ids = set()
        for fields in self._read_items():
            item_id = str(fields["id"])
            ids.add(item_id)
            for name in set(_list_other_names(fields)):
                is_free = self._id_by_name.setdefault(name, item_id) == item_id
                self._id_by_name[name] = item_id if is_free else None
        self._ids = frozenset(ids)

    def _look_up(self, name: str) -> str | None:
        """Return the id of the item that is called so; None if none is, or several are."""
        if name in self._ids:
            return name
        key = self._find_key(name)
        return None if key is None else self._id_by_name[key]

    def _find_key(self, name: str) -> str | None:
        """Return what items are known by that are called so: all of it, or a title before a mark.

        A name of several items is theirs, and not that of another one with a shorter title.
        """
        title, _, _ = name.rpartition(_VARIANT_MARK)
        keys = (_fold(name), _fold(title))
        return next((key for key in keys if key in self._id_by_name), None)

    def resolve(self, name: str) -> str:
        """Return the id of the item that is called so; the name itself if none is known to be."""
        found = self._look_up(name) if self._is_consulted else name
        if found is None and self._find_key(name) is not None:
            self._first_ambiguous = self._first_ambiguous or name
            self._ambiguous_count += 1
        if found is None or found == name:
            return name
        self._first = self._first if self._resolved_count else (name, found)
        self._resolved_count += 1
        return found

    def describe(self) -> list[str]:
        """Return that items were found by other names, and that some names are of several."""
        told = []
        if self._resolved_count:
            name, item_id = self._first
            told.append(
                f"{self._resolved_count:,} items are named by SKU or title, and read as ids of the "
                f"catalogue (first: {name[:60]!r} is {item_id[:60]!r})"
            )
        if self._ambiguous_count:
            told.append(
                f"{self._ambiguous_count:,} names are each that of several items of the catalogue, "
                f"and are taken for none of them (first: {self._first_ambiguous[:60]!r})"
            )
        return told


def _list_other_names(fields: Mapping[str, Any]) -> Iterator[str]:
    for field_name, value in fields.items():
        if field_name == "title" and isinstance(value, str) and value.strip():
            yield _fold(value)
        elif normalise_name(field_name) in _SKU_FIELDS:
            yield from _list_words(value)
        elif isinstance(value, list):
            for part in value:
                if isinstance(part, Mapping):
                    yield from _list_words(part.get("sku"))


def _list_words(value: Any) -> Iterator[str]:
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str | int) and str(part).strip():
            yield _fold(str(part))


def _fold(name: str) -> str:
    return normalize("NFKC", name).strip().casefold()
