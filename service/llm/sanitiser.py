"""What strangers wrote (titles, descriptions) to what a language model may read of it. Pure.

No list of phrases stops everything; it is the second of four lines. The first: reviews and unknown
fields are never shown, and each text is short. The third: a model can only choose among numbers of
the list. The fourth: a sentence is checked word by word before anybody sees it.
"""

import html
import re
import unicodedata

from service.llm.prompt_injection import is_prompt_injection

_MAX_INPUT_CHARS = 4_000  # of a text that is looked at at all
_TAG = re.compile(r"<[^<>]{0,500}>|<!--.*?-->", re.DOTALL)
_LINK = re.compile(
    r"!?\[([^\]]*)\]\([^)]*\)|(?:https?|ftp|javascript|data|file):\S+|www\.\S+", re.IGNORECASE
)
_MARKUP_CHARACTERS = re.compile(r"[{}\[\]<>`|\\^~#*_=]+")
_ENCODED_TEXT = re.compile(
    r"[A-Za-z0-9+/=]{28,}|(?:%[0-9a-fA-F]{2}){4,}|(?:\\?[ux][0-9a-fA-F]{2,4}){4,}"
)
_SENTENCE_BREAK = re.compile(r"(?<=[.!?。！？;；\n])\s*|\s*\n+\s*")
_SPACE = re.compile(r"\s+")
_HIDDEN_CATEGORIES = ("Cc", "Cf", "Co", "Cs", "Cn")


def sanitise(text: str, limit: int) -> str:
    """Return what is left of a text: words about the item, no markup, links or hidden characters.

    A sentence that speaks to the machine is left out whole.
    """
    sentences = [part for part in _SENTENCE_BREAK.split(_remove_markup(text)) if part.strip()]
    harmless = [part for part in sentences if not is_prompt_injection(part)]
    # Two sentences may say together what neither says alone.
    if len(harmless) > 1 and is_prompt_injection(" ".join(harmless).replace(".", " ")):
        harmless = [
            part
            for before, part in zip(["", *harmless], harmless, strict=False)
            if not is_prompt_injection(f"{before} {part}".replace(".", " "))
        ]
    return _SPACE.sub(" ", " ".join(harmless)).strip()[:limit].rstrip()


def strip_markup(text: str, limit: int) -> str:
    """Return somebody's own words without markup, links and hidden characters."""
    return _SPACE.sub(" ", _remove_markup(text)).strip()[:limit].rstrip()


def _remove_markup(text: str) -> str:
    text = text[:_MAX_INPUT_CHARS]
    for _ in range(3):  # entities may be written twice over
        text = html.unescape(text)
    text = unicodedata.normalize("NFKC", text)
    text = "".join(
        char
        for char in _SPACE.sub(lambda found: "\n" if "\n" in found[0] else " ", text)
        if char == "\n" or unicodedata.category(char) not in _HIDDEN_CATEGORIES
    )
    for unwanted in (_TAG, _LINK, _ENCODED_TEXT, _MARKUP_CHARACTERS):
        text = unwanted.sub(" ", text)
    return text
