"""What a phrase of a wish says: its subject and its bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Subject(StrEnum):
    """What a phrase is about."""

    YEAR = "year"
    PRICE = "price"
    CHILDREN = "children"


class Relation(StrEnum):
    """How what is wanted lies to a point in time, or to an amount."""

    BELOW = "below"
    UP_TO = "up to"
    ABOVE = "above"
    FROM = "from"
    WITHIN = "within"


@dataclass(frozen=True, slots=True)
class WishPhrase:
    """Bounds that a wish names.

    Attributes:
        subject: What is bounded.
        bounds: Operator of the filter grammar to a number: a year, or an amount of money. Empty for
            children.
        start: Where the phrase begins in the text.
        end: Where it ends.
        currency: ISO code of the money; None if it is not money, or its sign is of several.
    """

    subject: Subject
    bounds: Mapping[str, float]
    start: int
    end: int
    currency: str | None = None


def build_bounds(relation: Relation, low: float, high: float) -> dict[str, float]:
    """Return the bounds that lie so to a stretch from `low` to `high`, both part of it."""
    match relation:
        case Relation.BELOW:
            return {"lt": low}
        case Relation.UP_TO:
            return {"lte": high}
        case Relation.ABOVE:
            return {"gt": high}
        case Relation.FROM:
            return {"gte": low}
        case Relation.WITHIN:
            return {"gte": low, "lte": high}
