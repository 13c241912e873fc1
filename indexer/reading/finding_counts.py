"""Findings of many rows to their count by field, with the first place of each kind. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from indexer.reading.findings import FieldFinding, Outcome
from indexer.reading.rows import render_value


@dataclass(slots=True)
class FieldTally:
    """The findings of one kind in one field.

    Attributes:
        count: How many rows have one.
        first: Where the first is, `items.csv:3`.
        first_value: What stood there, as short text.
        reason: Of the first.
    """

    count: int = 0
    first: str = ""
    first_value: str = ""
    reason: str = ""


@dataclass(slots=True)
class FindingCounts:
    """How many rows have each field, and in how many it could not be read as it came."""

    present: dict[str, int] = field(default_factory=dict)
    tallies: dict[tuple[str, Outcome], FieldTally] = field(default_factory=dict)

    def add(self, names: Iterable[str], findings: Iterable[FieldFinding], place: str) -> None:
        """Count the fields of one item.

        Args:
            names: The fields that the item has.
            findings: What could not be read in its row.
            place: Where the row is, `items.csv:3`.
        """
        left_out = []
        for finding in findings:
            key = (finding.field, finding.outcome)
            tally = self.tallies.get(key)
            if tally is None:
                tally = FieldTally(0, place, render_value(finding.value), finding.reason)
                self.tallies[key] = tally
            tally.count += 1
            left_out.append(finding.field)
        for name in {*names, *left_out}:
            self.present[name] = self.present.get(name, 0) + 1

    def render(self) -> list[str]:
        """Return one line for each kind: `price: 3 of 9,125 unreadable, first a.csv:2 '…'`."""
        return [
            f"{name}: {tally.count:,} of {self.present[name]:,} {outcome}, first {tally.first} "
            f"{tally.first_value}"
            for (name, outcome), tally in self.tallies.items()
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """Return one JSON-able object for each kind, in the order of their first places."""
        return [
            {
                "field": name,
                "outcome": str(outcome),
                "count": tally.count,
                "of": self.present[name],
                "first": tally.first,
                "value": tally.first_value,
                "reason": tally.reason,
            }
            for (name, outcome), tally in self.tallies.items()
        ]
