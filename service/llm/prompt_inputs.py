"""Items and a request to the part of them that a language model may read.

Left out are user and session ids, reviews, and all fields that are not listed here. Texts from the
catalogue are sanitised first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from indexer.answer import Answer, Hit
from indexer.field_names import PROSE_FIELDS, TAG_FIELDS
from indexer.language import find_title, is_chinese
from indexer.live import LiveCatalogue
from indexer.request import Request, describe_context
from service.llm.sanitiser import clean_own_text, sanitise

Language = Literal["en", "zh"]
UNTITLED = "an item without a usable title"
_MAX_TITLE_CHARS, _MAX_TAG_CHARS, _MAX_FACT_CHARS, _MAX_TEXT_CHARS = 100, 40, 60, 300
_MAX_TAGS, _MAX_HISTORY, _MAX_INTERESTS, _MAX_NAMES_PER_FACT = 8, 12, 12, 3
_FACT_FIELDS = (
    "author", "authors", "artist", "artists", "director", "directors", "actors", "cast", "host",
    "brand", "developer", "publisher", "series", "country", "city", "year", "rating", "kind",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PromptItem:
    """One item as a model reads it.

    Attributes:
        about: The beginning of its description.
        facts: Field to its values as text: makers, year, rating.
    """

    id: str
    title: str
    tags: tuple[str, ...] = ()
    about: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromptUser:
    """The user of a request as a model reads them, without anything that identifies them.

    Attributes:
        history: `(event, title)` of the latest items, oldest first.
        own_texts: Texts of their history, such as searches and reviews, oldest first.
        context: The context of the request in words.
        language: Of sentences for the user.
        catalogue_language: Of the items.
    """

    history: tuple[tuple[str, str], ...] = ()
    own_texts: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    query: str = ""
    context: tuple[str, ...] = ()
    language: Language = "en"
    catalogue_language: Language = "en"

    @property
    def is_known(self) -> bool:
        """Whether anything is known about the user."""
        return bool(self.history or self.own_texts or self.interests or self.query or self.context)

    def to_json(self) -> dict[str, Any]:
        """Return the user as prompts hold them, without empty fields."""
        prompt_json = {
            "past": [f"{event}: {title}" for event, title in self.history],
            "said": list(self.own_texts),
            "interests": list(self.interests),
            "wants_now": self.query,
            "moment": list(self.context),
        }
        return {name: value for name, value in prompt_json.items() if value}


def build_prompt_item(item_id: str, fields: Mapping[str, Any], *, about_chars: int) -> PromptItem:
    """Return an item with sanitised texts, without its reviews.

    Args:
        item_id: Its id.
        fields: All its fields.
        about_chars: The most characters of its description.
    """
    tags = [
        sanitise(tag, _MAX_TAG_CHARS)
        for key in TAG_FIELDS
        for tag in _flatten_texts(fields.get(key))
    ]
    prose = next((text for key in PROSE_FIELDS for text in _flatten_texts(fields.get(key))), "")
    facts = {}
    for key in _FACT_FIELDS:
        texts = [
            sanitise(word, _MAX_FACT_CHARS)
            for word in _flatten_texts(fields.get(key))[:_MAX_NAMES_PER_FACT]
        ]
        if any(texts):
            facts[key] = ", ".join(filter(None, texts))
    title = sanitise(find_title(fields), _MAX_TITLE_CHARS) or UNTITLED
    clean_tags = tuple(dict.fromkeys(filter(None, tags)))[:_MAX_TAGS]
    return PromptItem(item_id, title, clean_tags, sanitise(prose, about_chars), facts)


def build_prompt_user(catalogue: LiveCatalogue, request: Request) -> PromptUser:
    """Return the user of a personalised request, see `RequestView.personalise`."""
    known_rows = catalogue.rows([e.item_id for e in request.history if e.item_id is not None])
    entries = sorted(request.history, key=lambda entry: entry.at or 0.0)
    latest = [e for e in entries if e.item_id is not None and e.item_id in known_rows][
        -_MAX_HISTORY:
    ]
    titles = load_titles(catalogue, [e.item_id or "" for e in latest])
    history = tuple((e.event, titles[e.item_id or ""]) for e in latest)
    own_texts = tuple(clean_own_text(e.text, _MAX_TEXT_CHARS) for e in entries if e.text)[
        -_MAX_HISTORY:
    ]
    catalogue_language: Language = "zh" if catalogue.manifest.language == "zh" else "en"
    texts = " ".join([*own_texts, *request.interests, request.query or ""]).strip()
    return PromptUser(
        history=history,
        own_texts=tuple(filter(None, own_texts)),
        interests=tuple(
            clean_own_text(text, _MAX_TAG_CHARS) for text in request.interests[:_MAX_INTERESTS]
        ),
        query=clean_own_text(request.query or "", _MAX_TEXT_CHARS),
        context=tuple(
            clean_own_text(text, _MAX_FACT_CHARS)
            for text in describe_context(request.context, catalogue_language).values()
        ),
        language=("zh" if is_chinese(texts) else "en") if texts else catalogue_language,
        catalogue_language=catalogue_language,
    )


def load_titles(catalogue: LiveCatalogue, ids: Sequence[str]) -> dict[str, str]:
    """Return the sanitised titles of those ids that are in the catalogue."""
    rows = catalogue.rows(list(ids))
    items = catalogue.items(list(rows.values()))
    return {
        item_id: sanitise(find_title(item), _MAX_TITLE_CHARS) or UNTITLED
        for item_id, item in zip(rows, items, strict=True)
    }


def collect_reason_ids(answer: Answer) -> list[str]:
    """Return the ids of the items that the reasons of an answer name, each once."""
    named = (reason.get("item_id") for hit in answer for reason in hit.reasons)
    return list(dict.fromkeys(item_id for item_id in named if item_id))


def build_prompt_items(hits: Sequence[Hit], *, about_chars: int) -> list[PromptItem]:
    """Return the items of hits as a model reads them, in order."""
    return [build_prompt_item(hit.id, hit.item, about_chars=about_chars) for hit in hits]


def _flatten_texts(value: Any) -> list[str]:
    """Return the texts and numbers of a field, of nested lists too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [f"{value:g}"]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _flatten_texts(part)]
    return []
