"""Items to indexed words, and queries to the terms of full-text search. Pure.

Chinese and Japanese are written without spaces, so each character of them, and of Korean, is a word
of its own. A run of such characters in a query becomes phrases of two neighbours each, which find
words of any length without a dictionary. Case, width, composition, and traditional or simplified
Chinese make no difference.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from indexer.field_names import PROSE_FIELDS, REVIEW_FIELDS, TAG_FIELDS, TITLE_FIELDS
from indexer.language import find_title
from indexer.markup import strip_html, strip_markup
from indexer.metadata.character_folding import fold_characters
from indexer.metadata.function_words import CJK_FUNCTION_PATTERN, FUNCTION_WORDS
from indexer.metadata.values import collect_leaves
from indexer.normal_forms import normalize

MAX_TERMS = 32
_MAX_QUERY_CHARS = 10_000
_MAX_CJK_RUN = 200  # characters of a run without spaces that are looked at
_MAX_INDEXED_CHARS = 20_000  # of one column of one item; longer text is cut

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s<>\"'\u3000-\u9fff\uff00-\uffef]*")
_MARKDOWN_FIELDS = frozenset((*PROSE_FIELDS, *REVIEW_FIELDS))

_CJK = (
    "\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # ideographs
    "\u1100-\u11ff\uac00-\ud7af"  # hangul
)
_CJK_CHAR = re.compile(f"[{_CJK}]")
_TERM = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+")

# As people write titles; NFKC has made those of half and full width one.
_QUOTES = dict(zip("《〈「『“‘«\"'", "》〉」』”’»\"'", strict=True))


Fold: TypeAlias = Callable[[str], str]


class IndexedText(NamedTuple):
    """The searched text of one item in three columns, which BM25 weighs differently."""

    title: str
    tags: str
    rest: str


class QueryTerm(NamedTuple):
    """One word or phrase of a query.

    Attributes:
        text: The word, or the words of a phrase separated by spaces.
        is_prefix: Whether the word may be the beginning of a longer one.
    """

    text: str
    is_prefix: bool


def fold_case_and_width(text: str) -> str:
    """Return a text as searches of snapshots of the first version compare it."""
    if text.isascii():
        return text.lower()
    # A lone surrogate is legal in JSON but not in UTF-8, which is what SQLite stores.
    storable = text.encode("utf-8", "replace").decode("utf-8")
    return normalize("NFKC", storable).casefold()


def fold_for_search(text: str) -> str:
    """Return a text as searches and titles compare it: `fold_characters` without case."""
    return fold_characters(fold_case_and_width(text))


def build_indexed_text(fields: Mapping[str, Any]) -> IndexedText:
    """Return the words of an item's strings, except those of its id, of URLs and of markup."""
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for path, value, _ in collect_leaves(fields):
        if isinstance(value, str) and path != "id":
            field = path.partition(".")[0]
            words = strip_markup(value) if field in _MARKDOWN_FIELDS else strip_html(value)
            parts[_find_column(field)].append(_URL.sub(" ", words) if "://" in words else words)
    return IndexedText(*map(_space_words, parts))


def build_match_expression(terms: Iterable[QueryTerm]) -> str:
    """Return the FTS5 expression that matches any of some terms as whole words.

    Each term is quoted and consists of letters and digits only, so that no query can use FTS5
    syntax.
    """
    return " OR ".join(f'"{term.text}"' for term in terms)


def parse_query_terms(query: str, fold: Fold = fold_for_search) -> list[QueryTerm]:
    """Return the distinct words of a query, at most `MAX_TERMS`, without function words.

    A run of Chinese or Japanese becomes the pairs of its neighbouring characters, since nothing
    tells where its words begin. A query of function words alone keeps them. The last word may be
    the beginning of a longer one, for people who are still typing.
    """
    runs = _TERM.findall(fold(query[:_MAX_QUERY_CHARS]))
    words = _list_words(runs, keeps_all=False) or _list_words(runs, keeps_all=True)
    is_prefix = bool(words) and runs[-1] == words[-1]
    last = words[-1] if is_prefix and not _CJK_CHAR.match(words[-1]) else None
    return [QueryTerm(_split_cjk(word), word == last) for word in dict.fromkeys(words)]


def has_content_words(text: str) -> bool:
    """Return whether a text has words besides those that only hold a sentence together."""
    return bool(_list_words(_TERM.findall(fold_for_search(text)), keeps_all=False))


def _list_words(runs: Iterable[str], *, keeps_all: bool) -> list[str]:
    """Return the first `MAX_TERMS` words of some runs of characters, in order."""
    words: list[str] = []
    for run in dict.fromkeys(runs):
        if _CJK_CHAR.match(run):
            parts = [run] if keeps_all else CJK_FUNCTION_PATTERN.split(run[:_MAX_CJK_RUN])
            words += [pair for part in parts if part for pair in _list_pairs(part)]
        elif keeps_all or run not in FUNCTION_WORDS:
            words.append(run)
        if len(words) >= MAX_TERMS:
            break
    return words[:MAX_TERMS]


def _list_pairs(run: str) -> list[str]:
    return [run[start : start + 2] for start in range(max(1, len(run) - 1))]


def compute_title_key(fields: Mapping[str, Any]) -> str:
    """Return the key of an item's title, without quotes around it; empty without a title."""
    return _remove_quotes(compute_exact_key(find_title(fields)))


def list_exact_keys(text: str, fold: Fold = fold_for_search) -> list[str]:
    """Return the keys of the titles that a text may be: as it is, and without quotes around it.

    Snapshots of earlier releases have kept the quotes of titles in their keys.
    """
    key = compute_exact_key(text, fold)
    return [found for found in dict.fromkeys([key, _remove_quotes(key)]) if found]


def compute_exact_key(text: str, fold: Fold = fold_for_search) -> str:
    """Return a key that is equal for texts that differ only in what is folded and white space."""
    return " ".join(fold(text).split())


def _remove_quotes(key: str) -> str:
    """Return a key without the pairs of quotes that enclose all of it."""
    while len(key) > 1 and key[-1] == _QUOTES.get(key[0]):
        inner = key[1:-1].strip()
        if (
            not inner or key[0] in inner or key[-1] in inner
        ):  # one title after another, such as "a" "b"
            break
        key = inner
    return key


def _find_column(field: str) -> int:
    return 0 if field in TITLE_FIELDS else 1 if field in TAG_FIELDS else 2


def _space_words(texts: Iterable[str]) -> str:
    joined = "\n".join(texts)[:_MAX_INDEXED_CHARS]
    return _split_cjk(fold_for_search(joined))


def _split_cjk(text: str) -> str:
    if text.isascii():
        return text.strip()
    return _CJK_CHAR.sub(r" \g<0> ", text).strip()
