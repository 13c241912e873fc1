"""The rows of a small file to those whose cells have moved, by what all other rows hold. Pure.

In a long file the types of its columns tell it row by row; in a short one each row is compared with
the columns as they are without it.
"""

from collections.abc import Callable, Mapping, Sequence

from indexer.reading.csv_columns import CsvColumn
from indexer.reading.delimited_records import Record

MAX_FEW_ROWS = 20  # of a file that is compared so
_MIN_OTHERS = 5  # cells that agree, from which one more can contradict them
_MIN_STRANGE_CELLS = 3  # of a row whose cells have moved


def find_strange_cells(verdicts: Mapping[str, bool | None]) -> list[str]:
    """Return the columns that a row contradicts, if it fits none that have a type; else nothing.

    Args:
        verdicts: Column to whether its cell contradicts it, from `CsvColumn.contradicts`.
    """
    strange = [name for name, verdict in verdicts.items() if verdict]
    has_moved = len(strange) >= _MIN_STRANGE_CELLS and False not in verdicts.values()
    return strange if has_moved else []


def find_moved_rows(
    records: Sequence[Record], names: Sequence[str], watch: Callable[[], Sequence[CsvColumn]]
) -> dict[int, list[str]]:
    """Return the line of each row whose cells have moved, and the columns that show it.

    Args:
        records: All of a file, at most `MAX_FEW_ROWS`; nothing is found in more.
        names: Of its columns; "" is left out.
        watch: Returns new columns, of which no cell is known.
    """
    if len(records) > MAX_FEW_ROWS:
        return {}
    moved = {}
    for line, cells in records:
        columns = watch()
        others = [record for record in records if record[0] != line]
        for place, column in enumerate(columns):
            lines = [other for other, _ in others]
            column.observe_all([known[place] for _, known in others], lines)
        verdicts = {
            name: column.contradicts(cell, _MIN_OTHERS)
            for name, column, cell in zip(names, columns, cells, strict=True)
            if name
        }
        if strange := find_strange_cells(verdicts):
            moved[line] = strange
    return moved
