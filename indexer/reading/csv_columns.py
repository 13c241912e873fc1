r"""Cells of one CSV column to the type of the whole column, and each of them to its value. Pure.

A column gets one type for the whole file, so that filters compare values of one type:

* Titles, prose, reviews and ids (`id`, `movie_id`, `movieId`, `isbn`, …) always stay text. Ids that
  are all written as `12.0` lose the `.0`, which pandas adds to whole numbers with a gap.
* Tag columns (`tags`, `genres`, `mood`, …) hold lists, see `indexer.reading.list_columns`.
* Columns with a meaning of their own (`price`, `rating`, `available`, `location`, `created_at`,
  `vector`) are numbers if every cell is one, else text that the field's own parser reads.
* Otherwise numbers, if every cell is written as programs write numbers (`-3`, `9.90`, `1e-05`,
  `1.5E7`, `1,299`), or if at least 95% of at least 20 are: the others are left out then, and named.
  Names that consist of digits make a column text: `007`, `+1`, `.5`, `1e5`, 16 and more digits.
* Otherwise booleans, if every cell is `true` or `false` in any case.
* Otherwise lists and objects, if every cell spells one in JSON or Python or all are PostgreSQL's.
* Otherwise text, and a list in the rows that have `a|b|c`. Dates like `29/01/2021` in a column
  named as one (`release_date`, …) become ISO 8601 if the column tells which number is the day.

In ids, texts and tags a cell that programs write for nothing (`NULL`, `nan`, `None`, `N/A`,
`undefined`) is missing: a cell of CSV cannot say otherwise, as JSON can.

An empty cell, or the `\N` of database dumps, is missing; so are words for nothing (`NA`, `None`,
`-`), `nan` and infinities in a column of numbers, booleans or dates.
"""

from typing import Any, Protocol

from typing_extensions import override

from indexer.field_names import PROSE_FIELDS, REVIEW_FIELDS, TAG_FIELDS, TITLE_FIELDS
from indexer.reading.cells import is_identifier
from indexer.reading.date_columns import is_date_name
from indexer.reading.list_columns import ListColumn
from indexer.reading.value_column import Conversion, ValueColumn, convert_text
from indexer.reading.whole_ids import WholeIds

LIST_COLUMNS = frozenset((*TAG_FIELDS, "tags", "categories", "genres", "keywords", "topics"))
TEXT_COLUMNS = frozenset((*TITLE_FIELDS, *PROSE_FIELDS, *REVIEW_FIELDS))
# Fields whose own parser reads more forms than a column of numbers may have.
PARSED_FIELDS = frozenset(("price", "rating", "available", "location", "created_at", "vector"))
ID_FIELDS = frozenset(("id", "item_id", "item", "user_id", "user"))


# Spelt as programs write them: somebody may be called Nan.
_NOTHING = frozenset(
    ("NULL", "null", "Null", "nan", "NaN", "None", "N/A", "n/a", "#N/A", "undefined")
)


class CsvColumn(Protocol):
    """Infers the type of one column: `observe` every cell, then read `conversion`."""

    @property
    def is_undecided(self) -> bool:
        """Whether a further cell could still change the type."""

    def observe(self, cell: str, line: int) -> None:
        """Note a cell and the line of its row."""

    @property
    def conversion(self) -> Conversion:
        """The function from a cell of this column to its value, or to `UNREADABLE`."""

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""


def watch_column(*names: str) -> CsvColumn:
    """Return what infers the type of a column.

    Args:
        names: The column's own name and the field names that it is mapped to.
    """
    known = frozenset(names)
    if known & ID_FIELDS:
        return _IdColumn()
    if known & LIST_COLUMNS:
        return _TagColumn()
    if known & TEXT_COLUMNS or any(map(is_identifier, names)):
        return _TextColumn()
    is_date = any(map(is_date_name, names))
    return ValueColumn(has_parser=bool(known & PARSED_FIELDS), is_date=is_date)


class _TextColumn(CsvColumn):
    is_undecided = False

    @override
    def observe(self, cell: str, line: int) -> None:
        pass

    @property
    @override
    def conversion(self) -> Conversion:
        return convert_words

    @override
    def describe(self) -> list[str]:
        return []


def convert_words(cell: str) -> str | None:
    """Return the text of a cell; None if it is missing or is a word for nothing."""
    return None if cell.strip() in _NOTHING else convert_text(cell)


class _IdColumn(CsvColumn):
    """Ids; `12.0` is `12` if all of them are written so."""

    def __init__(self) -> None:
        self._ids = WholeIds()

    @property
    @override
    def is_undecided(self) -> bool:
        return self._ids.may_be_floats

    @override
    def observe(self, cell: str, line: int) -> None:
        if cell.strip() not in _NOTHING:
            self._ids.observe(cell)

    @property
    @override
    def conversion(self) -> Conversion:
        return self._convert_id if self._ids.changes_cells else convert_words

    def _convert_id(self, cell: str) -> str | None:
        return None if cell.strip() in _NOTHING else self._ids.convert(cell)

    @override
    def describe(self) -> list[str]:
        return self._ids.describe()


class _TagColumn(CsvColumn):
    """Tags: lists in any notation."""

    is_undecided = True

    def __init__(self) -> None:
        self._lists = ListColumn()

    @override
    def observe(self, cell: str, line: int) -> None:
        if cell.strip() not in _NOTHING:
            self._lists.observe(cell)

    @property
    @override
    def conversion(self) -> Conversion:
        self._lists.decide()
        return self._convert_tags

    def _convert_tags(self, cell: str) -> Any:
        value = None if cell.strip() in _NOTHING else self._lists.convert(cell)
        return [tag for tag in value if tag not in _NOTHING] if isinstance(value, list) else value

    @override
    def describe(self) -> list[str]:
        return self._lists.describe()
