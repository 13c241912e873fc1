"""Columns that may hold the ids of items to the one that does. Pure.

Fashion shops have a product_code for all colours beside an article_id: the id of a catalogue is the
column that tells its items apart and that the interactions name.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from indexer.reading.field_parsers import BadValueError, is_missing, parse_id
from indexer.reading.rows import BadRow, Row

SAMPLE_ROWS = 10_000
_AS_GOOD = 0.9  # of the greatest share of distinct values that another column has, at least
_AS_KNOWN = 0.5  # of the greatest share of values that the other source knows, at least

# Returns how many of some ids the other source has: the catalogue, or the interactions.
CountKnown: TypeAlias = Callable[[Collection[str]], int]


def choose_id_column(
    samples: Mapping[str, Sequence[Any]], *, count_known: CountKnown | None, is_unique: bool
) -> tuple[str, str]:
    """Return the column of ids among several, and why it is not the first; "" if it is.

    Args:
        samples: The first values of each, `None` where there is none; the usual column first.
        count_known: Counts the ids that the other source has; None: there is no other.
        is_unique: Whether an id comes once, as in a catalogue.
    """
    first = next(iter(samples))
    distinct = {column: collect_ids(values) for column, values in samples.items()}
    left = list(samples)
    if count_known is not None:
        known = {column: count_known(ids) / max(len(ids), 1) for column, ids in distinct.items()}
        least = _AS_KNOWN * max(known.values())
        left = [column for column in left if known[column] >= least]
        if first not in left:
            other = "interactions do" if is_unique else "catalogue does"
            return left[0], f"whose values the {other} not have"
    if is_unique:
        share = {column: len(distinct[column]) / max(len(samples[column]), 1) for column in left}
        left = [column for column in left if share[column] >= _AS_GOOD * max(share.values())]
    return left[0], "" if left[0] == first else "whose values repeat"


def collect_samples(rows: Iterable[Row | BadRow], columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of some columns in the order of `rows`."""
    good = [row.values for row in rows if isinstance(row, Row)]
    return {column: [values.get(column) for values in good] for column in columns}


def collect_ids(values: Iterable[Any]) -> frozenset[str]:
    """Return the different ids among some cells."""
    ids = set()
    for value in values:
        try:
            ids.add("" if is_missing(value) else parse_id("id", value))
        except BadValueError:
            continue
    return frozenset(ids - {""})
