"""One recommended item to a `Hit`, as an `Answer` holds it, and to its `repr`."""

from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from indexer.language import find_title

_MAX_TITLE_CHARS = 40  # of a title in a `repr`


@dataclass(frozen=True, slots=True)
class Hit:
    """One recommended item.

    Attributes:
        id: The item's id.
        rank: From 1, counted over all pages.
        score: Highest inner product with a query vector, plus additive terms.
        item: The item's fields, or its id and the fields that the request names.
        reasons: Shares of the score, largest first; they sum to it. Empty without `explain`.
        propensity: Probability that this rank shows this item; None without exploration.
    """

    id: str
    rank: int
    score: float
    item: dict[str, Any]
    reasons: list[dict[str, Any]] = field(default_factory=list)
    propensity: float | None = None

    @override
    def __repr__(self) -> str:
        title = find_title(self.item)
        parts = [str(self.rank), repr(self.id), f"{self.score:.2f}"]
        if title:
            parts.append(repr(shorten(title, _MAX_TITLE_CHARS)))
        return f"Hit({', '.join(parts)})"


def shorten(text: str, limit: int) -> str:
    """Return a text in one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
