"""Numbers of a column to the mark before their decimals, and each to plain digits. Pure.

`1.299` and `1,299` have two meanings each. A whole column tells which one: `12,99`, `1,5` and
`1.299,00` have a comma before their decimals for certain, `12.99` and `1,299.00` a point.
"""

import re

from indexer.reading.rows import render_value

_MAX_CHARS = 100  # no amount is longer
_MARKED = re.compile(r"\d[\d.,]*[.,](?:\d+|-)", re.ASCII)
# With the other mark between thousands, if any. A number of three digits after its only mark may
# have either meaning, unless what is before it cannot be thousands.
_UNSURE = re.compile(r"[1-9]\d{0,2}([.,])\d{3}", re.ASCII)
_GROUPS = {
    ",": re.compile(
        r"\d{1,3}(?:\.\d{3})+,(?:\d+|-)|\d{1,3}(?:\.\d{3}){2,}|\d+,(?:\d+|-)", re.ASCII
    ),
    ".": re.compile(
        r"\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:,\d{3}){2,}|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?|\d+\.\d+",
        re.ASCII,
    ),
}
COMMA_NUMBER = re.compile(
    r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?|[-+]?\d+,\d+(?:[eE][-+]?\d+)?", re.ASCII
)


class DecimalMarks:
    """Finds out which mark is before the decimals of one column: `observe`, then `convert`."""

    def __init__(self) -> None:
        self._first = {",": "", ".": ""}  # cells whose mark is certain
        self._first_unsure = ""
        self._unsure = 0
        self.has_groups = False  # a cell has points between thousands for certain

    def observe(self, cell: str) -> None:
        """Note one cell; what has no mark says nothing."""
        match = _MARKED.search(cell) if len(cell) <= _MAX_CHARS else None
        if match is None:
            return
        if _UNSURE.fullmatch(match[0]):
            self._unsure += 1
            self._first_unsure = self._first_unsure or cell.strip()
            return
        for mark, pattern in _GROUPS.items():
            if not self._first[mark] and pattern.fullmatch(match[0]):
                self._first[mark] = cell.strip()
        self.has_groups = self.has_groups or 0 < match[0].find(".") < match[0].rfind(",")

    @property
    def changes_cells(self) -> bool:
        """Whether `convert` changes any cell."""
        return self.is_comma

    @property
    def is_comma(self) -> bool:
        """Whether a comma is before the decimals wherever that is certain."""
        return bool(self._first[","]) and not self._first["."]

    @property
    def has_points(self) -> bool:
        """Whether a point is before the decimals of a cell for certain."""
        return bool(self._first["."])

    def convert(self, cell: str) -> str:
        """Return a cell whose numbers have a point before their decimals, if commas were there."""
        is_read = self.is_comma and len(cell) <= _MAX_CHARS
        return _MARKED.sub(_to_point, cell) if is_read else cell

    def describe(self) -> list[str]:
        """Return what was guessed, each as the end of a sentence that names the column."""
        comma, point = map(render_value, (self._first[","], self._first["."]))
        unsure = render_value(self._first_unsure)
        if self._first[","] and self._first["."]:
            return [
                f"holds numbers with a comma before the decimals ({comma}) and others with a point "
                f"({point}); each is read by itself"
            ]
        if self.is_comma:
            told = f"holds numbers with a comma before the decimals, such as {comma}"
            read = render_value(self.convert(self._first_unsure))
            return [f"{told}; {unsure} is read as {read}" if self._unsure else told]
        if self._unsure and not self._first["."]:
            is_point = "." in self._first_unsure
            kinds = ("decimals", "thousands") if is_point else ("thousands", "decimals")
            return [
                f"holds numbers such as {unsure}, and no cell tells whether {kinds[0]} or "
                f"{kinds[1]} are meant; they are read as {kinds[0]}"
            ]
        return []


def _to_point(match: re.Match[str]) -> str:
    return match[0].removesuffix(",-").replace(".", "").replace(",", ".")
