"""Texts to about how many tokens a language model reads to encode them. Pure.

Encoding takes time in proportion to tokens, whatever the texts are. Counting them exactly needs the
model's tokenizer; this is near enough to bound the work of a request, and the same for every model.
"""

from collections.abc import Iterable, Iterator, Sequence

from indexer.normal_forms import normalize

MAX_TEXT_TOKENS = 256  # the bundled models read no more of a text
_PROMPT_TOKENS = 5
_WORD_CHARS_PER_TOKEN = 4
_MAX_COUNTED_CHARS = MAX_TEXT_TOKENS * _WORD_CHARS_PER_TOKEN
_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for four letters, or for any other sign.

    A sign that stands for several, such as ``ﷺ``, counts as these: so tokenizers read it (NFKC).
    """
    beginning = text[:_MAX_COUNTED_CHARS]
    if not beginning.isascii():
        beginning = normalize("NFKC", beginning)
    ascii_bytes = beginning.encode("ascii", "replace")
    signs = len(ascii_bytes.translate(None, _WORD_BYTES))
    letters = len(ascii_bytes) - signs
    return min(MAX_TEXT_TOKENS, _PROMPT_TOKENS + signs + letters // _WORD_CHARS_PER_TOKEN)


def estimate_total_tokens(texts: Iterable[str]) -> int:
    """Return about how many tokens several texts have together."""
    return sum(map(estimate_tokens, texts))


def split_by_cost(
    texts: Sequence[str], *, max_texts: int, max_tokens: int
) -> Iterator[Sequence[str]]:
    """Yield texts in runs of at most so many texts and tokens, of one text at least."""
    start = tokens = 0
    for end, text in enumerate(texts):
        text_tokens = estimate_tokens(text)
        if end > start and (end - start == max_texts or tokens + text_tokens > max_tokens):
            yield texts[start:end]
            start, tokens = end, 0
        tokens += text_tokens
    if texts:
        yield texts[start:]
