"""Texts to raw unit vectors of a pretrained language model.

Items and queries are encoded with the prompts their model was trained with. Batches are sorted by
length and filled up to a number of tokens, so that little is computed for padding. On CPUs that are
fast at bfloat16 the transformer runs in it; pooling and normalisation stay in float32.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from indexer.arrays import Vectors
from indexer.language.fingerprint import TUNED_SUFFIX, Fingerprint, hash_weights
from indexer.language.model_loading import Prompts, load_tuned_layer, open_model
from indexer.language.precision import choose_precision

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    from sentence_transformers import SentenceTransformer

Progress: TypeAlias = Callable[[int], None]  # called with the number of texts just encoded

MAX_TOKENS = 256  # tokens after these change a mean-pooled vector little and cost as much
MAX_CHARS_PER_TOKEN = 12  # texts are cut before tokenising: tokenizers keep long strings cached
_BATCH_TOKENS = 2_000
_QUERY_CACHE_SIZE = 20_000


class Encoder(Protocol):
    """What the other packages need of a language model."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Identity of the vectors: vectors of equal fingerprints may be compared."""
        ...

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Return `(n, d) float32`, unit length, for texts that describe items."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return `(n, d) float32`, unit length, for texts that people search with."""
        ...


class TextEncoder:
    """A pretrained encoder with a cache of query vectors; safe to use from many threads.

    Only one thread encodes at a time: tokenizers of the `tokenizers` package are not thread-safe,
    and torch already uses every core for one batch.

    Attributes:
        layer: File of the tuned layer that is in the model; None for a model as published.
        precision: Of the transformer, "float32" or "bfloat16".
    """

    def __init__(
        self,
        model: "SentenceTransformer",
        name: str,
        prompts: Prompts,
        *,
        layer: Path | None = None,
    ) -> None:
        self._model = model
        self.layer = layer
        self._prompts = prompts
        self._lock = threading.Lock()
        self._query_cache: OrderedDict[str, Vectors] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._max_tokens = min(MAX_TOKENS, model.max_seq_length or MAX_TOKENS)
        model.max_seq_length = self._max_tokens
        weights = hash_weights(model)  # before rounding, so it does not depend on the precision
        self.precision = choose_precision(model, lambda texts: self._forward(texts, ""))
        self._fingerprint = Fingerprint(
            name=name,
            weights=weights,
            dim=int(model.get_embedding_dimension() or 0),
            item_prompt=prompts.item,
            query_prompt=prompts.query,
            max_tokens=self._max_tokens,
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """Identity of the vectors of this model."""
        return self._fingerprint

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode texts that describe items, `(n, d) float32` of unit length."""
        return self._encode(texts, self._prompts.item, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode query texts, `(n, d) float32` of unit length; recent ones are cached."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._query_cache))
        fresh = dict(zip(missing, self._encode(missing, self._prompts.query), strict=True))
        with self._cache_lock:
            rows = [fresh[text] if text in fresh else self._query_cache.get(text) for text in texts]
            for text in texts:
                if text in fresh:
                    self._query_cache[text] = fresh[text]
                if text in self._query_cache:
                    self._query_cache.move_to_end(text)
            while len(self._query_cache) > _QUERY_CACHE_SIZE:
                self._query_cache.popitem(last=False)
        # Another thread may have evicted a text after `missing` was computed.
        vectors = [
            self._encode([text], self._prompts.query)[0] if row is None else row
            for text, row in zip(texts, rows, strict=True)
        ]
        return np.stack(vectors) if vectors else np.empty((0, self._fingerprint.dim), np.float32)

    def _encode(
        self, texts: Sequence[str], prompt: str, progress: Progress | None = None
    ) -> Vectors:
        limit = self._max_tokens * MAX_CHARS_PER_TOKEN
        clipped = [text[:limit] for text in texts]
        out = np.empty((len(texts), int(self._model.get_embedding_dimension() or 0)), np.float32)
        for batch in self._split_into_batches(clipped, prompt):
            with self._lock:
                out[batch] = self._forward([clipped[row] for row in batch], prompt)
            if progress:
                progress(len(batch))
        return out

    def _split_into_batches(self, texts: Sequence[str], prompt: str) -> Iterator[list[int]]:
        """Yield positions of texts of similar length, longest first.

        A batch has at most `_BATCH_TOKENS` tokens, padding included.
        """
        if len(texts) == 1:
            yield [0]
            return
        lengths = self._count_tokens(texts, prompt)
        batch: list[int] = []
        width = 0
        for row in sorted(range(len(texts)), key=lambda row: -lengths[row]):
            width = width or lengths[row]
            if batch and (len(batch) + 1) * width > _BATCH_TOKENS:
                yield batch
                batch, width = [], lengths[row]
            batch.append(row)
        if batch:
            yield batch

    def _count_tokens(self, texts: Sequence[str], prompt: str) -> list[int]:
        tokenizer: Any = self._model.tokenizer
        counts: list[int] = []
        for start in range(0, len(texts), 1_000):
            chunk = [prompt + text for text in texts[start : start + 1_000]]
            with self._lock:
                ids = tokenizer(chunk, truncation=True, max_length=self._max_tokens)["input_ids"]
            counts += [len(row) for row in ids]
        return counts

    def _forward(self, texts: list[str], prompt: str) -> Vectors:
        import torch

        with torch.inference_mode():
            features: Any = self._model.preprocess(texts, prompt=prompt or None)
            for module in self._model.children():
                features = module(features)
                if "token_embeddings" in features:
                    features["token_embeddings"] = features["token_embeddings"].float()
            rows = torch.nn.functional.normalize(features["sentence_embedding"].float(), dim=1)
        vectors: Vectors = rows.numpy()
        return vectors


def load_encoder(name: str | None = None, *, layer: Path | None = None) -> TextEncoder:
    """Load a pretrained encoder for the CPU.

    Args:
        name: A bundled model (`multilingual-e5-small`, the default, or `all-MiniLM-L6-v2`), a
            directory, or a Hugging Face name. A plain encoder without sentence-transformers
            files, such as bert-base-chinese, gets mean pooling over its tokens without padding.
        layer: File of a tuned last layer, which replaces the model's own.

    Raises:
        EncoderUnavailableError: If the model cannot be found or is not an encoder, or the layer
            was not tuned on exactly this model.
    """
    model, label, prompts = open_model(name)
    if layer is None:
        return TextEncoder(model, label, prompts)
    load_tuned_layer(model, layer, label)
    return TextEncoder(model, label + TUNED_SUFFIX, prompts, layer=layer)
