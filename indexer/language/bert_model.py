"""The checkpoint of a BERT to a model that encodes batches of texts."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from typing_extensions import override

from indexer.arrays import Vectors
from indexer.cores import count_threads
from indexer.language.bert_checkpoint import BertCheckpoint
from indexer.language.fingerprint import hash_weights
from indexer.language.linear import Arithmetic, describe_arithmetic, has_float16_weights
from indexer.language.packed_bert import BLOCK_TOKENS, PackedBert
from indexer.language.precision import choose_precision, is_precision_free
from indexer.language.text_model import TextModel, TokenizedText

_TEST_TEXTS = (
    "A quiet film about friendship and the sea, told over one summer.",
    "雨天在家看的悬疑片",
)


class BertModel(TextModel):
    """A BERT that runs each batch on one core, and several batches at once.

    Cores that share no matrix product never wait for one another, so on a busy machine each keeps
    the share that the system gives it.

    Args:
        checkpoint: Read from a directory.
        max_tokens: Texts are cut at it.
    """

    def __init__(self, checkpoint: BertCheckpoint, max_tokens: int) -> None:
        self.weights_hash = hash_weights(checkpoint.weights)
        self.max_tokens = max_tokens
        self.threads, self.batch_tokens = count_threads(), BLOCK_TOKENS
        self._tokenizer = checkpoint.tokenizer
        self._items = self._queries = exact = PackedBert(checkpoint, Arithmetic.FLOAT32)
        self.dim = exact.dim
        rounded = cache(lambda: PackedBert(checkpoint, Arithmetic.BFLOAT16))
        self.precision = choose_precision(lambda: self._compare(exact, rounded()))
        if self.precision == "bfloat16":
            self._items = rounded()
        arithmetic = Arithmetic.FLOAT32
        if is_precision_free() and has_float16_weights():
            arithmetic = Arithmetic.FLOAT16_WEIGHTS
            self._queries = PackedBert(checkpoint, arithmetic)
        self.query_arithmetic = describe_arithmetic(arithmetic)

    @override
    def tokenize(self, texts: Sequence[str], prompt: str) -> list[TokenizedText]:
        prompted = [prompt + text for text in texts]
        tokenized = self._tokenizer.tokenize(prompted, self.max_tokens)
        return [
            TokenizedText(prompt, text, ids) for text, ids in zip(texts, tokenized, strict=True)
        ]

    @override
    def encode_items(self, batch: Sequence[TokenizedText]) -> Vectors:
        return _encode(self._items, batch)

    @override
    def encode_queries(self, batch: Sequence[TokenizedText]) -> Vectors:
        return _encode(self._queries, batch)

    def _compare(self, exact: PackedBert, rounded: PackedBert) -> float:
        """Return the least cosine between the vectors of two models."""
        batch = self.tokenize(_TEST_TEXTS, "")
        cosines = (_encode(exact, batch) * _encode(rounded, batch)).sum(axis=1)
        return float(cosines.min())


def _encode(model: PackedBert, batch: Sequence[TokenizedText]) -> Vectors:
    import torch

    if torch.get_num_threads() > 1:  # of this thread: another may be training with more
        torch.set_num_threads(1)
    return model.encode([np.array(text.ids, np.int64) for text in batch])
