"""Texts to raw unit vectors of a pretrained language model.

Items and queries are encoded with the prompts their model was trained with. A text has the same
vector whatever is encoded beside it. Items are sorted by length and encoded in batches of so many
tokens; on CPUs that are fast at bfloat16 they are encoded in it. Queries are in float32, with
float16 weights where there are kernels for them.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from indexer.arrays import Vectors
from indexer.cancellation import raise_if_given_up
from indexer.language.fingerprint import TUNED_SUFFIX, Fingerprint
from indexer.language.model_loading import Prompts, load_text_model
from indexer.language.query_batches import BATCH_TEXTS, QueryBatches
from indexer.language.query_cache import QueryCache
from indexer.language.text_budget import find_query_store, spend_tokens
from indexer.language.text_cost import split_by_cost
from indexer.language.text_model import TextModel, TokenizedText

Progress: TypeAlias = Callable[[int], None]  # called with the number of texts just encoded

MAX_CHARS_PER_TOKEN = 12  # texts are cut before tokenising: tokenizers keep long strings cached
_WINDOW_TEXTS = 4_096  # tokenised and sorted together
_TURN_TOKENS = 128  # of one caller's queries, before others take their turn; more is no faster
_QUERY_CACHE_BYTES = 64_000_000


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

    Attributes:
        layer: File of the tuned layer that is in the model; None for a model as published.
        precision: In which items are encoded, "float32" or "bfloat16".
    """

    def __init__(
        self, model: TextModel, name: str, prompts: Prompts, *, layer: Path | None = None
    ) -> None:
        self._model = model
        self.layer = layer
        self.precision = model.precision
        self._prompts = prompts
        self._query_cache = QueryCache(_QUERY_CACHE_BYTES)
        self._query_batches = QueryBatches(self._encode_queries)
        self._fingerprint = Fingerprint(
            name=name,
            weights=model.weights_hash,
            dim=model.dim,
            item_prompt=prompts.item,
            query_prompt=prompts.query,
            max_tokens=model.max_tokens,
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """Identity of the vectors of this model."""
        return self._fingerprint

    @property
    def query_key(self) -> str:
        """Whatever decides about the vector of a query besides its text, rounding included."""
        return f"{self._fingerprint.key} {self._model.query_arithmetic}"

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode texts that describe items, `(n, d) float32` of unit length.

        Raises:
            GivenUpError: If nobody waits for them any more.
        """
        out = np.empty((len(texts), self._model.dim), np.float32)
        for start in range(0, len(texts), _WINDOW_TEXTS):
            tokenized = self._tokenize(texts[start : start + _WINDOW_TEXTS], self._prompts.item)
            for rows, vectors in self._encode_item_batches(tokenized):
                raise_if_given_up()
                out[[start + row for row in rows]] = vectors
                if progress:
                    progress(len(rows))
        return out

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode query texts, `(n, d) float32` of unit length; recent ones are cached.

        Texts that several threads ask for at the same time are encoded together.

        Raises:
            GivenUpError: If nobody waits for them any more.
            TextBudgetError: If the new ones are more than this thread may encode.
        """
        found = self._query_cache.find(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        store = find_query_store(missing) if missing else None
        if store is not None:
            stored = store.find(self.query_key, missing)
            self._query_cache.add(stored)
            found |= stored
            missing = [text for text in missing if text not in stored]
        spend_tokens(missing, self)
        for part in split_by_cost(missing, max_texts=BATCH_TEXTS, max_tokens=_TURN_TOKENS):
            raise_if_given_up()
            fresh = self._query_batches.encode(part)
            self._query_cache.add(fresh)  # so that a caller who gives up and returns goes on here
            if store is not None:
                store.add(self.query_key, fresh)
            found |= fresh
        vectors = [found[text] for text in texts]
        return np.stack(vectors) if vectors else np.empty((0, self._model.dim), np.float32)

    def _encode_queries(self, texts: Sequence[str]) -> Vectors:
        tokenized = self._tokenize(texts, self._prompts.query)
        out = np.empty((len(texts), self._model.dim), np.float32)
        for batch in _split_into_batches(tokenized, self._model.batch_tokens):
            out[batch] = self._model.encode_queries([tokenized[row] for row in batch])
        return out

    def _encode_item_batches(
        self, tokenized: Sequence[TokenizedText]
    ) -> Iterator[tuple[list[int], Vectors]]:
        """Yield positions of texts and their vectors; batches run on as many threads as help."""
        batches = list(_split_into_batches(tokenized, self._model.batch_tokens))

        def encode(batch: list[int]) -> Vectors:
            return self._model.encode_items([tokenized[row] for row in batch])

        threads = min(self._model.threads, len(batches))
        if threads <= 1:
            yield from ((batch, encode(batch)) for batch in batches)
            return
        with ThreadPoolExecutor(threads) as pool:
            try:
                yield from zip(batches, pool.map(encode, batches), strict=True)
            finally:  # an interrupted build does not wait for the rest
                pool.shutdown(wait=False, cancel_futures=True)

    def _tokenize(self, texts: Sequence[str], prompt: str) -> list[TokenizedText]:
        limit = self._model.max_tokens * MAX_CHARS_PER_TOKEN
        return self._model.tokenize([text[:limit] for text in texts], prompt)


def _split_into_batches(texts: Sequence[TokenizedText], batch_tokens: int) -> Iterator[list[int]]:
    """Yield positions of texts of similar length, longest first.

    A batch has at most `batch_tokens` tokens, counted as if each text were as long as the longest.
    """
    batch: list[int] = []
    for row in sorted(range(len(texts)), key=lambda row: -len(texts[row])):
        if batch and (len(batch) + 1) * len(texts[batch[0]]) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


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
    model, label, prompts = load_text_model(name, layer)
    suffix = "" if layer is None else TUNED_SUFFIX
    return TextEncoder(model, label + suffix, prompts, layer=layer)
