"""The first records of a file without a header to the names of its columns. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from indexer.errors import CatalogError
from indexer.event_kinds import find_event
from indexer.reading.column_names import Role, SourceNames, has_known_name
from indexer.reading.id_columns import collect_ids
from indexer.reading.rows import clip

_NUMBER = re.compile(r"\s*-?\d+(?:\.\d+)?\s*", re.ASCII)
_WHOLE = re.compile(r"\s*\d+\s*", re.ASCII)
_ISO_TIME = re.compile(r"\s*\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?", re.ASCII)
_MAX_RATING = 100.0
# From the start of 1995 to the end of 2099: ids as large as the seconds of 1974 are no times.
_MIN_UNIX_SECONDS, _MAX_UNIX_SECONDS = 788_918_400.0, 4_102_444_800.0
_UNITS = (1.0, 1e3, 1e6)  # of a second: seconds, milliseconds, microseconds
# A time, a list or object, an address: no column is called so.
_NO_NAME = re.compile(rf"{_ISO_TIME.pattern}|\[.*\]|\{{.*\}}|https?://\S+", re.ASCII | re.DOTALL)
_BEHAVIOURS = frozenset(("pv", "buy", "cart", "fav"))
_RATINGS = ("user_id", "item_id", "rating", "timestamp")
_BEHAVIOUR_LOG = ("user_id", "item_id", "category", "event", "timestamp")
_FILMS = ("id", "title", "genres")
_MANY = 3  # rows, from which a number that all have is no value
_ITEM_SHARE = 0.5  # of the ids in a column, from which on it is one of items of the catalogue

Columns = Sequence[Sequence[str]]


def lacks_header(first: Sequence[str], naming: SourceNames) -> bool:
    """Whether the first record of a file is data.

    It has numbers, times, lists, addresses or items of the catalogue, and no name that is known.
    That `--fields` names columns by number is proof, too, unless the cell of such a column is a
    known name.
    """
    mapped = {theirs for theirs in naming.mapping.values() if not _NUMBER.fullmatch(theirs)}
    if not mapped.isdisjoint(first) or list(first) == _number_columns(len(first)):
        return False
    numbered = [first[place] for place in _list_places(naming.mapping.values(), len(first))]
    if numbered and not has_known_name(numbered, naming.role):
        return True
    named = [cell for cell in first if find_event(cell) is None]  # "like" is an event, too
    if has_known_name(named, naming.role):
        return False
    if any(_NUMBER.fullmatch(cell) or _NO_NAME.fullmatch(cell) for cell in first):
        return True
    return naming.role is Role.INTERACTIONS and _count(naming, first) > 0


def _count(naming: SourceNames, cells: Sequence[str]) -> int:
    return 0 if naming.count_known is None else naming.count_known(collect_ids(cells))


def _list_places(names: Iterable[str], width: int) -> list[int]:
    """Return the places of columns, from 0, that are named by number."""
    numbers = _number_columns(width)
    return [numbers.index(name) for name in names if name in numbers]


def _number_columns(width: int) -> list[str]:
    return [str(number) for number in range(1, width + 1)]


def name_columns(
    source: str, records: Sequence[Sequence[str]], naming: SourceNames
) -> tuple[str, ...]:
    """Return the names of the columns of a file without a header.

    They are numbers from 1 if `--fields` names columns so, else those of data sets of this shape:
    ratings, logs of behaviour, films. Interactions are told by their cells, too, if one column
    names items of the catalogue.

    Args:
        source: The file, for messages.
        records: Its first records.
        naming: What decides the names.

    Raises:
        CatalogError: If the names cannot be known.
    """
    width = len(records[0])
    numbers = _number_columns(width)
    if not set(numbers).isdisjoint(naming.mapping.values()):
        return tuple(numbers)
    columns = list(zip(*(record for record in records if len(record) == width), strict=True))
    names = _recognise_shape(columns, naming.role)
    if names is not None:
        return names
    guess = _guess_interactions(columns, naming)
    if guess.is_sure:
        return guess.names
    example = "id=1,title=2" if naming.role is Role.CATALOGUE else guess.render_fields()
    given = [
        f"{ours}={theirs}"
        for ours, theirs in naming.mapping.items()
        if f",{ours}=" not in f",{example}"
    ]
    raise CatalogError(
        f"{source} has no header: its first line is {clip(', '.join(records[0]), 80)!r}; write a "
        f"line with the names of its columns before it, or name them by number with "
        f"{naming.fields_option} {','.join([*given, example])}"
    )


@dataclass(frozen=True, slots=True)
class _Guess:
    """What the columns of interactions are, as their cells show.

    Attributes:
        names: Our name of each column; its number where it is not known.
        is_sure: Whether a column is known to name items of the catalogue, and no other reading
            fits as well.
    """

    names: tuple[str, ...]
    is_sure: bool

    def render_fields(self) -> str:
        """Return the guess as the value of `--fields`."""
        pairs = [(name, number) for number, name in enumerate(self.names, 1) if not name.isdigit()]
        order = ("user_id", "item_id", "event", "value", "timestamp")
        pairs.sort(key=lambda pair: order.index(pair[0]))
        return ",".join(f"{name}={number}" for name, number in pairs)


def _guess_interactions(columns: Columns, naming: SourceNames) -> _Guess:
    """Return what columns are: the item by the catalogue, the others by what their cells hold."""
    names = dict(enumerate(_number_columns(len(columns))))
    free = list(range(len(columns)))

    def take(name: str, fits: Callable[[Sequence[str]], bool], places: Sequence[int]) -> bool:
        found = next((place for place in places if fits(columns[place])), None)
        if found is not None:
            names[found] = name
            free.remove(found)
        return found is not None

    take("event", _are_events, free)
    has_two_times = sum(_are_times(columns[place]) for place in free) > 1
    take("timestamp", _are_times, free[::-1])
    shares = {place: _measure_item_share(columns[place], naming) for place in free}
    best = max(shares, key=lambda place: shares[place], default=0)
    is_sure = shares.get(best, 0.0) >= _ITEM_SHARE and len(free) > 1
    if is_sure:
        names[best] = "item_id"
        free.remove(best)
    if not (take("user_id", _are_many_ids, free) or take("user_id", _are_ids, free)):
        take("user_id", lambda _: True, free)
    if not is_sure:
        take("item_id", lambda _: True, free)
    take("value", _are_counts_or_ratings, free[::-1])
    return _Guess(tuple(names.values()), is_sure and not has_two_times)


def _measure_item_share(cells: Sequence[str], naming: SourceNames) -> float:
    ids = collect_ids(cells)
    return _count(naming, cells) / len(ids) if ids else 0.0


def _are_events(cells: Sequence[str]) -> bool:
    return all(find_event(cell) is not None for cell in set(cells))


def _are_times(cells: Sequence[str]) -> bool:
    return all(_is_unix_time(cell) or _ISO_TIME.fullmatch(cell) for cell in cells)


def _are_counts_or_ratings(cells: Sequence[str]) -> bool:
    """Whether all are numbers, and not the same one for many rows, which says nothing."""
    return all(map(_NUMBER.fullmatch, cells)) and (len(cells) < _MANY or len(set(cells)) > 1)


def _are_ids(cells: Sequence[str]) -> bool:
    """Whether no cell is a number with decimals."""
    return not any("." in cell and _NUMBER.fullmatch(cell) for cell in cells)


def _are_many_ids(cells: Sequence[str]) -> bool:
    """Whether they are ids of more than one."""
    return _are_ids(cells) and len(set(cells)) > 1


def _recognise_shape(columns: Columns, role: Role) -> tuple[str, ...] | None:
    if role is Role.CATALOGUE:
        is_film = len(columns) == 3 and _are_films(*columns)
        return _FILMS if is_film else None
    if len(columns) not in (4, 5) or not all(map(_is_unix_time, columns[-1])):
        return None
    if len(columns) == 5:
        return _BEHAVIOUR_LOG if _BEHAVIOURS.issuperset(columns[3]) else None
    are_ratings = all(_NUMBER.fullmatch(c) and abs(float(c)) <= _MAX_RATING for c in columns[2])
    return _RATINGS if are_ratings else None


def _are_films(ids: Sequence[str], titles: Sequence[str], genres: Sequence[str]) -> bool:
    are_ids = all(map(_WHOLE.fullmatch, ids)) and len(set(ids)) == len(ids)
    has_lists = any("|" in cell for cell in genres)
    return are_ids and has_lists and not all(map(_NUMBER.fullmatch, titles))


def _is_unix_time(cell: str) -> bool:
    if not _NUMBER.fullmatch(cell):
        return False
    return any(_MIN_UNIX_SECONDS <= float(cell) / unit < _MAX_UNIX_SECONDS for unit in _UNITS)
