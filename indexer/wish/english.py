"""A wish in English to its phrases: "before 1970", "from the 90s", "under 20 €", "for kids". Pure.

What is not plain is left alone. "1984" is a title, "set in the 1920s" says when a story happens,
"in her thirties" how old somebody is; of "the 20s" nobody can tell the century.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from indexer.wish.numbers import ENGLISH_AMOUNT, read_english_amount
from indexer.wish.phrase import Relation, Subject, WishPhrase, build_bounds

_TimeReader: TypeAlias = Callable[[re.Match[str]], dict[str, float] | None]
_TIMES = {
    "before": Relation.BELOW,
    "prior to": Relation.BELOW,
    "older than": Relation.BELOW,
    "earlier than": Relation.BELOW,
    "until": Relation.UP_TO,
    "after": Relation.ABOVE,
    "later than": Relation.ABOVE,
    "newer than": Relation.ABOVE,
    "since": Relation.FROM,
    "from": Relation.WITHIN,
    "made in": Relation.WITHIN,
    "released in": Relation.WITHIN,
    "published in": Relation.WITHIN,
    "recorded in": Relation.WITHIN,
    "written in": Relation.WITHIN,
}
_AMOUNTS = {
    "under": Relation.BELOW,
    "below": Relation.BELOW,
    "less than": Relation.BELOW,
    "cheaper than": Relation.BELOW,
    "up to": Relation.UP_TO,
    "at most": Relation.UP_TO,
    "no more than": Relation.UP_TO,
    "not more than": Relation.UP_TO,
    "max": Relation.UP_TO,
    "within": Relation.UP_TO,
    "over": Relation.ABOVE,
    "above": Relation.ABOVE,
    "more than": Relation.ABOVE,
    "at least": Relation.FROM,
}
_DECADES = {
    "thirties": 1930,
    "forties": 1940,
    "fifties": 1950,
    "sixties": 1960,
    "seventies": 1970,
    "eighties": 1980,
    "nineties": 1990,
}
# "Pounds" are a weight too, and ¥ is the money of China and of Japan.
_CURRENCIES = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "eur": "EUR", "$": "USD", "dollar": "USD",
    "dollars": "USD", "usd": "USD", "bucks": "USD", "£": "GBP", "gbp": "GBP", "quid": "GBP",
    "yuan": "CNY", "rmb": "CNY", "cny": "CNY", "¥": "¥",
}  # fmt: skip
_KINDS = (
    r"(?:movies?|films?|books?|novels?|songs?|music|albums?|hits|games?|series|shows?|classics"
    r"|comed(?:y|ies)|thrillers?|dramas?|westerns?|cartoons?|rock|pop|jazz)\b"
)


def _any_of(words: Mapping[str, object]) -> str:
    """Return a pattern of phrases, the longest first, with any white space between words."""
    longest_first = sorted(words, key=lambda phrase: (-len(phrase), phrase))
    return "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in longest_first)


_YEAR = r"(?<![\d.,])(?:1\d{3}|20\d{2})(?![\d,]\d|\d|\.\d|\w)"
_DECADE = rf"(?:(?:the\s+)?(?:(?<!\d)(?:1\d|20)\d0['’]?s|['’]?[3-9]0['’]?s|{_any_of(_DECADES)})\b)"
_POINT = rf"(?:(?:the\s+year\s+)?{_YEAR}|{_DECADE})"
_MONEY = (
    rf"(?:[€$£¥]\s?{ENGLISH_AMOUNT}(?![\w%])|(?<![\w.,]){ENGLISH_AMOUNT}\s?"
    r"(?:[€$£¥]|(?:euros?|eur|dollars?|usd|bucks|gbp|quid|yuan|rmb|cny)\b))"
)
_UNIT = re.compile(r"[€$£¥]|(?:euros?|eur|dollars?|usd|bucks|gbp|quid|yuan|rmb|cny)\b", re.I)
_FLAGS = re.IGNORECASE
_TIME_PATTERN = re.compile(
    rf"\b(?P<relation>{_any_of(_TIMES)})\s+(?P<point>{_POINT})"
    rf"(?:\s+(?P<onwards>onwards?\b|on(?=\s*(?:$|[,;.!?]|and\b|or\b)))|\s*(?:to|until|till|through|-|–)\s*(?P<last>{_POINT}))?",
    _FLAGS,
)
_BETWEEN_PATTERN = re.compile(
    rf"\bbetween\s+(?P<point>{_POINT})\s+and\s+(?P<last>{_POINT})", _FLAGS
)
_KIND_PATTERN = re.compile(rf"(?:^|(?<=\s))(?P<point>{_DECADE})(?=\s+{_KINDS})", _FLAGS)
_PRICE_PATTERN = re.compile(
    rf"(?:\b(?:for|at|costing|priced)\s+)?\b(?P<relation>{_any_of(_AMOUNTS)})\s+(?P<money>{_MONEY})",
    _FLAGS,
)
_PRICE_AFTER_PATTERN = re.compile(
    rf"(?P<money>{_MONEY})\s+(?:or\s+(?:less|cheaper|under)|(?P<more>or\s+more)|max(?:imum)?)\b",
    _FLAGS,
)
_PRICE_BETWEEN_PATTERN = re.compile(
    rf"\bbetween\s+(?P<low>{ENGLISH_AMOUNT})\s?(?:{_UNIT.pattern})?\s*and\s+(?P<money>{_MONEY})",
    _FLAGS,
)
_CHILDREN_PATTERN = re.compile(
    r"\b(?:suitable\s+)?for\s+(?:(?:my|our|the|small|young|little)\s+){0,2}(?:children|kids|toddlers)\b(?!['’]|\s+(?:of|with)\b)"
    r"|\b(?:kid|child)[-\s]friendly\b",
    _FLAGS,
)
_PRICE_PATTERNS = (_PRICE_PATTERN, _PRICE_AFTER_PATTERN, _PRICE_BETWEEN_PATTERN)
# What stands before a point in time if that says when a story happens, or what is not wanted.
_STORY = re.compile(
    r"(?:\b(?:set|life|lives?|living|lived|born|happen(?:s|ed|ing)?|world|takes?\s+place|story|war"
    r"|about|just|shortly|long|day|night|years?)|\b(?:not|no|never)|n['’]t)\s*$",
    _FLAGS,
)
# What follows a number that it is only a part of, and what says that it is no price.
_MAGNITUDE = re.compile(r"[\w%]|[.,]\d|\s*(?:k|m|bn|thousand|million|billion|trillion)\b", _FLAGS)
_NO_PRICE = re.compile(
    r"\b(?:budgets?|gross(?:ed|ing)?|earn(?:ed|ing)?|made|worth|revenues?)\b", _FLAGS
)
_NEGATION = re.compile(r"(?:\b(?:not|no|never)|n['’]t)\s*$", _FLAGS)


def list_english_phrases(text: str) -> Iterator[WishPhrase]:
    """Yield the phrases of a wish, those of one pattern after those of another."""
    for pattern, read in _TIME_READERS:
        for match in _find_unless(_STORY, text, pattern):
            bounds = read(match)
            if bounds is not None:
                yield WishPhrase(Subject.YEAR, bounds, match.start(), match.end())
    for pattern in () if _NO_PRICE.search(text) else _PRICE_PATTERNS:
        for match in _find_unless(_NEGATION, text, pattern):
            if not _MAGNITUDE.match(text, match.end()):
                yield from _read_price(match)
    for match in _find_unless(_NEGATION, text, _CHILDREN_PATTERN):
        yield WishPhrase(Subject.CHILDREN, {}, match.start(), match.end())


def _find_unless(
    before: re.Pattern[str], text: str, pattern: re.Pattern[str]
) -> Iterator[re.Match[str]]:
    """Yield the matches of a pattern, unless `before` ends where one starts."""
    for match in pattern.finditer(text):
        if not before.search(text, 0, match.start()):
            yield match


def _read_price(match: re.Match[str]) -> Iterator[WishPhrase]:
    groups = match.groupdict()
    money = match["money"]
    unit = _UNIT.search(money)
    if unit is None:
        return
    amount = read_english_amount((money[: unit.start()] + money[unit.end() :]).strip())
    low = read_english_amount(groups["low"]) if groups.get("low") else amount
    if groups.get("low"):
        relation = Relation.WITHIN
    elif groups.get("relation"):
        relation = _AMOUNTS[" ".join(match["relation"].lower().split())]
    else:
        relation = Relation.FROM if groups.get("more") else Relation.UP_TO
    bounds = build_bounds(relation, low, amount)
    currency = _CURRENCIES.get(unit.group().lower())
    yield WishPhrase(Subject.PRICE, bounds, match.start(), match.end(), currency)


def _read_time(match: re.Match[str]) -> dict[str, float] | None:
    relation = _TIMES[" ".join(match["relation"].lower().split())]
    if match["last"]:
        return _read_stretch(match) if relation is Relation.WITHIN else None
    point = _read_point(match["point"])
    if point is None:
        return None
    return build_bounds(Relation.FROM if match["onwards"] else relation, *point)


def _read_stretch(match: re.Match[str]) -> dict[str, float] | None:
    """Return the bounds from the first point of a match to its last, if it has one."""
    first = _read_point(match["point"])
    last = _read_point(match.groupdict().get("last") or match["point"])
    if first is None or last is None or first[0] > last[1]:
        return None
    return build_bounds(Relation.WITHIN, first[0], last[1])


def _read_point(text: str) -> tuple[int, int] | None:
    """Return the first and the last year of a point in time; None: the century is not plain."""
    word = text.lower().split()[-1]
    if word in _DECADES:
        return _DECADES[word], _DECADES[word] + 9
    number = int("".join(char for char in word if char.isdigit()))
    first = number if number >= 1000 else 1900 + number
    return first, first + (9 if word.endswith("s") else 0)


_TIME_READERS: tuple[tuple[re.Pattern[str], _TimeReader], ...] = (
    (_TIME_PATTERN, _read_time),
    (_BETWEEN_PATTERN, _read_stretch),
    (_KIND_PATTERN, _read_stretch),
)
