"""Bytes to whether they are text of Western Europe in Windows-1252. Pure.

Every file of bytes can be decoded so, Polish, Russian and Chinese ones too. What tells is how its
words look then: accented letters stand among plain ones where languages of Western Europe have
them, and signs stand between words. A text that is Czech, Turkish, Cyrillic, Chinese or from DOS or
an old Mac in truth has letters in impossible places soon.
"""

import re

_ALLOWED_BAD_SHARE = 0.01  # of the accented words and signs
_MAX_WORD_CHARS = 60
_VOWELS = "aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿ"
_LOWER = "a-zß-öø-ÿœšž"
_UPPER = "A-ZÀ-ÖØ-ÞŒŠŽŸ"
_LETTER = _LOWER + _UPPER + "ƒ"
_WORD = re.compile(rf"[{_LETTER}]+")
_ACCENTED = re.compile(r"[^\W\d_a-zA-Z]")
_LONE_LETTERS = frozenset("àáâåäæèéêíòóôöøÀÁÂÅÄÆÈÉÊÍÒÓÔÖØ")
# What letters would be impossible in French, German, Spanish, Portuguese, Italian, Catalan, Dutch
# and the languages of Scandinavia, and what is written with the same bytes elsewhere.
_IMPOSSIBLE = re.compile(
    rf"(?<=[{_LOWER}])[À-ÖØ-ÞŒŠŽŸ]"  # of an old Mac
    rf"|[ðþýÐÞÝƒ]"  # Turkish ğ, ş, ı; Icelandic is seldom
    rf"|[ìù](?=[{_LOWER}])|ò(?=[{_VOWELS}])|è(?=[{_VOWELS}])"  # Czech ě, ů, ň, č
    rf"|(?<![{_LETTER}])è(?=[{_LOWER}])(?!res?\b|s\b)"
    rf"|ø(?=[{_VOWELS}])|(?<![aeiouyAEIOUYé])ï"  # Czech ř, ď
    rf"|õ(?!e)"  # Hungarian ő
    rf"|ã(?=[{_LOWER}])(?![oesni])|(?<![hmflrçHMFLRÇ])ã(?![{_LOWER}])"  # Romanian ă
    rf"|(?<=i)æ|ñ(?=[{_LOWER}])(?![{_VOWELS}])|œ(?=[bfgjklmpqrvwxzæ])"  # Croatian ć; Polish ń, ś
    rf"|[šž][{_LOWER}]*[èæøìùòï]|[èæøìùòï][{_LOWER}]*[šž]"
)
# Signs that stand at the edge of a word or within it: It’s, l’été, Barça–Real, col·lecció.
_WITHIN_WORDS = "–—·…\u00ad\u00a0"
_ENGLISH_ENDING = r"(?:s|t|d|m|re|ve|ll|em|n|clock|er)\b"
_ELISION = r"\b(?:[a-z]|qu|lorsqu|jusqu|puisqu|aujourd|all|dell|nell|sull|dall|un|gl|Mc)"
_BAD_SIGN = re.compile(
    rf"(?<=[{_LETTER}])[^\x00-\x7f{_LETTER}’{_WITHIN_WORDS}](?=[{_LETTER}])"
    rf"|[^\x00-\x7f{_LETTER}‘’“”«»–—…·°\u00a0]{{2,}}"  # Cyrillic of DOS, single Chinese characters
    rf"|(?<=[{_LETTER}])[¹¿¡¶±µ¢¤¦¬¯¸]|(?<=[a-ln-zA-LN-Z])³"
)
_APOSTROPHE = re.compile(rf"(?<=[{_LETTER}])’(?=[{_LETTER}])")
_GOOD_APOSTROPHE = re.compile(rf"’{_ENGLISH_ENDING}|{_ELISION}’|\b[OD]’(?=[A-Z])", re.IGNORECASE)
_SHORT_CAPITAL = re.compile(rf"[À-ÖØ-ÞŒŠŽŸ][{_LOWER}]")  # may be one character of Big5
_SURE_SIGNS = frozenset("‘’“”–—…")


def is_western(text: str) -> bool:
    """Whether a text that was decoded as Windows-1252 is one, as its words show.

    Args:
        text: Its lines with characters beyond ASCII.
    """
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    apostrophes = len(_APOSTROPHE.findall(text))
    good_apostrophes = min(apostrophes, len(_GOOD_APOSTROPHE.findall(text)))
    bad = sum(1 for word in words if not _is_word(word))
    bad += len(_BAD_SIGN.findall(text)) + apostrophes - good_apostrophes
    good = sum(1 for word in words if _is_word(word) and not _SHORT_CAPITAL.fullmatch(word))
    good += sum(1 for char in text if char in _SURE_SIGNS)
    return good > 0 and bad <= _ALLOWED_BAD_SHARE * (good + bad)


def _is_word(word: str) -> bool:
    """Whether a word with accented letters can be one."""
    if len(word) > _MAX_WORD_CHARS:
        return False
    if len(word) == 1:
        return word in _LONE_LETTERS
    accented = len(_ACCENTED.findall(word))
    return 3 * accented <= 2 * len(word) and _IMPOSSIBLE.search(word) is None
