"""Sources and live changes to staged items; what is bad is written to `rejected.jsonl`.

A line of that file is a row that was refused, or has a `field`: then the row was kept without it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

from indexer.build.options import BuildOptions
from indexer.build.staging import Staging
from indexer.errors import CatalogError
from indexer.language import Encoder
from indexer.progress import StageProgress
from indexer.reading import (
    BadRowCounts,
    DeletedId,
    FindingCounts,
    Item,
    ReadingNotes,
    Rejection,
    Source,
    describe_excess,
    list_named_items,
    name_row,
    read_catalog,
    render_finding,
    render_rejection,
)

_REPORT_EVERY_ROWS = 1_000
REJECTED_FILE = "rejected.jsonl"
_MAX_REPORTED_FINDINGS = 1_000  # of one kind in one field; the summary counts all


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """How many rows were staged and refused.

    Attributes:
        duplicates: Rows that a later row of the same id replaced.
        dim: Width of raw vectors.
        findings: Fields of rows of the sources that could not be read as they came.
    """

    items: int
    rejected: int
    duplicates: int
    dim: int
    findings: FindingCounts


class ItemCollector:
    """Reads the rows of one build and stages the good ones."""

    def __init__(
        self,
        options: BuildOptions,
        get_encoder: Callable[[], Encoder | None],
        staging: Staging,
        report: StageProgress,
        notes: ReadingNotes | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            options: Of the build.
            get_encoder: Returns the encoder; called with the first row that can be read, so that
                no model is loaded for a catalogue that cannot.
            staging: Where items go.
            report: Called with the number of rows read.
            notes: Where guesses about the sources are told.
        """
        self._notes = notes
        self._options, self._get_encoder = options, get_encoder
        self._staging, self._report = staging, report
        self._dim = 0
        self._bad_rows = BadRowCounts()
        self._findings = FindingCounts()

    def collect(self, sources: Sequence[Source], work: Path) -> CollectionSummary:
        """Stage the items of the sources, then apply the live changes.

        Raises:
            CatalogError: If a source cannot be read, or too many rows are bad.
        """
        options, staging = self._options, self._staging
        with (work / REJECTED_FILE).open("w", encoding="utf-8") as rejected:
            rows = read_catalog(
                sources,
                query=options.query,
                mapping=options.split_fields()[0],
                notes=self._notes,
                count_named=None if options.interactions is None else self._count_named,
            )
            for done, row in enumerate(rows):
                if self._stage_row(row, rejected) and isinstance(row, Item):
                    self._record_findings(row, rejected)
                if done % _REPORT_EVERY_ROWS == 0:
                    self._report("read", done, 0)
            added = staging.added_count
            changed = self._apply_changes(rejected)
        items = staging.commit()
        self._report("read", staging.added_count, staging.added_count)
        self._check_rejected_share(sources)
        duplicates = added + changed - items
        return CollectionSummary(items, self._bad_rows.total, duplicates, self._dim, self._findings)

    def _count_named(self, ids: Collection[str]) -> int:
        """Return how many of some ids the first interactions name."""
        return len(self._named_items.intersection(ids))

    @cached_property
    def _named_items(self) -> frozenset[str]:
        options = self._options
        return list_named_items(
            options.interactions or "",
            mapping=options.split_fields()[1],
            query=options.interactions_query,
        )

    def _stage_row(self, row: Item | Rejection, rejected: TextIO) -> bool:
        """Stage a row if it is good; return whether it was."""
        checked = self._check_vector(row) if isinstance(row, Item) else row
        if isinstance(checked, Item):
            self._staging.add(checked)
            return True
        self._bad_rows.add(checked.source, checked.line, checked.reason)
        rejected.write(render_rejection(checked) + "\n")
        return False

    def _record_findings(self, item: Item, rejected: TextIO) -> None:
        """Count the fields of an item, and write down those that could not be read."""
        place = name_row(item.source, item.line)
        self._findings.add(item.fields, item.findings, place)
        for finding in item.findings:
            tally = self._findings.tallies[finding.field, finding.outcome]
            if tally.count <= _MAX_REPORTED_FINDINGS:
                rejected.write(render_finding(item.source, item.line, finding) + "\n")

    def _apply_changes(self, rejected: TextIO) -> int:
        """Apply the live changes; return by how many items the catalogue grew."""
        growth = 0
        for change in self._options.changes:
            was_staged = change.id in self._staging
            if isinstance(change, DeletedId):
                self._staging.remove(change.id)
                growth -= was_staged
            elif self._stage_row(_check_size(change), rejected):
                growth += not was_staged
        return growth

    def _check_vector(self, item: Item) -> Item | Rejection:
        """The item if its vector has the right width, or a rejection."""
        encoder = self._get_encoder()
        if encoder is not None:
            self._dim = encoder.fingerprint.dim
        if item.vector is None:
            if encoder is not None:
                return item
            reason = "the row has no vector, and with --model none no text is encoded"
        else:
            self._dim = self._dim or len(item.vector)
            if len(item.vector) == self._dim:
                return item
            reason = f"vector has {len(item.vector)} numbers, expected {self._dim}"
        return Rejection(item.source or "catalogue", item.line, reason, {"id": item.id})

    def _check_rejected_share(self, sources: Sequence[Source]) -> None:
        """Fail before anything is published if too many rows are bad."""
        accepted, rejected = self._staging.added_count, self._bad_rows.total
        names = ", ".join(map(str, sources))
        share = rejected / max(accepted + rejected, 1)
        if accepted and share <= self._options.max_rejected:
            return
        if not (accepted or rejected):
            raise CatalogError(
                f"{names} has no usable row; nothing was published; give a source with a row for "
                f"each item"
            )
        first = f" (first: {self._bad_rows.describe_first()})"
        if not accepted:
            raise CatalogError(
                f"{names} has no usable row{first}; nothing was published; mend the rows, or name "
                f"their columns with --fields id=…,title=…"
            )
        raise CatalogError(
            f"{rejected} of {accepted + rejected} rows of {names} are bad{first}, more than the "
            f"{self._options.max_rejected:.2%} allowed; fix them or raise --max-rejected"
        )


def _check_size(change: Item) -> Item | Rejection:
    """Return a live item, or a rejection if it is larger than a row of a source may be."""
    reason = describe_excess(change.fields)
    return Rejection("the live store", 0, reason, {"id": change.id}) if reason else change
