"""Many values to SQL statements that are short enough for every database."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

_MAX_SQL_PARAMETERS = 500  # in one statement; older SQLite allows 999
_T = TypeVar("_T")


def split_parameters(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield values in lists that are short enough for the parameters of one SQL statement."""
    remaining = iter(values)
    while chunk := list(islice(remaining, _MAX_SQL_PARAMETERS)):
        yield chunk


def may_hold_rows(connection: sa.Connection, table: sa.Table, *, count: int) -> bool:
    """Return whether it is worth looking for `count` values in a table, which may be empty."""
    if count <= _MAX_SQL_PARAMETERS:  # one statement, as asking whether it is empty would be
        return True
    any_row = sa.select(sa.literal(1)).select_from(table).limit(1)
    return connection.execute(any_row).first() is not None
