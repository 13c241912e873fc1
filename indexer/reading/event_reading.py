"""What a caller says of the events of a source, and what reading them found."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from indexer.event_kinds import Event
from indexer.reading.flag_columns import FlagColumn
from indexer.reading.item_names import ItemNames
from indexer.reading.notes import ReadingNotes
from indexer.reading.rows import clip
from indexer.reading.value_meaning import ValueKind, ValueMeaning

_MAX_TOLD_WORDS = 20


@dataclass(slots=True)
class EventReading:
    """What is known of the events of one source; reading them completes it.

    Attributes:
        event: The event of rows that name none; None: as their values say.
        value_kind: What the values are; None: inferred.
        own_names: Names of events with a weight in `scenarios.toml`.
        now: Unix seconds; None for the time of the call.
        fields_option: The option that named columns, for messages.
        item_names: Knows the items of the catalogue by their names; None: there is none yet.
        meaning: What the values of rows without an event were taken for; None: there are none.
        words: How many rows use a word for an event, for each (word, event).
        unreadable_values: Rows that are kept without a value that cannot be read.
        first_unreadable: Where and what the first of them is.
        zero_counts: Rows that are left out, since they count 0 of something, or say no to it.
        has_likings: Whether the cells of `liked` answer yes or no, and decide for rows without an
            event.
        has_silent_noes: Whether a no says nothing: nearly all of them are no, or other columns say
            what happened.
        has_others: Whether it is because of the other columns.
        likings: How many rows are likes and dislikes by such a cell.
        flags: The columns of yes and no that decide for rows without an event.
        flagged: How many rows are which event by them; None: they say no to all.
        notes: Where guesses about the source itself are told: its columns, delimiter, encoding.
    """

    event: str | None = None
    value_kind: ValueKind | None = None
    own_names: Collection[str] = ()
    now: float | None = None
    fields_option: str = "--fields"
    item_names: ItemNames | None = None
    meaning: ValueMeaning | None = None
    words: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable_values: int = 0
    first_unreadable: str = ""
    zero_counts: int = 0
    has_likings: bool = False
    has_silent_noes: bool = False
    has_others: bool = False
    likings: Counter[str] = field(default_factory=Counter)
    flags: tuple[FlagColumn, ...] = ()
    flagged: Counter[Event | None] = field(default_factory=Counter)
    notes: ReadingNotes = field(default_factory=ReadingNotes)

    def render(self) -> list[str]:
        """Return what was guessed or left out, one sentence each."""
        lines = [*self.notes.sentences, *self._describe_events()]
        if self.value_kind is ValueKind.MONEY:
            lines.append("value is money: what was paid does not change how much an item is liked")
        told = [
            f"{clip(word, 40)!r} is {event} ({count:,} rows)"
            for (word, event), count in self.words.most_common(_MAX_TOLD_WORDS)
        ]
        if told:
            lines.append(f"event words: {', '.join(told)}")
        if self.unreadable_values:
            lines.append(
                f"value: {self.unreadable_values:,} unreadable, first {self.first_unreadable}; the "
                f"events are kept without it"
            )
        if self.item_names is not None:
            lines += self.item_names.describe()
        if self.zero_counts:
            lines.append(f"{self.zero_counts:,} rows with a count of 0 are no events")
        return lines

    def to_json(self) -> dict[str, str]:
        """Return what rows without an event were taken for; empty if all rows have one."""
        if self.meaning is None or self.flags:
            return {}
        kind = self.meaning.kind
        return {"event": self.meaning.event, **({"value_is": kind.value} if kind else {})}

    def _describe_events(self) -> list[str]:
        """Return what rows without an event were taken for."""
        if self.flags:
            return [self._describe_flags()]
        lines = [self._describe_likings()] * bool(self.likings)
        if self.meaning is not None and not (self.likings and self.meaning.kind is None):
            lines.append(_describe_meaning(self.meaning, is_given=self.event is not None))
        return lines

    def _describe_flags(self) -> str:
        names = ", ".join(dict.fromkeys(flag.name for flag in self.flags))
        counts = [f"{self.likings['like']:,} rows are like (liked)"] * bool(self.likings)
        counts += [f"{count:,} rows are {event}" for event, count in self.flagged.items() if event]
        verb = "says" if len(self.flags) == 1 else "say"
        return (
            f"{names} {verb} what happened: {', '.join([*counts, ''])}"
            f"{self.flagged[None]:,} with a no are no events; --event decides otherwise"
        )

    def _describe_likings(self) -> str:
        likes, dislikes = self.likings["like"], self.likings["dislike"]
        is_counted = self.meaning is not None and self.meaning.kind is not None
        usual = f"{self.meaning.event}s" if self.meaning and is_counted else "clicks"
        many = "those with a no, beside columns that say more," if self.has_others else ""
        noes = many or ("those with a no, as nearly all have," if self.has_silent_noes else "")
        others = noes or f"{dislikes:,} with a no dislikes, those without an answer"
        return (
            f"liked says what happened: {likes:,} rows with a yes are likes, {others} {usual}; "
            f"--event decides otherwise"
        )

    def note_word(self, word: str, event: str) -> None:
        """Count a row whose event is called by another word."""
        if word.strip().lower() != event:
            self.words[word, event] += 1


def _describe_meaning(meaning: ValueMeaning, *, is_given: bool) -> str:
    event = f"every row without an event is a {meaning.event}"
    if meaning.kind is None:
        reason = "since there is neither an event nor a value column; --event decides otherwise"
        return event if is_given else f"{event}, {reason}"
    says = f"value is a {meaning.kind}" if meaning.kind != "money" else "value is money"
    if meaning.unrated is not None:
        event += f"; {meaning.unrated:g} is no rating, such a row is a view"
    way = "" if is_given else "; --event and --value-is decide otherwise"
    return f"{says} ({meaning.reason}): {event}{way}"
