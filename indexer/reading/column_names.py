"""Column names as data sets spell them to our field names, for catalogues and interactions. Pure.

A name is recognised whatever its case, spaces and marks (`Movie ID`, `movieId`, `MOVIE_ID`), in
English and Chinese; see `indexer.reading.name_spellings`. A column that has our own name, or that
`--fields` names, is never renamed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from indexer.errors import CatalogError
from indexer.field_names import (
    DATE_FIELDS,
    PROSE_FIELDS,
    REVIEW_FIELDS,
    TAG_FIELDS,
    TIME_FIELDS,
    TITLE_FIELDS,
)
from indexer.reading.id_columns import CountKnown, choose_id_column
from indexer.reading.name_spellings import (
    CATALOGUE_SPELLINGS,
    INTERACTION_SPELLINGS,
    are_of_other_kinds,
    list_kindred_titles,
    normalise_name,
)
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import INTERACTION_FIELDS, clip, find_nearest_name
from indexer.reading.value_meaning import VALUE_COLUMNS


class Role(StrEnum):
    """What the rows of a source are."""

    CATALOGUE = "catalogue"
    INTERACTIONS = "interactions"

    @property
    def query_option(self) -> str:
        """The option of the command line that asks a database for such rows."""
        return "--query" if self is Role.CATALOGUE else "--interactions-query"


@dataclass(frozen=True, slots=True)
class SourceNames:
    """What decides the names of a source's columns.

    Attributes:
        role: What its rows are.
        mapping: Our names to the source's, as `--fields` gives them.
        context: Names of circumstances that are asked for.
        notes: Where guesses are told.
        fields_option: The option that names columns, for messages.
        needs_ids: Whether a source is refused in which no row can have the ids that all need.
        count_known: Counts the ids that the catalogue has, for interactions; that the interactions
            have, for a catalogue. None: nothing is known of the other source.
    """

    role: Role
    mapping: Mapping[str, str]
    context: Sequence[str] = ()
    notes: ReadingNotes = field(default_factory=ReadingNotes)
    fields_option: str = "--fields"
    needs_ids: bool = False
    count_known: CountKnown | None = None


# As pandas names an index without a name. It is the id if nothing else is, else left out.
INDEX_COLUMN = "__index_level_0__"

_OWN_CATALOGUE_NAMES = (
    "id", *TITLE_FIELDS, *PROSE_FIELDS, *REVIEW_FIELDS, *TAG_FIELDS, *DATE_FIELDS, "brand", "price",
    "rating", "available", "location", "lat", "lon", "latitude", "longitude", "lng", "vector",
)  # fmt: skip
# Shop systems write whether a product is published under this name, and no date.
_NEVER_RENAMED = frozenset(("published",))
_OWN_INTERACTION_NAMES = (
    "user_id", "item_id", "event", "value", *VALUE_COLUMNS, "liked", "timestamp", "text", "context",
)  # fmt: skip
# A column such as 商品 holds ids where there is a title besides, else what the items are called.
_AMBIGUOUS = frozenset(CATALOGUE_SPELLINGS["id"]).intersection(CATALOGUE_SPELLINGS["title"])
# Names that mean one field of an interaction; a source with one of them needs no other.
SAME_FIELD_NAMES: tuple[set[str], ...] = (
    {"user_id", "user"}, {"item_id", "item"}, {"value", *VALUE_COLUMNS},
    {*TIME_FIELDS},
)  # fmt: skip
_REQUIRED_FIELDS: Mapping[Role, Mapping[str, frozenset[str]]] = {
    Role.CATALOGUE: {"id": frozenset(("id",))},
    Role.INTERACTIONS: {
        "user_id": frozenset(("user_id", "user")),
        "item_id": frozenset(("item_id", "item")),
    },
}
# Of the many names that are recognised, those that show in a message what may be written.
KNOWN_EXAMPLES = {
    "id": "id, item_id, movieId, product_id, asin, sku, isbn, 商品ID, 编号",
    "user_id": "user_id, userId, uid, customer_id, reviewerID, 用户ID",
    "item_id": "item_id, movieId, product_id, asin, sku, isbn, 商品ID, 编号",
}
_INTERACTION_NAMES = frozenset((*_OWN_INTERACTION_NAMES, *frozenset().union(*SAME_FIELD_NAMES)))
_KNOWN_LEFT_SIDES = _INTERACTION_NAMES | {*_OWN_CATALOGUE_NAMES, *INTERACTION_FIELDS}


def recognise_names(
    columns: Iterable[str],
    role: Role,
    *,
    mapping: Mapping[str, str],
    context: Collection[str] = (),
    choose_id: Callable[[Sequence[str]], str] = lambda columns: columns[0],
) -> dict[str, str]:
    """Return which columns of a source are renamed: its name to ours.

    Args:
        columns: The source's column names.
        role: What its rows are.
        mapping: Our names to the source's, as `--fields` gives them; such columns stay.
        context: Names of circumstances that are asked for, which are ours too.
        choose_id: Returns the column of the items' ids among several, the usual one first.
    """
    given = list(columns)
    mapped = {ours: theirs for ours, theirs in mapping.items() if theirs in given}
    free = {name: normalise_name(name) for name in given if name not in mapped.values()}
    present = {*free, *mapped}
    renamed: dict[str, str] = {}
    is_untitled = role is Role.CATALOGUE and not _has_title(free, present)
    unclear = _AMBIGUOUS if is_untitled else frozenset()
    kindred = (
        () if role is Role.INTERACTIONS else list_kindred_titles([*map(normalise_name, given)])
    )
    for ours, spellings in (*_list_spellings(role, context), ("title", kindred)):
        if ours == "id":
            spellings = tuple(word for word in spellings if word not in unclear)
        if _is_covered(ours, present, mapped, role):
            continue
        found = _find_columns(spellings, free, {*renamed, *_list_own_names(role)})
        if found:
            theirs = choose_id(found) if ours in ("id", "item_id") and len(found) > 1 else found[0]
            renamed[theirs] = ours
            present.add(ours)
    return {theirs: renamed[theirs] for theirs in free if theirs in renamed}


def name_source_columns(
    source: str,
    columns: Sequence[str],
    naming: SourceNames,
    take_samples: Callable[[Sequence[str]], Mapping[str, Sequence[Any]]],
) -> dict[str, str]:
    """Return which columns of a source are renamed, as its first rows show; a choice is told.

    Args:
        source: Its name.
        columns: Its column names.
        naming: What decides the names.
        take_samples: Returns the first values of some columns.
    """

    def choose_id(candidates: Sequence[str]) -> str:
        samples = take_samples(candidates)
        column, reason = choose_id_column(
            samples, count_known=naming.count_known, is_unique=naming.role is Role.CATALOGUE
        )
        if reason:
            naming.notes.add(
                f"{source}: takes the ids of items from {column} and not from {candidates[0]}, "
                f"{reason}"
            )
        return column

    renamed = recognise_names(
        columns, naming.role, mapping=naming.mapping, context=naming.context, choose_id=choose_id
    )
    _compare_kinds(source, renamed, naming)
    return renamed


def _compare_kinds(source: str, renamed: Mapping[str, str], naming: SourceNames) -> None:
    """Tell if interactions name items of another kind; small whole ids fit any catalogue."""
    notes = naming.notes
    if naming.role is Role.CATALOGUE:
        notes.id_column = next((theirs for theirs, ours in renamed.items() if ours == "id"), "")
        return
    column = next((theirs for theirs, ours in renamed.items() if ours == "item_id"), "")
    if are_of_other_kinds(notes.id_column, column):
        notes.add(
            f"{source}: names its items by {column}, and the catalogue by {notes.id_column}; if "
            f"they are not the same things, equal numbers say nothing: give the interactions of "
            f"this catalogue"
        )


def _has_title(free: Mapping[str, str], present: Collection[str]) -> bool:
    """Whether a catalogue has a title beside columns that may as well be the id."""
    titles = {*map(normalise_name, TITLE_FIELDS), *CATALOGUE_SPELLINGS["title"]} - _AMBIGUOUS
    return not titles.isdisjoint((*free.values(), *map(normalise_name, present)))


def _list_own_names(role: Role) -> frozenset[str]:
    """Names that a column keeps, since the rows of this role have them as ours."""
    return _INTERACTION_NAMES if role is Role.INTERACTIONS else frozenset(_OWN_CATALOGUE_NAMES)


def _list_spellings(role: Role, context: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each of our fields with the normal spellings of its columns, the most certain first."""
    is_catalogue = role is Role.CATALOGUE
    own = _OWN_CATALOGUE_NAMES if is_catalogue else (*_OWN_INTERACTION_NAMES, *context)
    for ours in own:
        if ours not in _NEVER_RENAMED:
            yield ours, (normalise_name(ours),)
    yield from (CATALOGUE_SPELLINGS if is_catalogue else INTERACTION_SPELLINGS).items()


def _find_columns(
    spellings: Iterable[str], free: Mapping[str, str], kept: Collection[str]
) -> list[str]:
    """Return the columns, in the order of the spellings, that are not to be kept."""
    return [
        column
        for spelling in spellings
        for column, normal in free.items()
        if normal == spelling and column not in kept
    ]


@lru_cache(maxsize=256)
def names_titles(column: str) -> bool:
    """Whether a column of a catalogue holds titles, as it is called; of ids it may not as well."""
    normal = normalise_name(column)
    return normal in (*TITLE_FIELDS, *CATALOGUE_SPELLINGS["title"]) and normal not in _AMBIGUOUS


def names_items(column: str) -> bool:
    """Whether a column of interactions may hold the ids of items, as it is called."""
    return (
        column in ("item_id", "item") or normalise_name(column) in INTERACTION_SPELLINGS["item_id"]
    )


def _is_covered(ours: str, present: Collection[str], mapped: Collection[str], role: Role) -> bool:
    """Whether the source has a field already, under one of its names."""
    if ours in present:
        return True
    if role is Role.CATALOGUE:
        return ours in ("title", "name") and ("title" in present or "name" in present)
    if ours == "item_id" and "id" in mapped:  # it names the item of interactions too
        return True
    return any(ours in names and not names.isdisjoint(present) for names in SAME_FIELD_NAMES)


def check_field_names(mapping: Mapping[str, str], *, option: str) -> None:
    """Refuse a misspelt field name on the left of an option, such as `--fields titel=name`.

    Names that are far from every known one are the user's own, and stay.

    Raises:
        CatalogError: Naming the nearest known name.
    """
    for ours, theirs in mapping.items():
        nearest = None if ours in _KNOWN_LEFT_SIDES else find_nearest_name(ours, _KNOWN_LEFT_SIDES)
        if nearest is not None and ours != theirs:
            raise CatalogError(
                f"{option} names the field {ours!r}, which is not known; did you mean {nearest!r}? "
                f"A field of your own needs a name that is less like it"
            )


def has_known_name(columns: Iterable[str], role: Role) -> bool:
    """Whether any of the names is one of ours or one that is recognised."""
    normal = {normalise_name(name) for name in columns}
    known = {normalise_name(name) for name in _list_own_names(role)}
    return not normal.isdisjoint(known.union(*(words for _, words in _list_spellings(role, ()))))


def describe_names(source: str, renamed: Mapping[str, str], *, option: str) -> str:
    """Return the sentence that tells which columns were renamed, and the option that decides."""
    pairs = ", ".join(f"{theirs} as {ours}" for theirs, ours in renamed.items())
    return f"{source}: reads {pairs} ({option} ours=theirs decides otherwise)"


def describe_absent(source: str, names: Sequence[str], naming: SourceNames) -> str | None:
    """Return the sentence that no column can be what every row needs; None if all are there.

    Args:
        source: Its name.
        names: Its columns, under our names where they are recognised.
        naming: What decides the names.
    """
    mapped = {ours for ours, theirs in naming.mapping.items() if theirs in names}
    cleaned = {name.strip().lstrip("_") for name in (*names, *mapped)}
    for ours, field_names in _REQUIRED_FIELDS[naming.role].items():
        if field_names.isdisjoint(cleaned):
            return (
                f"{source}: no column is known as {ours} (such as {KNOWN_EXAMPLES[ours]}); there "
                f"are {clip(', '.join(names))}; name it with {naming.fields_option} {ours}=COLUMN"
            )
    return None
