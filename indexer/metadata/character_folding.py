"""Text to one spelling of it: composed characters, usual widths, simplified Chinese. Pure.

Texts that are folded alike are equal in filters, in titles and in the search. Case is kept here.
"""

import unicodedata
from functools import cache
from importlib.resources import files

_WIDE_BLOCKS = (range(0x3000, 0x3001), range(0xFF01, 0xFFEF))  # the forms of other characters


def fold_characters(text: str) -> str:
    """Return a text in Unicode NFC, with usual widths and simplified Chinese characters.

    A character is folded by itself, without a look at its neighbours: 乾 is 干 everywhere, on both
    sides of every comparison.
    """
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    table, foldable = _load_table()
    if foldable.isdisjoint(composed):
        return composed
    # Half-width kana have their voice marks apart; with usual width they compose.
    return unicodedata.normalize("NFC", composed.translate(table))


@cache
def _load_table() -> tuple[dict[int, str], frozenset[str]]:
    """Return what each character that changes becomes, by its code, and all of these."""
    listed = files("indexer.metadata").joinpath("simplified_characters.txt").read_text("utf-8")
    lines = (line for line in listed.splitlines() if not line.startswith("#"))
    table = {ord(pair[0]): pair[1] for line in lines for pair in line.split()}
    for code in (code for block in _WIDE_BLOCKS for code in block):
        kind, *usual = unicodedata.decomposition(chr(code)).split() or [""]
        if kind in ("<wide>", "<narrow>"):
            table[code] = "".join(chr(int(one, 16)) for one in usual)
    return table, frozenset(map(chr, table))
