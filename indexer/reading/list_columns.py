"""Cells of a column of tags to how its lists are written, and each of them to its list. Pure."""

import re
from collections.abc import Collection
from typing import Any

from indexer.reading.cell_lists import read_array, read_list, read_structure, take_names
from indexer.reading.cells import is_missing_cell, split_list, to_plain
from indexer.reading.rows import render_value

# Marks that may stand between tags, the most certain first. The first two are hardly ever within a
# tag; a comma or a slash must show by the whole column that it is no part of one.
_SURE_MARKS = ("、", ";；")
_COMMAS = ",，"
_MARKS = (*_SURE_MARKS, _COMMAS, "/／")
_MAX_TAG_CHARS, _MAX_TAG_WORDS = 40, 5
_MAX_CELL_CHARS = 1_000
_MAX_KEPT_CELLS = 20_000
_FEW_CELLS = 20  # distinct ones; too few for their parts to come again
_MIN_RECURRING_SHARE = 0.3  # of the parts, which are in several distinct cells
_MIN_TAGS_SHARE = 0.95  # of the parts, which are short enough for tags
_MIN_KEYWORDS, _MAX_KEYWORD_WORDS = 3, 1.5  # of a cell, of a keyword; both on average
_CONJUNCTION = re.compile(r"&| and |和|及|与", re.IGNORECASE)
_CJK = re.compile(r"[\u3400-\u9fff]")


class ListColumn:
    """Finds out how the lists of one column are written: `observe` cells, then `convert` them."""

    def __init__(self, *, has_commas: bool = False) -> None:
        """Take whether the source's own format puts commas between tags."""
        self._has_commas = has_commas
        self._cells: dict[str, None] = {}  # distinct ones without brackets
        self._first_bracketed = ""
        self._has_bars = False
        self._known_mark: str | None = None
        self._is_decided = False

    def observe(self, cell: str) -> None:
        """Note one cell."""
        if is_missing_cell(cell):
            return
        self._is_decided = False
        if cell.lstrip()[:1] in ("[", "{", "("):
            if not self._first_bracketed and read_list(cell) is not None:
                self._first_bracketed = cell
        elif "|" in cell:
            self._has_bars = True
        elif len(self._cells) < _MAX_KEPT_CELLS:
            self._cells[cell[:_MAX_CELL_CHARS]] = None

    @property
    def _mark(self) -> str | None:
        """What stands between the tags of a cell, as the cells that were observed show it."""
        if not self._is_decided:
            self._known_mark = None if self._has_bars else self._find_mark()
            self._is_decided = True
        return self._known_mark

    def _find_mark(self) -> str | None:
        if self._has_commas:
            return _COMMAS if any(_has_mark(cell, _COMMAS) for cell in self._cells) else None
        return find_mark(self._cells)

    @property
    def changes_cells(self) -> bool:
        """Whether `convert` makes a list of any cell."""
        return bool(self._mark or self._first_bracketed)

    def convert(self, cell: str) -> Any:
        """Return the list of a cell; its text if it is one tag, None if it is missing."""
        if is_missing_cell(cell):
            return None
        if cell.lstrip()[:1] in ("[", "{", "("):
            entries = read_list(cell)
            if entries is not None:
                return take_names(entries)
        if "|" in cell:
            return split_list(cell)
        mark = self._mark
        return _split(cell, mark) if mark else cell

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
        found = []
        if self._mark:
            first = next(cell for cell in self._cells if _has_mark(cell, self._mark))
            found.append(
                f"holds lists separated by {self._mark[0]!r}, such as {render_value(first)}"
            )
        elif tag := self._find_unsplit_cell():
            found.append(
                f"holds cells such as {render_value(tag)} that stay one tag each; "
                "if they are lists, write them as a|b"
            )
        if self._first_bracketed:
            found.append(f"holds lists such as {render_value(self._first_bracketed)}")
        return found

    def _find_unsplit_cell(self) -> str | None:
        """The first cell with commas, if so many have some that they may be lists."""
        marked = [cell for cell in self._cells if _has_mark(cell, _COMMAS)]
        return marked[0] if marked and 2 * len(marked) >= len(self._cells) else None


class StructureColumn:
    """Finds out whether all text of one column spells lists or objects; then `convert` reads it."""

    def __init__(self) -> None:
        self._first = ""
        self._may_be_structures = True

    def observe(self, cell: str) -> None:
        """Note one cell."""
        if self._may_be_structures and not is_missing_cell(cell):
            self._may_be_structures = _read_any(cell) is not None
            self._first = self._first or cell

    @property
    def changes_cells(self) -> bool:
        """Whether `convert` makes a list or an object of any cell."""
        return self._may_be_structures and bool(self._first)

    def convert(self, cell: str) -> Any:
        """Return the list or object of a cell; its text if it spells none, None if missing."""
        if is_missing_cell(cell):
            return None
        value = _read_any(cell)
        return cell if value is None else to_plain(value)

    def describe(self) -> list[str]:
        """Return what was guessed, as the end of a sentence that names the column."""
        return [f"holds lists or objects such as {render_value(self._first)}"] * self.changes_cells


def _read_any(cell: str) -> list[Any] | dict[Any, Any] | None:
    if cell.lstrip()[:1] not in ("[", "{"):
        return None
    value = read_structure(cell)
    return read_array(cell) if value is None else value


def find_mark(cells: Collection[str]) -> str | None:
    """Return the marks that separate the tags of a column in the same way; None if none does.

    Args:
        cells: Its distinct cells.
    """
    return next((mark for mark in _MARKS if _separates(mark, cells)), None)


def _separates(mark: str, cells: Collection[str]) -> bool:
    marked = [_split(cell, mark) for cell in cells if _has_mark(cell, mark)]
    tags = [tag for parts in marked for tag in parts]
    if len(marked) < 2 or sum(map(_is_tag, tags)) < _MIN_TAGS_SHARE * len(tags):
        return False
    if mark in _SURE_MARKS:
        return True
    if len(cells) >= _FEW_CELLS:
        is_usual = 5 * len(marked) >= len(cells) and _recur(marked, cells)
        return is_usual or (2 * len(marked) >= len(cells) and _are_short_lists(marked))
    is_sure = mark != "/／" or all(map(_CJK.search, tags))
    like_names = sum(1 for parts in marked if any(map(_CONJUNCTION.search, parts)))
    is_like_names = 2 * like_names > len(marked) and not _recur(marked, cells)
    return 2 * len(marked) >= len(cells) and is_sure and not is_like_names


def _are_short_lists(marked: list[list[str]]) -> bool:
    """Whether cells hold three words and more, as keywords do that hardly come again."""
    tags = [tag for parts in marked for tag in parts]
    is_long = len(tags) >= _MIN_KEYWORDS * len(marked)
    like_names = sum(1 for tag in tags if _CONJUNCTION.search(tag))
    words = sum(len(tag.split()) for tag in tags)
    return is_long and words <= _MAX_KEYWORD_WORDS * len(tags) and 10 * like_names <= len(tags)


def _recur(marked: list[list[str]], cells: Collection[str]) -> bool:
    """Whether parts of cells come again in other cells, as tags do and parts of names do not."""
    counts: dict[str, int] = {}
    for tags in marked:
        for tag in set(tags):
            counts[tag] = counts.get(tag, 0) + 1
    for cell in cells:
        if cell.strip() in counts:
            counts[cell.strip()] += 1
    total = sum(len(set(tags)) for tags in marked)
    recurring = sum(1 for tags in marked for tag in set(tags) if counts[tag] > 1)
    return recurring >= _MIN_RECURRING_SHARE * total


def _is_tag(text: str) -> bool:
    return len(text) <= _MAX_TAG_CHARS and len(text.split()) <= _MAX_TAG_WORDS


def _has_mark(cell: str, mark: str) -> bool:
    return any(char in cell for char in mark)


def _split(cell: str, mark: str) -> list[str]:
    # WooCommerce writes a comma within a tag with a backslash before it.
    split = re.split(rf"(?<!\\)[{re.escape(mark)}]", cell)
    parts = (part.replace("\\,", ",").strip() for part in split)
    return [part for part in parts if part]
