"""Keyword arguments to the checked options of a build; what it did to a summary."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self, TypeAlias, TypedDict

from indexer.errors import CatalogError
from indexer.language import Encoder
from indexer.reading import (
    DeletedId,
    Interaction,
    Item,
    ValueKind,
    split_fields,
    suggest_name,
)

NO_MODEL = "none"  # value of `model`: every row brings its vector, and requests have no texts

# Called with a sentence for whoever waits for a build.
Notice: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LiveState:
    """What a live store was at one moment, as `BuildOptions` names it.

    Attributes:
        live_state: A hash; empty: there was no store.
        applied_seq: Its sequence number.
    """

    live_state: str
    applied_seq: int


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a caller of `build_index` may choose.

    Attributes:
        query: SELECT statement or name of a table, for a catalogue in a database.
        model: Name or directory of the language model; None: the bundled multilingual one;
            "none": every row brings its vector.
        fields: Our field names to the catalogue's column names. Without `interaction_fields`, those
            of interactions among them are names of their columns, and not of the catalogue's.
        index: "auto", "flat", "hnsw", "ivf" or a FAISS factory string.
        min_recall: Recall@10 against exact search that the index must reach for every kind of
            request, in (0, 1].
        interactions: File or URL of interactions to learn taste from.
        interactions_query: SELECT statement or name of a table, for interactions in a database.
        interaction_fields: Our field names to the column names of the interactions.
        event: The event of all interactions; None: as each says, or as its value shows.
        value_is: "rating", "count" or "money": what the values of the interactions are; None:
            inferred from them.
        context: Columns of the interactions that are known when a recommendation is requested;
            None: the usual ones, such as `daytime` and `weather`.
        rating_scale: Lowest and highest possible rating; None: inferred from the ratings.
        max_rejected: Share of rows that may be bad before the build fails, in [0, 1].
        force_full: Encode every text again.
        since: "last": publish nothing if nothing has changed since the live snapshot, and keep
            what it was tuned to; None: build anew.
        force: Publish the snapshot even if it recommends clearly worse than the live one.
        examine: Compare the taste model with the live snapshot before publishing, and keep a
            report of the comparison.
        tune_encoder: Tune the language model's last layer on the interactions, and keep it if
            recommendations get clearly better.
        notice: Called with a sentence: how many texts will be encoded and about how long it
            takes, why every text must be encoded again, whether a tuned encoder is kept.
        encoder: An encoder that is loaded already, in place of `model`.
        changes: Items changed or deleted since the catalogue was written; they replace its rows.
        live_events: Interactions to learn from in addition to `interactions`.
        has_history: Whether an imported history is in `live_events`: they are learned from, however
            few they are.
        select_new: Returns those of the `interactions` that are to be learned from: not those that
            are among `live_events` already, or of users who were erased.
        live_state: Names what the three before hold, such as a hash; empty: a build cannot know
            whether that has changed.
        applied_seq: Sequence number of the last of `changes`.
        before_import: What the live store was when the live snapshot was built, if nothing but the
            interactions of that build has been added since; None: that is not so, or not known.
    """

    query: str | None = None
    model: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    index: str = "auto"
    min_recall: float = 0.99
    interactions: str | None = None
    interactions_query: str | None = None
    interaction_fields: Mapping[str, str] = field(default_factory=dict)
    event: str | None = None
    value_is: str | None = None
    context: tuple[str, ...] | None = None
    rating_scale: tuple[float, float] | None = None
    max_rejected: float = 0.01
    force_full: bool = False
    since: str | None = None
    force: bool = False
    examine: bool = True
    tune_encoder: bool = False
    notice: Notice | None = None
    encoder: Encoder | None = None
    changes: Iterable[Item | DeletedId] = ()
    live_events: Sequence[Interaction] = ()
    has_history: bool = False
    select_new: Callable[[Sequence[Interaction]], Sequence[Interaction]] | None = None
    live_state: str = ""
    applied_seq: int = 0
    before_import: LiveState | None = None

    def __post_init__(self) -> None:
        """Check the options that can be checked without reading anything.

        Raises:
            CatalogError: Naming the option, its value and what it may be.
        """
        if self.since not in (None, "last"):
            raise CatalogError(f"unknown since {self.since!r}; only 'last' is known")
        if not 0 <= self.max_rejected <= 1:
            raise CatalogError(f"max_rejected is {self.max_rejected}; give a share from 0 to 1")
        if not 0 < self.min_recall <= 1:
            raise CatalogError(f"min_recall is {self.min_recall}; give a share from above 0 to 1")
        if self.value_is is not None and self.value_is not in set(ValueKind):
            raise CatalogError(f"value_is is {self.value_is!r}; give one of {', '.join(ValueKind)}")
        if self.rating_scale is not None:
            _check_rating_scale(self.rating_scale)
        if self.tune_encoder:
            self._check_tuning()

    def split_fields(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return our names of the catalogue's columns to theirs, and of the interactions'."""
        return split_fields(
            self.fields,
            self.interaction_fields,
            context=self.context,
            has_interactions=self.interactions is not None,
        )

    def restore_before_import(self) -> Self | None:
        """Return the options as they were before the import; None if nothing is known of it."""
        before = self.before_import
        if before is None:
            return None
        has_store = bool(before.live_state)
        return replace(
            self,
            live_events=self.live_events if has_store else (),
            select_new=self.select_new if has_store else None,
            live_state=before.live_state,
            applied_seq=before.applied_seq,
            before_import=None,
        )

    def _check_tuning(self) -> None:
        if self.since is not None:
            raise CatalogError(
                "tune_encoder tunes anew, since='last' (--since last) keeps what was tuned; "
                "give one of them"
            )
        if self.encoder is not None or self.model == NO_MODEL:
            raise CatalogError(
                f"tune_encoder cannot tune the model {self.model or 'given as encoder'!r}; "
                f"give the name or directory of a language model (--model)"
            )


class BuildChoices(TypedDict, total=False):
    """The fields of `BuildOptions` as keywords; names of files may also be given as paths."""

    query: str | None
    model: str | Path | None
    fields: Mapping[str, str]
    index: str
    min_recall: float
    interactions: str | Path | None
    interactions_query: str | None
    interaction_fields: Mapping[str, str]
    event: str | None
    value_is: str | None
    context: tuple[str, ...] | None
    rating_scale: tuple[float, float] | None
    max_rejected: float
    force_full: bool
    since: str | None
    force: bool
    examine: bool
    tune_encoder: bool
    notice: Notice | None
    encoder: Encoder | None
    changes: Iterable[Item | DeletedId]
    live_events: Sequence[Interaction]
    has_history: bool
    select_new: Callable[[Sequence[Interaction]], Sequence[Interaction]] | None
    live_state: str
    applied_seq: int
    before_import: LiveState | None


def override_options(options: BuildOptions, choices: BuildChoices) -> BuildOptions:
    """Return the options with some of them replaced; paths become text.

    Raises:
        TypeError: If there is no option of a name; the message suggests the nearest one.
        CatalogError: If a value is out of its range.
    """
    known = [option.name for option in fields(BuildOptions)]
    for name in choices:
        if name not in known:
            raise TypeError(f"build_index has no option {name!r}; {suggest_name(name, known)}")
    values: dict[str, Any] = {
        name: str(value) if isinstance(value, Path) else value for name, value in choices.items()
    }
    return replace(options, **values)


def _check_rating_scale(rating_scale: Sequence[float]) -> None:
    is_pair = len(rating_scale) == 2 and all(math.isfinite(end) for end in rating_scale)
    if not (is_pair and rating_scale[0] < rating_scale[1]):
        raise CatalogError(
            f"rating_scale is {tuple(rating_scale)}; give the lowest and a higher possible "
            f"rating, such as (1, 5)"
        )


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """What a build did; `--json` prints it.

    Attributes:
        snapshot: Id of the snapshot that is live now.
        duplicates: Rows that a later row of the same id replaced.
        interactions_matched: Interactions that name an item of the catalogue.
        notes: What was guessed or left out, one sentence each.
        encoded: Texts that went through the language model.
        reused: Items whose vector was known already.
        index: Kind of the index.
        recall: Recall@10 of the index against exact search.
        index_note: A sentence about the index, if there is something to know.
        unchanged: Whether nothing was published, since nothing had changed.
        seconds: Wall-clock time of the build.
        out: The index directory.
        findings: Fields of the catalogue that could not be read as they came: an object for each
            field and outcome, with `count` of the rows `of` those that have it, and the `first`.
    """

    snapshot: str
    items: int
    rejected: int
    duplicates: int
    encoded: int
    reused: int
    interactions: int
    interactions_matched: int
    rejected_interactions: int
    index: str
    recall: float
    bytes_per_vector: float
    index_note: str
    unchanged: bool
    seconds: float
    out: str
    notes: tuple[str, ...] = ()
    findings: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the summary as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)
