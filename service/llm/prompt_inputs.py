"""An answer and its request to the little that a language model may be told of them.

Never told: user and session ids, reviews, prices of others, fields nobody asked about. What
strangers wrote is cleaned first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from indexer.answer import Answer, Hit
from indexer.field_names import PROSE_FIELDS, TAG_FIELDS
from indexer.language import is_chinese, title_of
from indexer.live import Overlay
from indexer.request import Request, words_of
from service.llm.sanitiser import plain, tidy

Language = Literal["en", "zh"]
UNTITLED = "an item without a usable title"
_TITLE_CHARS, _TAG_CHARS, _FACT_CHARS, _WORDS_CHARS = 100, 40, 60, 300
_MAX_TAGS, _MAX_HISTORY, _MAX_INTERESTS, _MAX_NAMES = 8, 12, 12, 3
_FACT_FIELDS = (
    "author", "authors", "artist", "artists", "director", "directors", "actors", "cast", "host",
    "brand", "developer", "publisher", "series", "country", "city", "year", "rating", "kind",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One item as a model may see it.

    Attributes:
        facts: Field to words: makers, year, rating.
    """

    id: str
    title: str
    tags: tuple[str, ...] = ()
    about: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, as a model may see them: nothing that says who they are.

    Attributes:
        met: `(event, title)` of what they met, the latest last.
        said: Their own words: texts in the history, interests.
        moment: Circumstances in words.
        language: They are spoken to in it.
        catalogue: The language of the items.
    """

    met: tuple[tuple[str, str], ...] = ()
    said: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    query: str = ""
    moment: tuple[str, ...] = ()
    language: Language = "en"
    catalogue: Language = "en"

    @property
    def is_known(self) -> bool:
        """Whether anything at all is known."""
        return bool(self.met or self.said or self.interests or self.query or self.moment)

    def to_json(self) -> dict[str, Any]:
        """Return what prompts hold."""
        told = {
            "past": [f"{event}: {title}" for event, title in self.met],
            "said": list(self.said),
            "interests": list(self.interests),
            "wants_now": self.query,
            "moment": list(self.moment),
        }
        return {name: value for name, value in told.items() if value}


def told_item(item_id: str, fields: Mapping[str, Any], *, about_chars: int) -> Told:
    """Return an item without its reviews, in clean words."""
    tags = [plain(tag, _TAG_CHARS) for key in TAG_FIELDS for tag in _strings(fields.get(key))]
    prose = next((text for key in PROSE_FIELDS for text in _strings(fields.get(key))), "")
    facts = {}
    for key in _FACT_FIELDS:
        words = [plain(word, _FACT_CHARS) for word in _strings(fields.get(key))[:_MAX_NAMES]]
        if any(words):
            facts[key] = ", ".join(filter(None, words))
    title = plain(title_of(fields), _TITLE_CHARS) or UNTITLED
    kept = tuple(dict.fromkeys(filter(None, tags)))[:_MAX_TAGS]
    return Told(item_id, title, kept, plain(prose, about_chars), facts)


def person_of(catalogue: Overlay, request: Request) -> Person:
    """Return who asks; what is stored of them is in the request already."""
    known = catalogue.rows([e.item_id for e in request.history if e.item_id is not None])
    entries = sorted(request.history, key=lambda entry: entry.at or 0.0)
    latest = [e for e in entries if e.item_id is not None and e.item_id in known][-_MAX_HISTORY:]
    titles = titles_of(catalogue, [e.item_id or "" for e in latest])
    met = tuple((e.event, titles[e.item_id or ""]) for e in latest)
    said = tuple(tidy(e.text, _WORDS_CHARS) for e in entries if e.text)[-_MAX_HISTORY:]
    own: Language = "zh" if catalogue.manifest.language == "zh" else "en"
    words = " ".join([*said, *request.interests, request.query or ""]).strip()
    return Person(
        met=met,
        said=tuple(filter(None, said)),
        interests=tuple(tidy(text, _TAG_CHARS) for text in request.interests[:_MAX_INTERESTS]),
        query=tidy(request.query or "", _WORDS_CHARS),
        moment=tuple(tidy(text, _FACT_CHARS) for text in words_of(request.context, own).values()),
        language=("zh" if is_chinese(words) else "en") if words else own,
        catalogue=own,
    )


def titles_of(catalogue: Overlay, ids: Sequence[str]) -> dict[str, str]:
    """Return the clean titles of those ids that the catalogue has."""
    rows = catalogue.rows(list(ids))
    items = catalogue.items(list(rows.values()))
    return {
        item_id: plain(title_of(item), _TITLE_CHARS) or UNTITLED
        for item_id, item in zip(rows, items, strict=True)
    }


def mentioned(answer: Answer) -> list[str]:
    """Return the ids of items that the reasons of an answer name."""
    named = (reason.get("item_id") for hit in answer for reason in hit.reasons)
    return list(dict.fromkeys(item_id for item_id in named if item_id))


def candidates_of(hits: Sequence[Hit], *, about_chars: int) -> list[Told]:
    """Return the items of hits as a model may see them."""
    return [told_item(hit.id, hit.item, about_chars=about_chars) for hit in hits]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [f"{value:g}"]
    if isinstance(value, list | tuple):
        return [word for part in value for word in _strings(part)]
    return []
