"""Interactions of a file or database to the event log of the live store, each counted once.

An event's id is a hash of what the row says, so importing a file again adds nothing, and an import
that was interrupted goes on where it stopped.
"""

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from indexer.errors import CatalogError
from indexer.progress import StageProgress
from indexer.reading import EventReading, Interaction, Rejection, ValueKind, read_interactions
from indexer.request import BUILT_IN_EVENTS
from service.edge import load_secret
from service.jobs.item_check import ItemCheck
from service.store import (
    EventLog,
    ImportIds,
    LiveDatabase,
    UserHasher,
    raise_as_failure,
    require_secret,
    to_imported_events,
)

_EVENTS_PER_TRANSACTION = 10_000  # others wait for some tenths of a second


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        events: Rows that are events of users.
        accepted: Of these, those that were new.
        duplicates: Those that an earlier import, or the service, had kept already.
        changed: Of these, those that were kept as another event, or with another value, item or
            time, which are now what this import takes them for.
        refused: Those that were retracted, or of users who were erased.
        rejected: Rows that could not be read.
        first_rejection: Where and why the first of them could not; empty without any.
        named: Events that name an item.
        in_catalogue: Of these, those whose item is in the catalogue; None: there is none yet.
        first_unknown: The first item that is not, beside one that is; empty without any.
        notes: What was guessed or left out, one sentence each.
    """

    events: int
    accepted: int
    duplicates: int
    changed: int
    refused: int
    rejected: int
    first_rejection: str
    named: int
    in_catalogue: int | None
    first_unknown: str
    notes: tuple[str, ...]
    seconds: float

    def describe(self) -> str:
        """Return what was done, in a line for each thing to know."""
        lines = [
            f"{self.accepted:,} events kept, {self.duplicates:,} were there already, "
            f"{self.refused:,} were retracted or of erased users ({self.seconds:g} s)"
        ]
        if self.changed:
            lines.append(
                f"{self.changed:,} of those that were there had been taken for another event, "
                f"value, item or time, and are now what this import takes them for"
            )
        if self.in_catalogue is not None:
            lines.append(
                f"{self.in_catalogue:,} of {self.named:,} name an item of the catalogue"
                f"{' ' + self.first_unknown if self.first_unknown else ''}"
            )
        if self.rejected:
            lines.append(f"{self.rejected:,} bad rows left out; the first: {self.first_rejection}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What is imported, and where to.

    Attributes:
        source: A file, or the SQLAlchemy URL of a database.
        db: SQLAlchemy URL of the live store; made if it is new.
        root: Index directory, with whose catalogue the items are compared.
        query: A SELECT or the name of a table, for a database.
        fields: Our names to the source's columns.
        fields_option: The option that named columns, for messages.
        event: The event of rows that name none; None: as their values say.
        value_kind: What the values are; None: inferred.
        context: Columns that are circumstances; None: the usual ones.
        known_names: Names of events beside the usual words; a row with another is bad.
        max_rejected: Share of bad rows above which the import counts as failed.
    """

    source: str
    db: str
    root: Path
    query: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    fields_option: str = "--fields"
    event: str | None = None
    value_kind: ValueKind | None = None
    context: tuple[str, ...] | None = None
    known_names: Collection[str] = BUILT_IN_EVENTS
    max_rejected: float = 0.01


def import_interactions(plan: ImportPlan, *, report: StageProgress) -> ImportSummary:
    """Keep every interaction as an event of its user, in transactions of 10,000.

    Args:
        plan: What is imported.
        report: Called with ("import", events so far, 0).

    Raises:
        CatalogError: If the source cannot be read, too many rows are bad (what was good is kept),
            or none of the first rows names an item of the catalogue (nothing is kept).
        LiveStoreError: If the store is busy.
        SettingsError: If the store cannot be opened.
    """
    started = time.monotonic()
    tally = _Tally()
    reading = EventReading(
        plan.event,
        plan.value_kind,
        own_names=plan.known_names,
        fields_option=plan.fields_option,
    )
    with (
        raise_as_failure(),
        closing(LiveDatabase.open(plan.db)) as database,
        closing(ItemCheck(plan.root, database, fields_option=plan.fields_option)) as check,
    ):
        reading.item_names = check.make_names()
        rows = _select_good(_read(plan, reading), tally)
        _append_all(plan, rows, database, check, tally.counts, report)
        summary = _summarise(tally, check, reading, started)
    _check_rejected(summary, plan)
    return summary


@dataclass(slots=True)
class _Tally:
    """How often each thing became of a row, by the names of `ImportSummary`."""

    counts: Counter[str] = field(default_factory=Counter)
    first_rejection: str = ""


def _read(plan: ImportPlan, reading: EventReading) -> Iterator[Interaction | Rejection]:
    return read_interactions(
        plan.source, context=plan.context, mapping=plan.fields, query=plan.query, reading=reading
    )


def _summarise(
    tally: _Tally, check: ItemCheck, reading: EventReading, started: float
) -> ImportSummary:
    counts = tally.counts
    return ImportSummary(
        events=counts["events"],
        accepted=counts["accepted"],
        duplicates=counts["duplicates"],
        changed=counts["changed"],
        refused=counts["refused"],
        rejected=counts["rejected"],
        first_rejection=tally.first_rejection,
        named=counts["named"],
        in_catalogue=check.known if check.has_catalogue else None,
        first_unknown=check.describe_unknown() if check.first_unknown else "",
        notes=tuple(reading.render()),
        seconds=round(time.monotonic() - started, 2),
    )


def _append_all(
    plan: ImportPlan,
    rows: Iterator[Interaction],
    database: LiveDatabase,
    check: ItemCheck,
    counts: Counter[str],
    report: StageProgress,
) -> None:
    """Keep the events of all rows, batch by batch."""
    hasher = UserHasher(load_secret(None, os.environ))
    require_secret(database, hasher)
    log, ids = EventLog(database, hasher), ImportIds()
    now = time.time()
    while batch := list(islice(rows, _EVENTS_PER_TRANSACTION)):
        events = to_imported_events(batch, ids.build(batch), now=now, first=counts["events"])
        check.observe(events, plan.source)
        result = log.append(events)
        counts["changed"] += log.update_meanings(events) if result.duplicates else 0
        counts.update(
            events=len(batch),
            accepted=result.accepted,
            duplicates=result.duplicates,
            refused=result.refused,
            named=sum(event.item_id is not None for event in events),
        )
        report("import", counts["events"], 0)


def _check_rejected(summary: ImportSummary, plan: ImportPlan) -> None:
    """Fail if there was no row, or too many were bad."""
    rows_read = summary.events + summary.rejected
    if not rows_read:
        raise CatalogError(
            f"{plan.source} has no row that is an event; give a file of interactions"
        )
    if summary.rejected > plan.max_rejected * rows_read:
        raise CatalogError(
            f"{summary.rejected} of {rows_read} rows of {plan.source} are bad "
            f"(the first: {summary.first_rejection}); the {summary.events} others are kept; mend "
            f"the file and import it again, or raise --max-rejected"
        )


def _select_good(rows: Iterator[Interaction | Rejection], tally: _Tally) -> Iterator[Interaction]:
    """Yield the good rows; bad ones are counted, and the first is remembered."""
    for row in rows:
        if isinstance(row, Rejection):
            tally.counts["rejected"] += 1
            place = f"{row.source}:{row.line}: {row.reason}"
            tally.first_rejection = tally.first_rejection or place
        else:
            yield row
