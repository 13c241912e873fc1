"""A wish to the phrases in it that name bounds. Pure."""

import re

from indexer.wish.chinese import list_chinese_phrases
from indexer.wish.english import list_english_phrases
from indexer.wish.phrase import Subject, WishPhrase

_MAX_WISH_CHARS = 300  # longer text describes something; nobody types a filter there
_QUOTED = re.compile(r"《[^》]*》|“[^”]*”|「[^」]*」|\"[^\"]*\"")
# Full width digits, letters and signs to those of half width, one to one: places stay.
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0xFFE5: 0xA5}
# Beside a phrase about time: another time, or words that take it back.
_OTHER_TIME = re.compile(r"(?<!\d)(?:1\d|20)\d\d(?!\d)|\d0'?s\b|[a-z]ties\b|年代", re.I)
_EXCEPTION = re.compile(
    r"\b(?:nothing|none|not|no|never|except|without|but)\b|[不别非]|除了|没有", re.I
)
_HINT = re.compile(
    r"\d|[一二三四五六七八九十百千]|ties\b|twenty|hundred|child|kid|toddler|孩|儿|朋友|宝"
)


def find_phrases(text: str) -> list[WishPhrase]:
    """Return the phrases of a wish in order, of overlapping ones the longest.

    What stands in quotes is a title, and no phrase.
    """
    if len(text) > _MAX_WISH_CHARS:
        return []
    narrow = text.translate(_NARROW)
    if not _HINT.search(narrow.lower() if narrow.isascii() else narrow.casefold()):
        return []
    unquoted = _QUOTED.sub(lambda match: "\n" * len(match.group()), narrow)
    found = [*list_english_phrases(unquoted), *list_chinese_phrases(unquoted)]
    chosen: list[WishPhrase] = []
    for phrase in sorted(found, key=lambda one: (one.start - one.end, one.start)):
        if all(phrase.end <= other.start or other.end <= phrase.start for other in chosen):
            chosen.append(phrase)
    chosen.sort(key=lambda one: one.start)
    return chosen if _is_plain_time(unquoted, chosen) else _leave_time(chosen)


def _is_plain_time(text: str, phrases: list[WishPhrase]) -> bool:
    """Whether the phrases about time say all of it: one stretch, and none that is not wanted."""
    times = [phrase for phrase in phrases if phrase.subject is Subject.YEAR]
    if not times:
        return True
    names = [name for phrase in times for name in phrase.bounds]
    is_one_stretch = len(times) == 1 or sorted(name[0] for name in names) == ["g", "l"]
    rest = remove_phrases(text, times)
    return is_one_stretch and not _OTHER_TIME.search(rest) and not _EXCEPTION.search(rest)


def _leave_time(phrases: list[WishPhrase]) -> list[WishPhrase]:
    return [phrase for phrase in phrases if phrase.subject is not Subject.YEAR]


def remove_phrases(text: str, phrases: list[WishPhrase]) -> str:
    """Return a text without its phrases, and without the spaces and commas around them."""
    for phrase in reversed(phrases):
        text = f"{text[: phrase.start].rstrip(' ,，')} {text[phrase.end :].lstrip(' ,，')}"
    return text.strip()
