"""The interactions that a build may learn from: read, checked, without those of erased users."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.build.collector import REJECTED_FILE
from indexer.build.options import BuildOptions
from indexer.errors import CatalogError
from indexer.reading import (
    EventReading,
    Interaction,
    Rejection,
    clip,
    name_row,
    read_interactions,
    render_anonymous_rejection,
)

_LOW_MATCH_SHARE = 0.5  # of interactions, below which their ids are probably of another kind
_MIN_LIVE_EVENTS = 1_000  # fewer, without a file of interactions, are too few to learn from


@dataclass(frozen=True, slots=True)
class MatchCount:
    """How many interactions name an item of the catalogue.

    Attributes:
        named: Interactions that name any item.
        matched: Of these, one of the catalogue.
        first_strange: The first id that the catalogue does not have; empty without any.
        example: An id of the catalogue.
    """

    named: int
    matched: int
    first_strange: str
    example: str

    @property
    def is_low(self) -> bool:
        """Whether so few match that something is probably wrong."""
        return self.matched < _LOW_MATCH_SHARE * self.named

    def describe(self) -> str:
        """Return the count as a sentence without its end."""
        hint = (
            f' (first: "{clip(self.first_strange, 60)}"; the catalogue\'s look like '
            f'"{clip(self.example, 60)}")'
            if self.first_strange and self.is_low
            else ""
        )
        return (
            f"{self.matched:,} of {self.named:,} interactions name an item of the catalogue{hint}"
        )


def has_training_data(options: BuildOptions) -> bool:
    """Whether a build has anything to learn from."""
    return options.interactions is not None or len(options.live_events) >= _MIN_LIVE_EVENTS


def read_training_data(
    options: BuildOptions, work: Path, counts: dict[str, int], reading: EventReading
) -> list[Interaction]:
    """Return the good rows of the interactions, then the live events, without erased ones.

    Words of circumstances that one user alone has used are left out: they tell nothing of others,
    and could tell of that user in every snapshot that knows them.

    Args:
        options: Of the build.
        work: Working folder; places and reasons of bad rows are appended to its `rejected.jsonl`.
        counts: `interactions` is set, `rejected_interactions` increased.
        reading: What the caller says of the events; completed.

    Raises:
        CatalogError: If the source cannot be read or too many rows are bad.
    """
    rows: Sequence[Interaction] = ()
    if options.interactions is not None:
        rows = _read_good_rows(options, work, counts, reading)
    is_erased = options.is_erased or (lambda _: False)
    interactions = _drop_private_words(
        [row for row in (*rows, *options.live_events) if not is_erased(row)]
    )
    counts["interactions"] = len(interactions)
    return interactions


def count_matches(
    interactions: Sequence[Interaction], item_ids: Sequence[str], source: str
) -> MatchCount:
    """Return how many interactions name an item of the catalogue; searches are not counted.

    Args:
        interactions: All of them.
        item_ids: Ids of the catalogue, at least one.
        source: What the interactions were read from.

    Raises:
        CatalogError: If there are interactions and none does.
    """
    known = frozenset(item_ids)
    named = [row.item_id for row in interactions if row.item_id]
    strange = [item_id for item_id in named if item_id not in known]
    count = MatchCount(
        len(named), len(named) - len(strange), strange[0] if strange else "", item_ids[0]
    )
    if named and not count.matched:
        raise CatalogError(
            f"{count.describe()}, in {source}; give the interactions of this catalogue, or name "
            f"the columns of the ids with --fields id=…,item_id=…"
        )
    return count


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
    options: BuildOptions, work: Path, counts: dict[str, int], reading: EventReading
) -> list[Interaction]:
    source = options.interactions or ""
    interactions = []
    first = ""
    rows = read_interactions(
        source,
        context=options.context,
        mapping=options.fields,
        query=options.interactions_query,
        reading=reading,
    )
    with (work / REJECTED_FILE).open("a", encoding="utf-8") as rejected:
        for row in rows:
            if isinstance(row, Rejection):
                counts["rejected_interactions"] += 1
                first = first or f"{name_row(row.source, row.line)}: {row.reason}"
                rejected.write(render_anonymous_rejection(row) + "\n")
            else:
                interactions.append(row)
    bad = counts["rejected_interactions"]
    if bad > options.max_rejected * (bad + len(interactions)):
        raise CatalogError(
            f"{bad} of {bad + len(interactions)} rows of {source} are bad (first: {first}), more "
            f"than the {options.max_rejected:.2%} allowed; fix them or raise --max-rejected"
        )
    return interactions
