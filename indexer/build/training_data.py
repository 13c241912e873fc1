"""The interactions that a build may learn from: read, checked, each once."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.build.collector import REJECTED_FILE
from indexer.build.options import BuildOptions
from indexer.errors import CatalogError
from indexer.reading import (
    BadRowCounts,
    EventReading,
    Interaction,
    Rejection,
    clip,
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

    def check(self, source: str) -> None:
        """Refuse interactions of which none names an item.

        Raises:
            CatalogError: If there are some and none does.
        """
        if self.named and not self.matched:
            raise CatalogError(
                f"{self.describe()}, in {source}; give the interactions of this catalogue, or name "
                f"the columns of the ids with --fields id=… and --interaction-fields item_id=…"
            )

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


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a build learns from.

    Attributes:
        source_items: How often each item is named by the rows of the file or database of
            interactions, those among them that the live store has already.
    """

    interactions: list[Interaction]
    source_items: Counter[str]


def has_training_data(options: BuildOptions) -> bool:
    """Whether a build has anything to learn from."""
    has_live = options.has_history or len(options.live_events) >= _MIN_LIVE_EVENTS
    return options.interactions is not None or has_live


def read_training_data(
    options: BuildOptions, work: Path, counts: dict[str, int], reading: EventReading
) -> TrainingData:
    """Return the good rows of the interactions that are new, then the live events.

    Words of circumstances that one user alone has used are left out: they tell nothing of others,
    and could tell of that user in every snapshot that knows them.

    Args:
        options: Of the build.
        work: Working folder; places and reasons of bad rows are appended to its `rejected.jsonl`.
        counts: `interactions` is set, `rejected_interactions` increased.
        reading: What the caller says of the events; completed.

    Raises:
        CatalogError: If the source cannot be read, has no row, or too many rows are bad.
    """
    rows: Sequence[Interaction] = ()
    source_items: Counter[str] = Counter()
    if options.interactions is not None:
        rows = _read_good_rows(options, work, counts, reading)
        source_items.update(row.item_id for row in rows if row.item_id)
        if options.select_new is not None:
            rows = options.select_new(rows)
    interactions = _drop_private_words([*rows, *options.live_events])
    counts["interactions"] = len(interactions)
    return TrainingData(interactions, source_items)


def count_matches(
    named_items: Mapping[str, int], item_ids: Collection[str], example: str
) -> MatchCount:
    """Return how many interactions name an item of the catalogue.

    Args:
        named_items: How often each item is named.
        item_ids: Ids of the catalogue.
        example: One of them.
    """
    strange = [item_id for item_id in named_items if item_id not in item_ids]
    total = sum(named_items.values())
    matched = total - sum(named_items[item_id] for item_id in strange)
    return MatchCount(total, matched, strange[0] if strange else "", example)


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
    bad_rows = BadRowCounts()
    rows = read_interactions(
        source,
        context=options.context,
        mapping=options.split_fields()[1],
        query=options.interactions_query,
        reading=reading,
    )
    with (work / REJECTED_FILE).open("a", encoding="utf-8") as rejected:
        for row in rows:
            if isinstance(row, Rejection):
                counts["rejected_interactions"] += 1
                bad_rows.add(row.source, row.line, row.reason)
                rejected.write(render_anonymous_rejection(row) + "\n")
            else:
                interactions.append(row)
    bad = counts["rejected_interactions"]
    if not bad and not interactions:
        raise CatalogError(f"{source} has no row that is an event; give a file of interactions")
    if bad > options.max_rejected * (bad + len(interactions)):
        raise CatalogError(
            f"{bad} of {bad + len(interactions)} rows of {source} are bad (first: "
            f"{bad_rows.describe_first()}), more than the {options.max_rejected:.2%} allowed; "
            f"fix them or raise --max-rejected"
        )
    return interactions
