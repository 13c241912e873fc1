"""Texts from the catalogue to texts that a language model may read. Pure.

This is the second of four defences against prompt injection, since no list of phrases stops
everything. The first: reviews and unknown fields are never shown, and each text is short. The
third: a model can only choose among the numbers of a list. The fourth: a sentence is checked word
by word before it is returned.
"""

import html
import re
import unicodedata

from indexer.normal_forms import normalize
from service.llm.prompt_injection import is_prompt_injection

_MAX_INPUT_CHARS = 4_000  # the rest of a longer text is dropped
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
    """Return at most `limit` characters without markup, links and hidden characters.

    Sentences that read like instructions to the model are left out.
    """
    sentences = [part for part in _SENTENCE_BREAK.split(_remove_markup(text)) if part.strip()]
    harmless = [part for part in sentences if not is_prompt_injection(part)]
    # Two sentences may together be an instruction that neither is alone.
    if len(harmless) > 1 and is_prompt_injection(" ".join(harmless).replace(".", " ")):
        harmless = [
            part
            for before, part in zip(["", *harmless], harmless, strict=False)
            if not is_prompt_injection(f"{before} {part}".replace(".", " "))
        ]
    return _SPACE.sub(" ", " ".join(harmless)).strip()[:limit].rstrip()


def clean_own_text(text: str, limit: int) -> str:
    """Return at most `limit` characters of a user's own text, clean but with all its sentences."""
    return _SPACE.sub(" ", _remove_markup(text)).strip()[:limit].rstrip()


def _remove_markup(text: str) -> str:
    text = text[:_MAX_INPUT_CHARS]
    for _ in range(3):  # entities may be escaped several times
        text = html.unescape(text)
    text = normalize("NFKC", text)
    text = "".join(
        char
        for char in _SPACE.sub(lambda found: "\n" if "\n" in found[0] else " ", text)
        if char == "\n" or unicodedata.category(char) not in _HIDDEN_CATEGORIES
    )
    for unwanted in (_TAG, _LINK, _ENCODED_TEXT, _MARKUP_CHARACTERS):
        text = unwanted.sub(" ", text)
    return text
