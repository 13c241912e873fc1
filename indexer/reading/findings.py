"""What could not be read as it came: one field of one row, and what became of it. Pure.

An item is kept without an optional field that cannot be read, and that is told.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What became of a field that could not be read as it came."""

    LEFT_OUT = "unreadable"
    KEPT_AS_PLACE = "place names, kept as 'place'"
    NOT_SOLD = "not sold, so not available"
    KEPT_AS_TEXT = "whole numbers of more than 64 bits, kept as text"


@dataclass(frozen=True, slots=True)
class FieldFinding:
    """One field of one row that could not be read as it came.

    Attributes:
        field: Our name of the field.
        value: What the row holds.
        reason: One short sentence.
        outcome: What became of it.
    """

    field: str
    value: Any
    reason: str
    outcome: Outcome = Outcome.LEFT_OUT
