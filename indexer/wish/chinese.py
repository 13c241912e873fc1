"""A wish in Chinese to its phrases: 1994年以前, 九十年代, 二十块以内, 适合孩子. Pure.

What is not plain is left alone: 1942 is a title, 关于九十年代 says what a story is about, 三十岁
how old somebody is; of 二十年代 nobody can tell the century. 以上, 以下 and 以后 include what they
name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from indexer.wish.numbers import CHINESE_AMOUNT, read_chinese_amount, read_chinese_year
from indexer.wish.phrase import Relation, Subject, WishPhrase, build_bounds

_TIMES = {
    "以前": Relation.BELOW,
    "之前": Relation.BELOW,
    "以后": Relation.FROM,
    "之后": Relation.FROM,
    "以来": Relation.FROM,
    "至今": Relation.FROM,
}
_AMOUNTS_BEFORE = {
    "不超过": Relation.UP_TO,
    "别超过": Relation.UP_TO,
    "不高于": Relation.UP_TO,
    "最多": Relation.UP_TO,
    "低于": Relation.BELOW,
    "少于": Relation.BELOW,
    "不到": Relation.BELOW,
    "高于": Relation.ABOVE,
    "超过": Relation.ABOVE,
    "至少": Relation.FROM,
    "不低于": Relation.FROM,
}
_AMOUNTS_AFTER = {
    "以内": Relation.UP_TO,
    "之内": Relation.UP_TO,
    "以下": Relation.UP_TO,
    "以上": Relation.FROM,
}
_CURRENCIES = {
    "元": "CNY", "块": "CNY", "块钱": "CNY", "人民币": "CNY", "美元": "USD", "欧元": "EUR",
    "英镑": "GBP", "€": "EUR", "$": "USD", "£": "GBP",
}  # fmt: skip


def _any_of(words: Mapping[str, object]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


_NUMERALS = "零〇○一二两三四五六七八九十百千万"
_YEAR = rf"(?<![\d{_NUMERALS}])(?:(?:1\d|20)\d\d|[一二][一二三四五六七八九〇零○]{{3}})年"
_CENTURY = r"(?:上个?世纪|二十世纪|20世纪)"
_DECADE = (
    rf"(?:(?:{_CENTURY}[二三四五六七八九2-9][十0]|(?<![\d{_NUMERALS}])"
    r"(?:[三四五六七八九]十|[3-9]0|19\d0|20[0-2]0))年代)"
)
_POINT = rf"(?:{_DECADE}|{_YEAR})"
_UNIT = r"(?:块钱|元|块|人民币|美元|欧元|英镑|€|\$|£|¥)"
_KINDS = r"(?:的)?(?:老)?(?:电影|片|影片|小说|书|歌|专辑|音乐|游戏|剧|动画)"
_TIME_PATTERN = re.compile(rf"(?P<point>{_POINT})(?P<relation>{_any_of(_TIMES)})(?:的)?")
_STRETCH_PATTERN = re.compile(rf"(?P<point>{_YEAR})(?:到|至|-|~)(?P<last>{_YEAR})(?:之?间)?(?:的)?")
_MADE_PATTERN = re.compile(
    rf"(?P<point>{_YEAR})(?:(?:上映|出版|发行|出品|拍摄|发表)(?:的)?|(?=的?老?{_KINDS}))"
)
_DECADE_PATTERN = re.compile(rf"(?P<point>{_DECADE})(?![初中末]?(?:的)?(?:生活|故事|人))(?:的)?")
_PRICE_BEFORE_PATTERN = re.compile(
    rf"(?P<relation>{_any_of(_AMOUNTS_BEFORE)})\s?(?P<amount>{CHINESE_AMOUNT})\s?(?P<unit>{_UNIT})(?:的)?"
)
_PRICE_AFTER_PATTERN = re.compile(
    rf"(?<![\d.{_NUMERALS}])(?P<amount>{CHINESE_AMOUNT})\s?(?P<unit>{_UNIT})\s?"
    rf"(?P<relation>{_any_of(_AMOUNTS_AFTER)})(?:的)?"
)
_PRICE_STRETCH_PATTERN = re.compile(
    rf"(?<![\d.{_NUMERALS}])(?P<low>{CHINESE_AMOUNT}){_UNIT}?(?:到|至|-|~)"
    rf"(?P<amount>{CHINESE_AMOUNT})\s?(?P<unit>{_UNIT})(?:之间)?(?:的)?"
)
_CHILDREN_PATTERN = re.compile(
    r"(?:适合|给)(?:小)?(?:孩子|儿童|小孩|小朋友|宝宝)(?:们)?(?:看|听|玩|读)?(?:的)?"
    r"|儿童(?:看|听|玩|读)的"
)
_TIME_PATTERNS = (_STRETCH_PATTERN, _TIME_PATTERN, _MADE_PATTERN, _DECADE_PATTERN)
_PRICE_PATTERNS = (_PRICE_STRETCH_PATTERN, _PRICE_BEFORE_PATTERN, _PRICE_AFTER_PATTERN)
# What stands before a point in time if that says what a story is about, or what is not wanted.
_STORY = re.compile(
    r"(?:关于|描写|描述|讲述|讲|反映|发生在|生活在|背景[是为]?|回忆|怀念|写|不要|不是|不想看|除了|非)$"
)
_NEGATION = re.compile(r"(?:不|别|不要|不是|非|没有)$")


def list_chinese_phrases(text: str) -> Iterator[WishPhrase]:
    """Yield the phrases of a wish, those of one pattern after those of another."""
    for match in _find_unless(_STORY, text, _TIME_PATTERNS):
        yield WishPhrase(Subject.YEAR, _read_time(match), match.start(), match.end())
    for match in _find_unless(_NEGATION, text, _PRICE_PATTERNS):
        bounds = _read_price(match)
        if bounds is not None:
            currency = _CURRENCIES.get(match["unit"])
            yield WishPhrase(Subject.PRICE, bounds, match.start(), match.end(), currency)
    for match in _find_unless(_NEGATION, text, [_CHILDREN_PATTERN]):
        yield WishPhrase(Subject.CHILDREN, {}, match.start(), match.end())


def _find_unless(
    before: re.Pattern[str], text: str, patterns: Sequence[re.Pattern[str]]
) -> Iterator[re.Match[str]]:
    """Yield the matches of some patterns, unless `before` ends where one starts."""
    for pattern in patterns:
        for match in pattern.finditer(text):
            if not before.search(text, 0, match.start()):
                yield match


def _read_time(match: re.Match[str]) -> dict[str, float]:
    groups = match.groupdict()
    low, high = _read_point(match["point"])
    if groups.get("last"):
        return build_bounds(Relation.WITHIN, low, _read_point(groups["last"])[1])
    return build_bounds(_TIMES.get(groups.get("relation") or "", Relation.WITHIN), low, high)


def _read_price(match: re.Match[str]) -> dict[str, float] | None:
    """Return the bounds of an amount; None if it is no number."""
    groups = match.groupdict()
    amount = read_chinese_amount(match["amount"])
    low = read_chinese_amount(groups["low"]) if groups.get("low") else amount
    if amount is None or low is None:
        return None
    if "low" in groups:
        return build_bounds(Relation.WITHIN, low, amount)
    relations = {**_AMOUNTS_BEFORE, **_AMOUNTS_AFTER}
    return build_bounds(relations[match["relation"]], amount, amount)


def _read_point(text: str) -> tuple[int, int]:
    """Return the first and the last year of a year or a decade."""
    if not text.endswith("年代"):
        year = read_chinese_year(text[:-1])
        return year, year
    decade = re.sub(rf"^{_CENTURY}", "", text).removesuffix("年代")
    number = int(decade) if decade.isdigit() else int(read_chinese_amount(decade) or 0)
    first = number if number >= 1000 else 1900 + number
    return first, first + 9
