"""Text to its Unicode normal forms, in time that grows with the text whatever is in it. Pure.

Python orders the marks above and below a letter by inserting each among those before it: forty
thousand marks take seconds, in which no other thread runs. Here long runs of marks are ordered
beforehand, which changes no normal form.
"""

import re
import unicodedata
from functools import cache
from typing import Literal, TypeAlias

NormalForm: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]

_SHORT_CHARS = 64  # a text of so many characters is quick to order
_LONG_RUN = 32  # marks; no script writes so many to one letter
_LAST_MARK = 0x1FFFF  # beyond are ideographs, emoji's tags and variation selectors: no marks


def normalize(form: NormalForm, text: str) -> str:
    """Return what `unicodedata.normalize` returns."""
    if text.isascii():
        return text
    if len(text) <= _SHORT_CHARS:
        return unicodedata.normalize(form, text)
    decomposed_form: NormalForm = "NFKD" if "K" in form else "NFD"
    mark, long_run = _compile_marks(decomposed_form)
    if mark.search(text[::_LONG_RUN]):  # a long run cannot be between these characters
        text = long_run.sub(lambda run: _order_marks(decomposed_form, run[0]), text)
    return unicodedata.normalize(form, text)


def _order_marks(form: NormalForm, run: str) -> str:
    marks = "".join(unicodedata.normalize(form, char) for char in run)
    return "".join(sorted(marks, key=unicodedata.combining))


@cache
def _compile_marks(form: NormalForm) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of a character that decomposes to nothing but marks, and of many."""
    marks = "".join(
        re.escape(char)
        for char in map(chr, range(_LAST_MARK + 1))
        if (unicodedata.combining(char) or unicodedata.decomposition(char))
        and all(map(unicodedata.combining, unicodedata.normalize(form, char)))
    )
    return re.compile(f"[{marks}]"), re.compile(f"[{marks}]{{{_LONG_RUN},}}")
