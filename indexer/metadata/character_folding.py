"""Text to one spelling of it: composed characters, usual widths, simplified Chinese. Pure.

Texts that are folded alike are equal in filters, in titles and in the search. Case is kept here.
"""

import unicodedata
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from indexer.normal_forms import normalize

_WIDE_BLOCKS = (range(0x3000, 0x3001), range(0xFF01, 0xFFEF))  # the forms of other characters
_LONG_CHARS = 64  # numpy needs a few microseconds for any text, and little for each character
_CODEC, _SURROGATES = "utf-32-le", "surrogatepass"


def fold_characters(text: str) -> str:
    """Return a text in Unicode NFC, with usual widths and simplified Chinese characters.

    A character is folded by itself, without a look at its neighbours: 乾 is 干 everywhere, on both
    sides of every comparison.
    """
    if text.isascii():
        return text
    composed = normalize("NFC", text)
    folded = _fold_long(composed) if len(composed) > _LONG_CHARS else _fold_short(composed)
    # Half-width kana have their voice marks apart; with usual width they compose.
    return normalize("NFC", folded)


def _fold_short(text: str) -> str:
    return text.translate(_load_table())


def _fold_long(text: str) -> str:
    codes = np.frombuffer(text.encode(_CODEC, _SURROGATES), np.uint32)
    usual_codes = _load_codes()
    if int(codes.max()) >= len(usual_codes):
        return _fold_short(text)
    return usual_codes[codes].tobytes().decode(_CODEC, _SURROGATES)


@cache
def _load_table() -> dict[int, int]:
    """Return the code of each character that changes with the code that it becomes."""
    listed = files("indexer.metadata").joinpath("simplified_characters.txt").read_text("utf-8")
    lines = (line for line in listed.splitlines() if not line.startswith("#"))
    table = {ord(pair[0]): ord(pair[1]) for line in lines for pair in line.split()}
    for code in (code for block in _WIDE_BLOCKS for code in block):
        kind, *usual = unicodedata.decomposition(chr(code)).split() or [""]
        if kind in ("<wide>", "<narrow>"):
            (table[code],) = (int(one, 16) for one in usual)
    return table


@cache
def _load_codes() -> NDArray[np.uint32]:
    """Return `uint32`, for each code up to the last that changes the code that it becomes."""
    table = _load_table()
    codes = np.arange(max(table) + 1, dtype="<u4")
    codes[list(table)] = list(table.values())
    return codes
