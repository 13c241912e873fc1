"""Bad rows to the reason that most of them have, for the one line that a person reads."""

import re
from dataclasses import dataclass, field

from indexer.reading.memory import name_row

# What differs from row to row: texts in quotes and numbers.
_CELL = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")
_MAX_KINDS = 1_000


@dataclass(slots=True)
class BadRowCounts:
    """How many bad rows have which reason.

    Attributes:
        total: Of all reasons.
    """

    total: int = 0
    _counts: dict[str, int] = field(default_factory=dict)
    _firsts: dict[str, str] = field(default_factory=dict)

    def add(self, source: str, line: int, reason: str) -> None:
        """Count one row."""
        self.total += 1
        kind = _CELL.sub("", reason)
        if kind not in self._counts and len(self._counts) == _MAX_KINDS:
            return
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self._firsts.setdefault(kind, f"{name_row(source, line)}: {reason}")

    def describe_first(self) -> str:
        """Return place and reason of the first row that has the commonest; "" without any."""
        kind = max(self._counts, key=self._counts.__getitem__, default="")
        return self._firsts.get(kind, "")
