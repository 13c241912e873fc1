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
* Otherwise booleans, if every cell is `true` or `false` in any case, or 95% of at least 20.
* In a file with semicolons between cells `1,5` is a number too, if the whole column is of such.
  In prices and ratings the whole column tells whether `1.299` and `1,299` have decimals.
* A column of dates, or one named so, may hold numbers of 20,000 to 60,000: they are days of Excel.
* Otherwise lists and objects, if every cell spells one in JSON or Python or all are PostgreSQL's.
* Otherwise text, and a list in the rows that have `a|b|c`. Dates like `29/01/2021` in a column
  named as one (`release_date`, …) become ISO 8601 if the column tells which number is the day.

In ids, texts and tags a cell that programs write for nothing is missing, see
`indexer.reading.missing_words`.

An empty cell, or the `\N` of database dumps, is missing; so are words for nothing (`NA`, `None`,
`-`), `nan` and infinities in a column of numbers, booleans or dates.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from typing_extensions import override

from indexer.field_names import PROSE_FIELDS, REVIEW_FIELDS, TAG_FIELDS, TITLE_FIELDS
from indexer.reading.cell_conversions import convert_text
from indexer.reading.cells import is_identifier
from indexer.reading.date_columns import is_date_name
from indexer.reading.list_columns import ListColumn
from indexer.reading.missing_words import MAX_WORD_CHARS, PROGRAM_WORDS, is_missing_text
from indexer.reading.value_column import MIN_TYPED, ValueColumn
from indexer.reading.whole_ids import WholeIds

LIST_COLUMNS = frozenset((*TAG_FIELDS, "tags", "categories", "genres", "keywords", "topics"))
TEXT_COLUMNS = frozenset((*TITLE_FIELDS, *PROSE_FIELDS, *REVIEW_FIELDS))
AMOUNT_FIELDS = frozenset(("price", "rating"))
# Fields whose own parser reads more forms than a column of numbers may have.
PARSED_FIELDS = AMOUNT_FIELDS | {"available", "location", "created_at", "vector"}
ID_FIELDS = frozenset(("id", "item_id", "item", "user_id", "user"))

_DIGITS = re.compile(r"\d+", re.ASCII)
_MIN_DIGITS_SHARE, _ENOUGH_IDS = 0.95, 10_000


class CsvColumn(Protocol):
    """Infers the type of one column: `observe_all` its cells, then `convert_all` of them."""

    @property
    def is_undecided(self) -> bool:
        """Whether a further cell could still change the type."""

    def observe_all(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Note some cells and the lines of their rows."""

    def convert_all(self, cells: Sequence[str]) -> Sequence[Any]:
        """Return the values of some cells, or `UNREADABLE`."""

    def contradicts(self, cell: str, min_cells: int = MIN_TYPED) -> bool | None:
        """Whether a cell is not what its column holds; None if it is missing or anything fits.

        Args:
            cell: As it is written.
            min_cells: That the column has, at least; of fewer than usual all must agree.
        """

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""


def watch_column(*names: str, has_commas: bool = False, has_comma_lists: bool = False) -> CsvColumn:
    """Return what infers the type of a column.

    Args:
        names: The column's own name and the field names that it is mapped to.
        has_commas: Whether the source writes commas before decimals if any does.
        has_comma_lists: Whether the source's own format puts commas between its tags.
    """
    known = frozenset(names)
    if known & ID_FIELDS:
        return _IdColumn()
    if known & LIST_COLUMNS:
        return _TagColumn(has_commas=has_comma_lists)
    if known & TEXT_COLUMNS or any(map(is_identifier, names)):
        return TextColumn()
    return ValueColumn(
        has_parser=bool(known & PARSED_FIELDS),
        is_date=any(map(is_date_name, names)),
        is_amount=bool(known & AMOUNT_FIELDS),
        has_commas=has_commas,
    )


class TextColumn(CsvColumn):
    """Text, without words for nothing."""

    is_undecided = False

    @override
    def observe_all(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        pass

    @override
    def convert_all(self, cells: Sequence[str]) -> Sequence[Any]:
        return _convert_all_words(cells)

    @override
    def contradicts(self, cell: str, min_cells: int = MIN_TYPED) -> bool | None:
        return None

    @override
    def describe(self) -> list[str]:
        return []


class RawColumn(TextColumn):
    """Text as it is."""

    @override
    def convert_all(self, cells: Sequence[str]) -> Sequence[Any]:
        return [cell if cell[:1].isalnum() else convert_text(cell) for cell in cells]


def _convert_all_words(cells: Sequence[str]) -> list[str | None]:
    """Return what `convert_words` does of each cell; most are text, which is seen in no time."""
    return [
        cell
        if (
            cell[0].isalnum() and not cell[-1].isspace()
            if len(cell) > MAX_WORD_CHARS
            else cell.isalnum() and cell not in PROGRAM_WORDS
        )
        else convert_words(cell)
        for cell in cells
    ]


def convert_words(cell: str) -> str | None:
    """Return the text of a cell; None if it is missing or is a word for nothing."""
    return None if is_missing_text(cell) else convert_text(cell)


class _IdColumn(CsvColumn):
    """Ids; `12.0` is `12` if all of them are written so."""

    def __init__(self) -> None:
        self._ids = WholeIds()
        self._digits = self._seen = 0

    @property
    @override
    def is_undecided(self) -> bool:
        return self._ids.may_be_floats or self._seen < _ENOUGH_IDS

    @override
    def observe_all(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        for cell in cells if self._ids.may_be_floats else ():
            if not is_missing_text(cell):
                self._ids.observe(cell)
        self._seen += len(cells)
        self._digits += sum(1 for cell in cells if _DIGITS.fullmatch(cell))

    @override
    def convert_all(self, cells: Sequence[str]) -> Sequence[Any]:
        if self._ids.changes_cells:
            return [None if is_missing_text(cell) else self._ids.convert(cell) for cell in cells]
        return _convert_all_words(cells)

    @override
    def contradicts(self, cell: str, min_cells: int = MIN_TYPED) -> bool | None:
        are_digits = self._seen >= min_cells and self._digits >= _MIN_DIGITS_SHARE * self._seen
        return _DIGITS.fullmatch(cell.strip()) is None if are_digits else None

    @override
    def describe(self) -> list[str]:
        return self._ids.describe()


class _TagColumn(CsvColumn):
    """Tags: lists in any notation."""

    is_undecided = True

    def __init__(self, *, has_commas: bool) -> None:
        self._lists = ListColumn(has_commas=has_commas)

    @override
    def observe_all(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        for cell in dict.fromkeys(cells):
            if not is_missing_text(cell):
                self._lists.observe(cell)

    @override
    def convert_all(self, cells: Sequence[str]) -> Sequence[Any]:
        return [self._convert(cell) for cell in cells]

    def _convert(self, cell: str) -> Any:
        value = None if is_missing_text(cell) else self._lists.convert(cell)
        if isinstance(value, list):
            return [tag for tag in value if not (isinstance(tag, str) and is_missing_text(tag))]
        return value

    @override
    def contradicts(self, cell: str, min_cells: int = MIN_TYPED) -> bool | None:
        return None

    @override
    def describe(self) -> list[str]:
        return self._lists.describe()
