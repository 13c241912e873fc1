"""What a loaded language model offers its encoder, and texts cut into tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from indexer.arrays import Vectors


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """A text, its prompt, and the token numbers of both, already cut to the model's length."""

    prompt: str
    text: str
    ids: Sequence[int]

    def __len__(self) -> int:
        return len(self.ids)


class TextModel(Protocol):
    """A model of the CPU; safe to use from many threads.

    Attributes:
        dim: Width of a vector.
        max_tokens: Length at which texts are cut.
        weights_hash: From `hash_weights`, before rounding.
        precision: In which items are encoded, "float32" or "bfloat16".
        query_arithmetic: In which queries are, and by which libraries and instructions.
        threads: How many batches it encodes at the same time.
        batch_tokens: A batch has at most these, padding included.
    """

    dim: int
    max_tokens: int
    weights_hash: str
    precision: str
    query_arithmetic: str
    threads: int
    batch_tokens: int

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[TokenizedText]:
        """Put the prompt before each text, and cut it into tokens."""
        ...

    def encode_items(self, batch: Sequence[TokenizedText]) -> Vectors:
        """Return `(n, d) float32`, unit length, of one batch, the longest text first."""
        ...

    def encode_queries(self, batch: Sequence[TokenizedText]) -> Vectors:
        """Return the same of queries, in float32 except that weights may be float16."""
        ...
