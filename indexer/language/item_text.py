"""Fields of an item to the text that the language model encodes. Pure.

The most informative parts come first, since long texts are cut: title, tags, description, facts
such as makers, then numbers and reviews. Numbers become words, since language models read digits
poorly. HTML is no words, and of Markdown in prose only the words count.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from indexer.field_names import (
    DATE_FIELDS,
    PROSE_FIELDS,
    REVIEW_FIELDS,
    TAG_FIELDS,
    TEXT_FIELDS,
    TITLE_FIELDS,
)
from indexer.markup import strip_html, strip_markup

# Raise when the texts of most items change: it is part of the encoder fingerprint, so that every
# text is encoded again. A text that changes alone is, since vectors are known by their text.
TEXT_VERSION = 1

# Fields that come first among the facts, with their Chinese label. Others follow in alphabetical
# order under their own name.
_LABELS = {
    "brand": "品牌", "author": "作者", "authors": "作者", "artist": "艺人", "artists": "艺人",
    "director": "导演", "directors": "导演", "actors": "主演", "cast": "主演", "host": "主持",
    "developer": "开发商", "publisher": "出版社", "series": "系列", "material": "材质",
    "color": "颜色", "colour": "颜色", "city": "城市", "country": "国家",
}  # fmt: skip
_IGNORED_FIELDS = re.compile(
    r"(^|_)(id|ids|url|uri|link|links|image|images|img|isbn|sku|asin|hash|raw|source|currency"
    r"|lang|language|licence|license|text|original|available|vector|location|lat|lon|binding)"
    r"($|_)|(class|level)$"
)
_DEDICATED_FIELDS = frozenset((*TEXT_FIELDS, *DATE_FIELDS, "rating", "price"))
_CJK = re.compile(r"[\u3400-\u9fff]")
_SPACE = re.compile(r"\s+")
_YEAR = re.compile(r"^(1[5-9]\d\d|20\d\d)")
_TITLE_CHARS, _PROSE_CHARS, _REVIEW_CHARS, _FACT_CHARS = 200, 1200, 300, 60
_MAX_TAGS, _MAX_FACTS, _MAX_NAMES, _MAX_REVIEWS = 24, 8, 5, 3
_RATING_WORDS = (
    (0.9, "rated excellent", "口碑极佳"),
    (0.8, "rated very good", "口碑很好"),
    (0.6, "rated good", "口碑不错"),
    (0.4, "rated average", "口碑一般"),
    (0.0, "rated poor", "口碑较差"),
)
_PRICE_WORDS = (
    (10, "priced under ten", "价格十元以内"),
    (50, "priced under fifty", "价格五十元以内"),
    (100, "priced under a hundred", "价格一百元以内"),
    (500, "priced under five hundred", "价格五百元以内"),
    (2000, "priced under two thousand", "价格两千元以内"),
    (float("inf"), "priced over two thousand", "价格两千元以上"),
)


def describe_item(fields: Mapping[str, Any], *, rating_scale: tuple[float, float] = (0, 5)) -> str:
    """Return the text that is encoded for an item.

    Args:
        fields: The fields of a checked item.
        rating_scale: Lowest and highest possible `rating`, to turn the number into words.
    """
    title = _clip(find_title(fields), _TITLE_CHARS)
    prose = [
        _clip(text, _PROSE_CHARS)
        for key in PROSE_FIELDS
        for text in _collect_strings(fields.get(key), strip_markup)
    ]
    chinese = is_chinese(title + "".join(prose))
    stop, comma = ("。", "、") if chinese else (". ", ", ")
    sentences = [
        title,
        comma.join(
            _drop_duplicates(
                tag for key in TAG_FIELDS for tag in _collect_strings(fields.get(key))
            )[:_MAX_TAGS]
        ),
        *prose,
        *_list_facts(fields, chinese=chinese),
        *_describe_numbers(fields, rating_scale, chinese=chinese),
        *(_clip(text, _REVIEW_CHARS) for text in _list_reviews(fields)),
    ]
    parts = [sentence.rstrip(" .。") for sentence in _drop_duplicates(sentences) if sentence]
    return stop.join(parts).strip()


def find_title(fields: Mapping[str, Any]) -> str:
    """Return the item's title, or an empty string if it has none."""
    return next((word for key in TITLE_FIELDS for word in _collect_strings(fields.get(key))), "")


def is_chinese(text: str) -> bool:
    """Whether at least a fifth of the non-space characters are Chinese ideographs."""
    if text.isascii():
        return False
    letters = sum(map(len, text.split()))
    return letters > 0 and len(_CJK.findall(text)) >= letters / 5


def _list_facts(fields: Mapping[str, Any], *, chinese: bool) -> list[str]:
    known = [key for key in _LABELS if key in fields]
    others = sorted(key for key in fields if key not in _LABELS and _is_fact_field(key))
    facts = []
    for key in [*known, *others]:
        words = [word for word in _collect_strings(fields[key]) if _is_word(word)][:_MAX_NAMES]
        if words:
            label = _LABELS.get(key, key) if chinese else key.replace("_", " ")
            joined = ("、" if chinese else ", ").join(words)
            facts.append(f"{label}{'：' if chinese else ': '}{joined}")
    return facts[:_MAX_FACTS]


@lru_cache(maxsize=10_000)
def _is_fact_field(key: str) -> bool:
    return key not in _DEDICATED_FIELDS and not _IGNORED_FIELDS.search(key.lower())


def _is_word(word: str) -> bool:
    return len(word) <= _FACT_CHARS and any(c.isalpha() for c in word) and "://" not in word


def _describe_numbers(
    fields: Mapping[str, Any], rating_scale: tuple[float, float], *, chinese: bool
) -> list[str]:
    words = []
    year = next((m[0] for key in DATE_FIELDS if (m := _YEAR.match(str(fields.get(key, ""))))), None)
    if year:
        words.append(f"{year}年" if chinese else f"from {year}")
    rating, price = fields.get("rating"), fields.get("price")
    if isinstance(rating, int | float):
        low, high = rating_scale
        share = (rating - low) / (high - low) if high > low else 1.0
        _, english, mandarin = next(w for w in _RATING_WORDS if share >= w[0] or w[0] == 0)
        words.append(mandarin if chinese else english)
    if isinstance(price, int | float):
        _, english, mandarin = next(w for w in _PRICE_WORDS if price < w[0] or w[0] == float("inf"))
        words.append(mandarin if chinese else english)
    return words


def _list_reviews(fields: Mapping[str, Any]) -> list[str]:
    return [
        text for key in REVIEW_FIELDS for text in _collect_strings(fields.get(key), strip_markup)
    ][:_MAX_REVIEWS]


def _collect_strings(value: Any, clean: Callable[[str], str] = strip_html) -> list[str]:
    """The non-empty strings in a field of any shape, with runs of white space as one space.

    Of an object the `text` or `name` is taken.
    """
    if isinstance(value, str):
        stripped = _SPACE.sub(" ", clean(value)).strip()
        return [stripped] if stripped else []
    if isinstance(value, list | tuple):
        return [word for part in value for word in _collect_strings(part, clean)]
    if isinstance(value, Mapping):
        return _collect_strings(value.get("text", value.get("name", "")), clean)
    return []


def _drop_duplicates(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0]
