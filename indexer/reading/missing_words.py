"""Words that people and programs write where there is no value: the one table of them. Pure.

What a word means depends on where it stands. Among numbers and dates all are nothing; in text only
those are that programs write, spelt as they do, since somebody may be called Nan; of a circumstance
`unknown` is nothing too, and NA may be Namibia.
"""

# In text. A cell of CSV cannot say otherwise that it holds nothing, as JSON can.
PROGRAM_WORDS = frozenset(
    ("NULL", "null", "Null", "nan", "NaN", "None", "N/A", "n/a", "#N/A", "undefined")
)
# Among numbers, booleans and dates, in any case.
_OF_VALUES = frozenset(word.lower() for word in PROGRAM_WORDS) | frozenset(
    ("na", "n.a.", "<na>", "nat", "(null)", "nil", "\\n", "-", "--", "–", "—", "——", "暂无", "暫無")
)
_NOT_FINITE = frozenset(("nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"))
_OF_CIRCUMSTANCES = (_OF_VALUES - {"na"}) | {"", "unknown", "-1", "未知"}
MAX_WORD_CHARS = max(map(len, (*_OF_VALUES, *_NOT_FINITE)))


def is_missing_word(text: str) -> bool:
    """Whether a text says that there is no value: NA, N/A, NULL, None, -, —, nan."""
    return text.strip().lower() in _OF_VALUES


def is_missing_number(text: str) -> bool:
    """Whether a text says that there is no number: as `is_missing_word`, or an infinity."""
    word = text.strip().lower()
    return word in _OF_VALUES or word in _NOT_FINITE


def is_missing_text(cell: str) -> bool:
    """Whether a cell of text is a word that programs write for nothing: NULL, nan, None, N/A."""
    return cell.strip() in PROGRAM_WORDS


def is_unknown_circumstance(word: str) -> bool:
    """Whether a circumstance such as a place or a device says that it is not known."""
    return word.lower() in _OF_CIRCUMSTANCES
