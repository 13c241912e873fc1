"""Items and a query to the share of the query's words that each item holds, by looking at all.

Okapi BM25 (k1 1.2, b 0.75) of titles, tags and the rest, as SQLite documents it for FTS5, divided
by that of an item that holds every word. It is written from the docstrings of the product, and
reads there only what was chosen by looking: the list of function words and the limits of weights.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from indexer.metadata import query_weights
from indexer.metadata.function_words import FUNCTION_WORDS

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
_RUN = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")
_COLUMN_WEIGHTS = (10, 4, 1)
_TITLES, _TAGS = ("title", "name"), ("tags", "categories", "genres")


def _list_columns(item: Mapping[str, Any]) -> list[list[str]]:
    columns: list[list[str]] = [[], [], []]
    for field, value in item.items():
        place = 0 if field in _TITLES else 1 if field in _TAGS else 2
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and field != "id":
                columns[place] += _WORD.findall(text.lower())
    return columns


def _count(words: list[str], phrase: list[str]) -> int:
    return sum(
        words[start : start + len(phrase)] == phrase
        for start in range(len(words) - len(phrase) + 1)
    )


def split_query(query: str) -> list[list[str]]:
    """The words of a query, each as the characters or the word that must stand together."""
    phrases: list[list[str]] = []
    for run in _RUN.findall(query.lower()):
        if run[0] >= "\u3400":
            pairs = [[*run[at : at + 2]] for at in range(max(1, len(run) - 1))]
            phrases += [pair for pair in pairs if pair not in phrases]
        elif run not in FUNCTION_WORDS and [run] not in phrases:
            phrases.append([run])
    return phrases


def share_words(items: Mapping[str, Mapping[str, Any]], query: str) -> dict[str, float]:
    """Id to the share of the query that the item holds; only of whole words."""
    columns = {item_id: _list_columns(item) for item_id, item in items.items()}
    lengths = {item_id: sum(map(len, parts)) for item_id, parts in columns.items()}
    mean_length = sum(lengths.values()) / len(items)
    gains: list[dict[str, float]] = []
    idf: list[float] = []
    found: list[int] = []
    for phrase in split_query(query):
        counts = {i: [_count(part, phrase) for part in parts] for i, parts in columns.items()}
        holding = {i: each for i, each in counts.items() if any(each)}
        ratio = (len(items) - len(holding) + 0.5) / (len(holding) + 0.5)
        idf.append(max(1e-6, math.log(ratio)))
        found.append(len(holding) or len(phrase) == 1)
        gains.append({})
        for item_id, each in holding.items():
            often = sum(weight * n for weight, n in zip(_COLUMN_WEIGHTS, each, strict=True))
            norm = 1.2 * (0.25 + 0.75 * lengths[item_id] / mean_length)
            gains[-1][item_id] = idf[-1] * often * 2.2 / (often + norm)
    known = [each for each, holding in zip(idf, gains, strict=True) if holding] or idf
    kept = [at for at in range(len(idf)) if idf[at] >= query_weights._LEAST_SHARE * max(known)]
    rarest = max(1e-6, math.log((len(items) - 0.5) / 1.5))
    full = 2.2 * max(sum(idf[at] for at in kept if found[at]), min(query_weights._FULL_IDF, rarest))
    totals: dict[str, float] = {}
    for at in kept:
        for item_id, gain in gains[at].items():
            totals[item_id] = totals.get(item_id, 0.0) + gain
    return {item_id: min(1.0, total / full) for item_id, total in totals.items()}
