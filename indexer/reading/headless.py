"""The first records of a file without a header to the names of its columns. Pure."""

import re
from collections.abc import Mapping, Sequence

from indexer.errors import CatalogError
from indexer.reading.column_names import Role, has_known_name
from indexer.reading.rows import clip

_NUMBER = re.compile(r"\s*-?\d+(?:\.\d+)?\s*", re.ASCII)
_WHOLE = re.compile(r"\s*\d+\s*", re.ASCII)
_MIN_UNIX_SECONDS, _MAX_RATING = 1e8, 100.0
_BEHAVIOURS = frozenset(("pv", "buy", "cart", "fav"))
_RATINGS = ("user_id", "item_id", "rating", "timestamp")
_BEHAVIOUR_LOG = ("user_id", "item_id", "category", "event", "timestamp")
_FILMS = ("id", "title", "genres")


def lacks_header(first: Sequence[str], role: Role, mapping: Mapping[str, str]) -> bool:
    """Whether the first record of a file is data: it has numbers, and no name that is known."""
    mapped = {theirs for theirs in mapping.values() if not _NUMBER.fullmatch(theirs)}
    if not mapped.isdisjoint(first) or list(first) == _number_columns(len(first)):
        return False
    return any(map(_NUMBER.fullmatch, first)) and not has_known_name(first, role)


def _number_columns(width: int) -> list[str]:
    return [str(number) for number in range(1, width + 1)]


def name_columns(
    source: str, records: Sequence[Sequence[str]], role: Role, mapping: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names of the columns of a file without a header.

    They are numbers from 1 if `--fields` names columns so, else those of data sets of this shape:
    ratings, logs of behaviour, films.

    Args:
        source: The file, for messages.
        records: Its first records.
        role: What its rows are.
        mapping: Our names to the source's.

    Raises:
        CatalogError: If the names cannot be known.
    """
    width = len(records[0])
    numbers = _number_columns(width)
    if not set(numbers).isdisjoint(mapping.values()):
        return tuple(numbers)
    names = _recognise_shape([record for record in records if len(record) == width], role)
    if names is not None:
        return names
    example = "id=1,title=2" if role is Role.CATALOGUE else "user_id=1,item_id=2"
    raise CatalogError(
        f"{source} has no header: its first line is {clip(', '.join(records[0]), 80)!r}; write a "
        f"line with the names of its columns before it, or name them by number with --fields "
        f"{example}"
    )


def _recognise_shape(records: Sequence[Sequence[str]], role: Role) -> tuple[str, ...] | None:
    columns = list(zip(*records, strict=True))
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
    return bool(_NUMBER.fullmatch(cell)) and float(cell) >= _MIN_UNIX_SECONDS
