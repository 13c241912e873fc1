"""Ids to those that a catalogue has, also beside a snapshot without items."""

from collections.abc import Iterable

from service.live.known_ids import KnownIds


class Items:
    """Ids by place: all that is asked of a snapshot and of the catalogue over it."""

    def __init__(self, *ids: str, base: "Items | None" = None) -> None:
        self._ids, self.count = ids, len(ids)
        self.base = base or self

    def ids(self, places: Iterable[int]) -> list[str]:
        return [self._ids[place] for place in places]


def test_beside_an_empty_snapshot_live_items_alone_are_known() -> None:
    known = KnownIds()
    catalogue = Items("new", base=Items())
    asked = ["made up", "new"]
    assert known.keep_known(catalogue, asked) == ["new"]  # type: ignore[arg-type]  # as far as used
    assert known.keep_known(Items(), asked) == []  # type: ignore[arg-type]  # as far as used
    assert known.keep_known(catalogue, []) == []  # type: ignore[arg-type]  # as far as used


def test_ids_of_the_snapshot_and_live_ones_are_known() -> None:
    catalogue = Items("a", "b", "new", base=Items("a", "b"))
    asked = ["new", "zzz", "b", ""]
    assert KnownIds().keep_known(catalogue, asked) == ["new", "b"]  # type: ignore[arg-type]  # as far as used
