"""One recommended item to a `Hit`, as an `Answer` holds it, and to its `repr`."""

import json
from typing import Any

from typing_extensions import override

from indexer.language import find_title
from indexer.metadata import StoredItem

_MAX_TITLE_CHARS = 40  # of a title in a `repr`


class Hit:
    """One recommended item; never changed.

    Attributes:
        id: The item's id.
        rank: From 1, counted over all pages.
        score: Highest inner product with a query vector, plus additive terms.
        reasons: Shares of the score, largest first; they sum to it. Empty without `explain`.
        propensity: Probability that this rank shows this item; None without exploration.
    """

    __slots__ = ("_stored", "id", "propensity", "rank", "reasons", "score")

    def __init__(
        self,
        id: str,
        rank: int,
        score: float,
        item: StoredItem,
        reasons: list[dict[str, Any]] | None = None,
        propensity: float | None = None,
    ) -> None:
        self.id = id
        self.rank = rank
        self.score = score
        self._stored = item
        self.reasons = [] if reasons is None else reasons
        self.propensity = propensity

    @property
    def item(self) -> dict[str, Any]:
        """The item's fields, or its id and the fields that the request names."""
        fields: dict[str, Any] = (
            json.loads(self._stored) if isinstance(self._stored, bytes) else self._stored
        )
        self._stored = fields
        return fields

    @property
    def stored_item(self) -> StoredItem:
        """The same as JSON, if nobody has asked for the fields yet."""
        return self._stored

    def replace(
        self,
        *,
        rank: int | None = None,
        item: StoredItem | None = None,
        reasons: list[dict[str, Any]] | None = None,
    ) -> "Hit":
        """Return the same hit with other values; None keeps a value."""
        return Hit(
            self.id,
            self.rank if rank is None else rank,
            self.score,
            self._stored if item is None else item,
            self.reasons if reasons is None else reasons,
            self.propensity,
        )

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hit) and self._list_values() == other._list_values()

    __hash__ = None  # type: ignore[assignment]  # it holds lists and objects

    def _list_values(self) -> tuple[Any, ...]:
        return self.id, self.rank, self.score, self.item, self.reasons, self.propensity

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
