"""Item and query to the words of full-text search. Pure.

Chinese, Japanese and Korean have no spaces to split at, so each character is a word; a run of them
in a query becomes a phrase, which finds words of any length without a dictionary.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from indexer.field_names import TAG_FIELDS, TITLE_FIELDS
from indexer.language import find_title
from indexer.metadata.values import collect_leaves

MAX_TERMS = 32
_MAX_QUERY_CHARS = 10_000
_MAX_INDEXED_CHARS = 20_000  # of one column of one item: a book is found by its first pages

_CJK = (
    "\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # ideographs
    "\u1100-\u11ff\uac00-\ud7af"  # hangul
)
_CJK_CHAR = re.compile(f"[{_CJK}]")
_TERM = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+")


class IndexedText(NamedTuple):
    """What is searched of one item, by weight."""

    title: str
    tags: str
    rest: str


class QueryTerm(NamedTuple):
    """What a query looks for: a word, or several in a row.

    Attributes:
        is_prefix: Whether the word may be the beginning of a longer one.
    """

    text: str
    is_prefix: bool


def build_indexed_text(fields: Mapping[str, Any]) -> IndexedText:
    """Return the item's words; addresses and the id itself are no words."""
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for path, value, _ in collect_leaves(fields):
        if isinstance(value, str) and path != "id" and "://" not in value:
            parts[_find_column(path.partition(".")[0])].append(value)
    return IndexedText(*map(_space_words, parts))


def build_match_expression(query: str) -> str:
    """Return an FTS5 expression that finds any of the query's words; empty if it has none.

    Each term is quoted and holds letters and digits only, so no query can use the FTS syntax. The
    last word may be the beginning of a longer one, as when somebody is still typing.
    """
    terms = parse_query_terms(query)
    return " OR ".join(f'"{term.text}"{"*" if term.is_prefix else ""}' for term in terms)


def parse_query_terms(query: str) -> list[QueryTerm]:
    """Return the different words and phrases that a query looks for."""
    terms = list(dict.fromkeys(_TERM.findall(_normalize(query[:_MAX_QUERY_CHARS]))))[:MAX_TERMS]
    last = len(terms) - 1
    return [
        QueryTerm(_split_cjk(term), position == last and not _CJK_CHAR.match(term))
        for position, term in enumerate(terms)
    ]


def compute_title_key(fields: Mapping[str, Any]) -> str:
    """Return what two titles have in common if they read the same; empty without a title."""
    return compute_exact_key(find_title(fields))


def compute_exact_key(text: str) -> str:
    """Return the text without differences of width, case and white space."""
    return " ".join(_normalize(text).split())


def _find_column(field: str) -> int:
    return 0 if field in TITLE_FIELDS else 1 if field in TAG_FIELDS else 2


def _space_words(texts: Iterable[str]) -> str:
    joined = "\n".join(texts)[:_MAX_INDEXED_CHARS]
    return _split_cjk(_normalize(joined))


def _split_cjk(text: str) -> str:
    if text.isascii():
        return text.strip()
    return _CJK_CHAR.sub(r" \g<0> ", text).strip()


def _normalize(text: str) -> str:
    if text.isascii():
        return text.lower()
    # A lone surrogate is legal in JSON but not in UTF-8, which is what SQLite stores.
    storable = text.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFKC", storable).casefold()
