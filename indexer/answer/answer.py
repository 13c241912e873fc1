"""The result of a request: a sequence of `Hit`s that says how complete it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from typing_extensions import override

from indexer.answer.hits import Hit
from indexer.answer.notebook import render_table
from indexer.answer.table import build_arrow_table, build_pandas_frame


@dataclass(frozen=True, slots=True)
class Answer(Sequence[Hit]):
    """The hits of one page in rank order, and how complete they are.

    In a notebook it is shown as a table; `to_arrow` and `to_pandas` give it as data.

    Attributes:
        hits: In rank order.
        complete: `returned`, `eligible`, `excluded` by reason, and `search`: "exact", "ann", or
            "none" if nothing was searched.
        snapshot: Id of the snapshot that was asked.
        unknown_items: Ids of the request that are not in the catalogue.
        following: Ids ranked after the last hit, for paging.
        timing_ms: `encode`, `search`, `rank`, `total`, in milliseconds.
        understood: What was read from the query as a filter: `filter`, `from` and perhaps `query`,
            or `from` and `left_out`; None if nothing was.
        reading: How the request is read; only with `validate_only`.
        user_known: Whether anything is kept of the user or session of the request; None if it
            named neither, or no live store was asked.
    """

    hits: tuple[Hit, ...]
    complete: dict[str, Any]
    snapshot: str
    unknown_items: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    timing_ms: dict[str, float] = field(default_factory=dict)
    reading: dict[str, Any] | None = None
    user_known: bool | None = None
    understood: Mapping[str, Any] | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the hits, in rank order."""
        return tuple(hit.id for hit in self.hits)

    def to_arrow(self) -> Any:
        """Return the hits as a `pyarrow.Table`, a row each.

        Columns are `id`, `rank`, `score`, `propensity`, `reasons` (a list as JSON text), and every
        field whose values are plain text, numbers or true and false; a field that has the name of
        one of these columns is called `item.<name>`.
        """
        return build_arrow_table(self.hits)

    def to_pandas(self) -> Any:
        """Return the hits as a `pandas.DataFrame` with the columns of `to_arrow`.

        Raises:
            ImportError: If pandas is not installed.
        """
        return build_pandas_frame(self.hits)

    @override
    def __repr__(self) -> str:
        counts = f"{len(self.hits)} of {self.complete.get('eligible', '?')} eligible"
        if self.reading is not None:
            counts = f"explained only, {counts}"
        best = f", best {self.hits[0].id!r} {self.hits[0].score:.2f}" if self.hits else ""
        return f"Answer({counts}{best})"

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        return render_table(self.hits, self.complete, self.unknown_items)

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
