"""A user's sources to the files of an evaluation: a catalogue, and the interactions to fit on."""

import csv
import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import CatalogError, SnapshotError
from indexer.evaluation.interaction_log import ORDER, SPLIT, InteractionLog
from indexer.reading import (
    BadRowCounts,
    CountKnown,
    EventReading,
    Interaction,
    Item,
    Rejection,
    read_catalog,
    read_interactions,
)
from indexer.request import SCENARIO_FILE
from indexer.snapshot import TUNED_LAYER_FILE, find_snapshot, locate_snapshots, make_current

_MAX_REJECTED = 0.01  # of the rows of interactions

# Item fields that sum up what users did later: no method may see them.
LEAKING_FIELDS = (
    "user_tags", "crowd_tags", "rating_avg", "rating_count", "tmdb_vote_average",
    "tmdb_vote_count", "revenue", "downloads", "meta_score", "meta_pos", "meta_mixed", "meta_neg",
    "user_score",
)  # fmt: skip


def write_catalogue(
    sources: Sequence[str],
    path: Path,
    *,
    query: str | None,
    fields: Mapping[str, str],
    drop: Collection[str],
    count_named: CountKnown | None = None,
) -> list[str]:
    """Write the good rows as JSONL without the fields in `drop`; return the ids.

    Args:
        sources: Files or URLs of the catalogue.
        path: The file to write.
        query: SELECT statement or name of a table, for a database.
        fields: Our names to the sources' columns.
        drop: Names of fields.
        count_named: Counts the ids that interactions name.
    """
    ids: dict[str, None] = {}
    rows = read_catalog(sources, query=query, mapping=fields, count_named=count_named)
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            if isinstance(row, Item):
                ids[row.id] = None
                kept = {name: value for name, value in row.fields.items() if name not in drop}
                vector = {} if row.vector is None else {"vector": row.vector.tolist()}
                file.write(json.dumps({**kept, **vector}, ensure_ascii=False) + "\n")
    return list(ids)


@dataclass(frozen=True, slots=True)
class LogRows:
    """The rows of a source of interactions.

    Attributes:
        interactions: The good ones.
        rejected: How many are bad.
        notes: What was guessed or left out, one sentence each.
    """

    interactions: list[Interaction]
    rejected: int
    notes: tuple[str, ...]


def read_log_rows(
    source: str,
    *,
    context: Sequence[str] | None,
    fields: Mapping[str, str],
    query: str | None = None,
    reading: EventReading | None = None,
) -> LogRows:
    """Return the good rows of a source of interactions, with its own parts and order, if any.

    Args:
        source: A file or a database URL.
        context: Columns that are known when asking; None: the usual ones.
        fields: Our names to the source's columns.
        query: SELECT statement or name of a table, for a database.
        reading: What the caller says of the events.

    Raises:
        CatalogError: If the source cannot be read, or more than 1% of its rows are bad.
    """
    reading = EventReading() if reading is None else reading
    found = list(
        read_interactions(
            source,
            context=context,
            mapping=fields,
            query=query,
            extra_columns=(SPLIT, ORDER),
            reading=reading,
        )
    )
    bad = [row for row in found if isinstance(row, Rejection)]
    good = [row for row in found if isinstance(row, Interaction)]
    notes = [*reading.render(), *_describe_bad_rows(source, bad, len(found))]
    return LogRows(good, len(bad), tuple(notes))


def _describe_bad_rows(source: str, bad: Sequence[Rejection], total: int) -> list[str]:
    """Return the sentence that bad rows are left out; nothing without any.

    Raises:
        CatalogError: If they are more than 1% of all.
    """
    if not bad:
        return []
    counts = BadRowCounts()
    for row in bad:
        counts.add(row.source, row.line, row.reason)
    first = counts.describe_first()
    if len(bad) > _MAX_REJECTED * total:
        raise CatalogError(
            f"{len(bad)} of {total} rows of {source} are bad (first: {first}), more than the "
            f"{_MAX_REJECTED:.0%} allowed; fix them"
        )
    return [f"{len(bad):,} bad rows of {source} left out; the first: {first}"]


def write_rows(log: InteractionLog, row_mask: NDArray[np.bool_], path: Path) -> tuple[str, ...]:
    """Write the rows of a log that a mask `(m,)` selects as CSV; return the context columns."""
    columns = tuple(sorted({name for context in log.contexts for name in context}))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event", "value", "timestamp", *columns])
        for row in np.flatnonzero(row_mask).tolist():
            value, at = log.value[row], log.at[row]
            writer.writerow(
                [
                    log.user_ids[log.user[row]],
                    log.item_ids[log.item[row]],
                    log.event[row],
                    "" if np.isnan(value) else float(value),
                    "" if np.isnan(at) else float(at),
                    *(log.contexts[row].get(name, "") for name in columns),
                ]
            )
    return columns


def link_vectors(index: Path, root: Path) -> None:
    """Let a build in `root` reuse the encoded vectors of another index, and its scenarios.

    The live snapshot of `index` is linked into `root`, which must not exist, as the live one.

    Raises:
        SnapshotError: If there is no live snapshot, or its encoder was tuned.
    """
    folder = find_snapshot(index).resolve()
    if (folder / TUNED_LAYER_FILE).exists():
        raise SnapshotError(
            f"the encoder of {index} was tuned, perhaps on what is asked here; give an index that "
            f"was built without --tune-encoder, or none"
        )
    locate_snapshots(root).mkdir(parents=True)
    (locate_snapshots(root) / folder.name).symlink_to(folder, target_is_directory=True)
    make_current(root, folder.name)
    if (index / SCENARIO_FILE).is_file():
        shutil.copyfile(index / SCENARIO_FILE, root / SCENARIO_FILE)
