"""The rows that every reader yields, the rejections of bad ones, and renamed columns."""

import difflib
import json
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from indexer.errors import CatalogError
from indexer.reading.findings import FieldFinding

NO_MAPPING: Mapping[str, str] = MappingProxyType({})
# One `--fields` may serve a catalogue and its interactions. Columns mapped to these names must
# exist in the interactions and may be absent from the catalogue; all others the other way round.
INTERACTION_FIELDS = frozenset(
    ("user_id", "user", "item_id", "item", "event", "value", "timestamp", "time")
)

_MAX_CLIP_CHARS = 200
_MAX_REPORTED_CHARS, _MAX_REPORTED_ENTRIES, _MAX_REPORTED_DEPTH = 500, 50, 4
# Column names kept for suggestions in messages; JSON rows may bring a new name in every row.
_MAX_REMEMBERED_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One row under the source's own names; a missing cell is None or absent. `line` is from 1.

    Attributes:
        findings: Cells that the reader of the source left out or changed, under the source's names.
        written: Of interactions the cells as the source writes them, where the rest of their column
            decided how they are read, under the names of `values`; None: all are as there.
    """

    source: str
    line: int
    values: Mapping[str, Any]
    findings: tuple[FieldFinding, ...] = ()
    written: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that cannot be read as a row; `text` is its clipped content."""

    source: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was refused, with the reason as one short sentence.

    Attributes:
        anonymous_reason: The reason without what the row holds; empty: the reason itself.
    """

    source: str
    line: int
    reason: str
    row: Mapping[str, Any] | str
    anonymous_reason: str = ""


def reject(row: Row | BadRow, reason: str = "", anonymous_reason: str = "") -> Rejection:
    """Return the rejection of a row; a `BadRow` has its own reason."""
    if isinstance(row, BadRow):
        return Rejection(row.source, row.line, row.reason, row.text)
    return Rejection(row.source, row.line, reason, row.values, anonymous_reason)


def render_rejection(rejection: Rejection) -> str:
    """Return the rejection as one line of `rejected.jsonl`; large values of the row are cut."""
    report = {
        "source": rejection.source,
        "line": rejection.line,
        "reason": rejection.reason,
        "row": _shorten(rejection.row, _MAX_REPORTED_DEPTH),
    }
    return json.dumps(report, ensure_ascii=False, allow_nan=False)


def render_finding(source: str, line: int, finding: FieldFinding) -> str:
    """Return a field that could not be read as one line of `rejected.jsonl`; its row was kept."""
    report = {
        "source": source,
        "line": line,
        "field": finding.field,
        "reason": finding.reason,
        "outcome": str(finding.outcome),
        "value": _shorten(finding.value, _MAX_REPORTED_DEPTH),
    }
    return json.dumps(report, ensure_ascii=False, allow_nan=False)


def render_anonymous_rejection(rejection: Rejection) -> str:
    """Return the rejection of an interaction as one line of `rejected.jsonl`.

    It has place and reason only: what a person did must not stay there after they were erased.
    """
    report = {
        "source": rejection.source,
        "line": rejection.line,
        "reason": rejection.anonymous_reason or rejection.reason,
    }
    return json.dumps(report, ensure_ascii=False)


def _shorten(value: Any, depth: int) -> Any:
    """Return a small JSON-compatible picture of any value, however large or deep it is."""
    if isinstance(value, Mapping) and depth:
        kept = list(value.items())[:_MAX_REPORTED_ENTRIES]
        return {clip(str(key)): _shorten(part, depth - 1) for key, part in kept}
    if isinstance(value, list) and depth:
        return [_shorten(part, depth - 1) for part in value[:_MAX_REPORTED_ENTRIES]]
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float) and value - value == 0:  # neither NaN nor infinite
        return value
    return clip(value if isinstance(value, str) else render_value(value), _MAX_REPORTED_CHARS)


def clip(text: str, limit: int = _MAX_CLIP_CHARS) -> str:
    """Return the text, cut with an ellipsis if it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def render_value(value: Any) -> str:
    """Return a value as short text for a message, in quotes if it is a string."""
    return _value_repr.repr(value)


_value_repr = reprlib.Repr()
_value_repr.maxstring = _value_repr.maxother = 60
_value_repr.maxdict = _value_repr.maxlist = 4
_value_repr.maxlevel = 2


def parse_mapping(text: str) -> dict[str, str]:
    """Return `title=name,tags=genres` as `{"title": "name", "tags": "genres"}`.

    Raises:
        CatalogError: If a part is not `ours=theirs`, or a field is given twice.
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        ours, equals, theirs = (word.strip() for word in part.partition("="))
        if not (ours and equals and theirs):
            raise CatalogError(
                f"{clip(part)!r} is not our_field=your_column; write such as title=name"
            )
        if ours in mapping:
            raise CatalogError(
                f"{ours!r} is taken from {mapping[ours]!r} and from {theirs!r}; keep one"
            )
        mapping[ours] = theirs
    return mapping


def rename_columns(values: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return a row with its columns renamed to our field names.

    A mapped column replaces a column that already has the field's name. A row without the mapped
    column stays unchanged, so that sources with and without our names can be read together.
    """
    present = {ours: theirs for ours, theirs in mapping.items() if theirs in values}
    taken = {*present.values(), *present}
    kept = {name: value for name, value in values.items() if name not in taken}
    return {**{ours: values[theirs] for ours, theirs in present.items()}, **kept}


class RequiredColumns:
    """The columns named in a command-line option that no row has had so far."""

    def __init__(self, wanted: Iterable[str], *, option: str) -> None:
        """Take the names and the option that gave them, such as "--fields"."""
        self._missing = set(wanted)
        self._option = option
        self._seen: dict[str, None] = {}

    @property
    def are_awaited(self) -> bool:
        """Whether some wanted column was not seen so far."""
        return bool(self._missing)

    def observe(self, names: Iterable[str]) -> None:
        """Note the columns of one row; costs nothing once every wanted column was seen."""
        if self._missing:
            self._missing.difference_update(names)
            if len(self._seen) < _MAX_REMEMBERED_COLUMNS:
                self._seen.update(dict.fromkeys(names))

    def describe_missing(self) -> list[str]:
        """Return a sentence for each column that no row had; none without any row or column."""
        missing = sorted(self._missing) if self._seen else []
        return [f"{self._option} names {column!r}, which no file has" for column in missing]

    def check(self) -> None:
        """Refuse a column that no row had; without any row or column nothing is refused.

        Raises:
            CatalogError: Naming the column and the nearest one that exists.
        """
        if not (self._missing and self._seen):
            return
        column = min(self._missing)
        raise CatalogError(
            f"{self._option} names the column {column!r}, which no row has; "
            + suggest_name(column, self._seen)
        )


def suggest_name(wanted: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the nearest known name, or a list of all of them."""
    names = list(known)
    nearest = find_nearest_name(wanted, names, least_likeness=0.6)
    if nearest is not None:
        return f"did you mean {nearest!r}?"
    by_lower = {name.lower(): name for name in names}
    return f"there are {clip(', '.join(by_lower.values()))}"


def find_nearest_name(
    wanted: str, known: Iterable[str], *, least_likeness: float = 0.8
) -> str | None:
    """Return the known name that is most like another, whatever the case; None without any.

    Args:
        wanted: The name that is not known.
        known: The known names; of those that are equally like it the first in order is taken.
        least_likeness: In [0, 1]; 1 is equal.
    """
    by_lower = {name.lower(): name for name in sorted(known)}
    nearest = difflib.get_close_matches(wanted.lower(), by_lower, n=1, cutoff=least_likeness)
    return by_lower[nearest[0]] if nearest else None
