"""Ranked candidates to the answer: items, reasons, and how complete the list is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Hit:
    """One recommended item.

    Attributes:
        score: Inner product with the request vector that won, plus additive terms.
        item: The item's fields, or those asked for and its id.
        reasons: Shares of the score, largest first; they sum to it. Empty without `explain`.
        propensity: Probability of being shown here, where exploration made it random.
    """

    id: str
    rank: int
    score: float
    item: dict[str, Any]
    reasons: list[dict[str, Any]] = field(default_factory=list)
    propensity: float | None = None


@dataclass(frozen=True, slots=True)
class Answer(Sequence[Hit]):
    """A list of hits that says how complete it is.

    Attributes:
        complete: `returned`, `eligible`, `excluded` by reason, and `search` ("exact" or "ann").
        unknown_items: Ids of the request that are not in the catalogue.
        following: Ids ranked after the last hit, for paging.
        reading: How the request is read, where only that was asked.
        timing_ms: `encode`, `search`, `rank`, `total`, in milliseconds.
    """

    hits: tuple[Hit, ...]
    complete: dict[str, Any]
    snapshot: str
    unknown_items: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    timing_ms: dict[str, float] = field(default_factory=dict)
    reading: dict[str, Any] | None = None

    @override
    def __len__(self) -> int:
        return len(self.hits)

    @override
    @overload
    def __getitem__(self, position: int) -> Hit: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, position: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[position]

    @override
    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)
