"""Interactions of a file or database to the event log of the live store, each counted once.

An event's id is a hash of what the row says, so importing a file again adds nothing, and an import
that was interrupted goes on where it stopped.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import orjson

from indexer.errors import CatalogError, RequestError
from indexer.progress import StageProgress
from indexer.reading import EventReading, Interaction, Rejection, read_interactions
from indexer.request import BUILT_IN_EVENTS
from service.edge import load_secret
from service.store import Event, EventLog, LiveDatabase, UserHasher

_EVENTS_PER_TRANSACTION = 1_000
_ROW_SPACING_S = 1e-6  # between rows without times: their order is the order
_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        events: Rows that are events of users.
        accepted: Of these, those that were new.
        duplicates: Those that an earlier import, or the service, had kept already.
        refused: Those that were retracted, or of users who were erased.
        rejected: Rows that could not be read.
        first_rejection: Where and why the first of them could not; empty without any.
    """

    events: int
    accepted: int
    duplicates: int
    refused: int
    rejected: int
    first_rejection: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What is imported, and where to.

    Attributes:
        source: A file, or the SQLAlchemy URL of a database.
        db: SQLAlchemy URL of the live store; made if it is new.
        query: A SELECT or the name of a table, for a database.
        fields: Our names to the source's columns.
        context: Columns that are circumstances; None: the usual ones.
        known_names: Names of events beside the usual words; a row with another is bad.
        max_rejected: Share of bad rows above which the import counts as failed.
    """

    source: str
    db: str
    query: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    context: tuple[str, ...] | None = None
    known_names: Collection[str] = BUILT_IN_EVENTS
    max_rejected: float = 0.01


def import_interactions(plan: ImportPlan, *, report: StageProgress) -> ImportSummary:
    """Keep every interaction as an event of its user, in transactions of 1,000.

    Args:
        plan: What is imported.
        report: Called with ("import", events so far, 0).

    Raises:
        CatalogError: If the source cannot be read, or too many rows are bad; what was good is kept.
        Problem: If the store is busy.
    """
    started = time.monotonic()
    counts: Counter[str] = Counter()
    rejections: list[str] = []
    rows = read_interactions(
        plan.source,
        context=plan.context,
        mapping=plan.fields,
        query=plan.query,
        reading=EventReading(own_names=plan.known_names),
    )
    database = LiveDatabase.open(plan.db)
    with closing(database):
        log = EventLog(database, UserHasher(load_secret(None, os.environ)))
        events = _to_events(rows, counts, rejections, now=time.time())
        while batch := list(islice(events, _EVENTS_PER_TRANSACTION)):
            result = log.append(batch)
            counts.update(
                events=len(batch),
                accepted=result.accepted,
                duplicates=result.duplicates,
                refused=result.refused,
            )
            report("import", counts["events"], 0)
    summary = ImportSummary(
        events=counts["events"],
        accepted=counts["accepted"],
        duplicates=counts["duplicates"],
        refused=counts["refused"],
        rejected=counts["rejected"],
        first_rejection=rejections[0] if rejections else "",
        seconds=round(time.monotonic() - started, 2),
    )
    rows_read = summary.events + summary.rejected
    if not rows_read:
        raise CatalogError(f"{plan.source} has no row; give a file of interactions")
    if summary.rejected > plan.max_rejected * rows_read:
        raise CatalogError(
            f"{summary.rejected} of {rows_read} rows of {plan.source} are bad "
            f"(the first: {summary.first_rejection}); the {summary.events} others are kept; mend "
            f"the file and import it again, or raise --max-rejected"
        )
    return summary


def _to_events(
    rows: Iterator[Interaction | Rejection],
    counts: Counter[str],
    rejections: list[str],
    *,
    now: float,
) -> Iterator[Event]:
    """Events of the good rows; bad ones are counted, and the first is remembered."""
    repeats: Counter[bytes] = Counter()
    for number, row in enumerate(rows):
        try:
            good = _accept(row)
        except RequestError as error:
            counts["rejected"] += 1
            rejections[:] = rejections[:1] or [str(error)]
            continue
        digest = _hash_content(good)
        repeats[digest] += 1
        yield _to_event(good, digest, repeats[digest], at=now + number * _ROW_SPACING_S)


def _accept(row: Interaction | Rejection) -> Interaction:
    """Return a row that is good; raise for one that is bad."""
    if isinstance(row, Rejection):
        raise RequestError(f"{row.source}:{row.line}: {row.reason}")
    return row


def _to_event(row: Interaction, digest: bytes, repeat: int, *, at: float) -> Event:
    """The event of a row; rows that say the same are as many events as there are rows."""
    name = digest if repeat == 1 else digest + repeat.to_bytes(8, "big")
    return Event(
        event_id=f"import-{hashlib.blake2b(name, digest_size=_ID_BYTES).hexdigest()}",
        user_id=row.user_id,
        session_id=None,
        item_id=row.item_id or None,
        event=row.event,
        value=row.value,
        text=row.text,
        at=at if row.at is None else row.at,
        context=row.context,
    )


def _hash_content(row: Interaction) -> bytes:
    """Return a digest of everything that a row says."""
    content = orjson.dumps(
        [row.user_id, row.item_id, str(row.event), row.value, row.at, row.text, dict(row.context)],
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.blake2b(content, digest_size=_ID_BYTES).digest()
