"""A wish to the phrases in it that name bounds. Pure."""

import re

from indexer.wish.chinese import list_chinese_phrases
from indexer.wish.english import list_english_phrases
from indexer.wish.phrase import WishPhrase

_MAX_WISH_CHARS = 300  # longer text describes something; nobody types a filter there
_QUOTED = re.compile(r"《[^》]*》|“[^”]*”|「[^」]*」|\"[^\"]*\"")
# Full width digits, letters and signs to those of half width, one to one: places stay.
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0xFFE5: 0xA5}
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
    return sorted(chosen, key=lambda one: one.start)


def remove_phrases(text: str, phrases: list[WishPhrase]) -> str:
    """Return a text without its phrases, and without the spaces and commas around them."""
    for phrase in reversed(phrases):
        text = f"{text[: phrase.start].rstrip(' ,，')} {text[phrase.end :].lstrip(' ,，')}"
    return text.strip()
