"""Small honest stand-ins: an encoder whose vectors can be known without a language model."""

import hashlib
import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from typing_extensions import override

from indexer.arrays import Vectors
from indexer.language.encoder import Progress
from indexer.language.fingerprint import Fingerprint
from indexer.language.text_model import TextModel, TokenizedText

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")


class WordEncoder:
    """A text is the sum of its words' fixed random vectors; a Chinese character is a word.

    Texts with common words are close, texts without are nearly orthogonal.
    """

    def __init__(self, dim: int = 64, name: str = "words") -> None:
        self.fingerprint = Fingerprint(name, "fake", dim, "", "", 512)
        self.encoded = 0

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.encoded += len(texts)
        if progress:
            progress(len(texts))
        return self._encode(texts)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.stack([self._vector(text) for text in texts]) if texts else np.empty((0, 0))
        return rows.reshape(len(texts), self.fingerprint.dim).astype(np.float32)

    def _vector(self, text: str) -> Vectors:
        words = _WORD.findall(text.lower()) or [""]
        total = np.sum([_word_vector(word, self.fingerprint.dim) for word in words], axis=0)
        unit: Vectors = (total / np.linalg.norm(total)).astype(np.float32)
        return unit


class WordModel(TextModel):
    """The vectors of `WordEncoder` as a model, whose `TextEncoder` has the same fingerprint.

    Attributes:
        query_texts: What it has encoded of queries.
    """

    def __init__(self, dim: int = 32) -> None:
        self._words = WordEncoder(dim)
        self.dim, self.max_tokens, self.weights_hash = dim, 512, "fake"
        self.precision = self.query_arithmetic = "float32"
        self.threads, self.batch_tokens = 1, 512
        self.query_texts: list[str] = []

    @override
    def tokenize(self, texts: Sequence[str], prompt: str) -> list[TokenizedText]:
        return [TokenizedText(prompt, text, range(1 + len(text.split()))) for text in texts]

    @override
    def encode_items(self, batch: Sequence[TokenizedText]) -> Vectors:
        return self._words.encode_items([text.text for text in batch])

    @override
    def encode_queries(self, batch: Sequence[TokenizedText]) -> Vectors:
        self.query_texts += [text.text for text in batch]
        return self._words.encode_queries([text.text for text in batch])


@cache
def _word_vector(word: str, dim: int) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    vector: Vectors = np.random.default_rng(seed).normal(size=dim).astype(np.float32)
    return vector
