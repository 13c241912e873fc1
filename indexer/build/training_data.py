"""The interactions that a build may learn from: read, checked, each once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from indexer.build.collector import REJECTED_FILE
from indexer.build.options import BuildOptions
from indexer.errors import CatalogError
from indexer.reading import Interaction, Rejection, read_interactions, render_anonymous_rejection

_MIN_LIVE_EVENTS = 1_000  # fewer, without a file of interactions, are too few to learn from


def has_training_data(options: BuildOptions) -> bool:
    """Whether a build has anything to learn from."""
    has_live = options.has_history or len(options.live_events) >= _MIN_LIVE_EVENTS
    return options.interactions is not None or has_live


def read_training_data(
    options: BuildOptions, work: Path, counts: dict[str, int]
) -> list[Interaction]:
    """Return the good rows of the interactions that are new, then the live events.

    Words of circumstances that one user alone has used are left out: they tell nothing of others,
    and could tell of that user in every snapshot that knows them.

    Args:
        options: Of the build.
        work: Working folder; places and reasons of bad rows are appended to its `rejected.jsonl`.
        counts: `interactions` is set, `rejected_interactions` increased.

    Raises:
        CatalogError: If the source cannot be read or too many rows are bad.
    """
    rows: Sequence[Interaction] = ()
    if options.interactions is not None:
        rows = _read_good_rows(options.interactions, options, work, counts)
        if options.select_new is not None:
            rows = options.select_new(rows)
    interactions = _drop_private_words([*rows, *options.live_events])
    counts["interactions"] = len(interactions)
    return interactions


def _drop_private_words(interactions: list[Interaction]) -> list[Interaction]:
    """Return the interactions without the context words that only one user has."""
    users: dict[tuple[str, str], str | None] = {}  # None: several
    for row in interactions:
        for word in row.context.items():
            if users.setdefault(word, row.user_id) != row.user_id:
                users[word] = None
    private = {word for word, user in users.items() if user is not None}
    if not private:
        return interactions
    return [
        row
        if private.isdisjoint(row.context.items())
        else replace(row, context=dict(w for w in row.context.items() if w not in private))
        for row in interactions
    ]


def _read_good_rows(
    source: str, options: BuildOptions, work: Path, counts: dict[str, int]
) -> list[Interaction]:
    interactions = []
    rows = read_interactions(
        source, context=options.context, mapping=options.fields, query=options.interactions_query
    )
    with (work / REJECTED_FILE).open("a", encoding="utf-8") as rejected:
        for row in rows:
            if isinstance(row, Rejection):
                counts["rejected_interactions"] += 1
                rejected.write(render_anonymous_rejection(row) + "\n")
            else:
                interactions.append(row)
    bad = counts["rejected_interactions"]
    if bad > options.max_rejected * (bad + len(interactions)):
        raise CatalogError(
            f"{bad} of {bad + len(interactions)} rows of {source} are bad, more than the "
            f"{options.max_rejected:.2%} allowed; fix them or raise --max-rejected"
        )
    return interactions
