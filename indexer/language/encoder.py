"""Texts to raw unit vectors. With `tuned_layer` the only door to sentence_transformers and torch.

Items and queries are encoded with the prompts their model was trained with. Batches are sorted by
length and filled to a token budget, so little is spent on padding; on processors that are fast at
bfloat16 (found out by a short self-test) the transformer runs in it, pooling and normalisation
stay in float32.
"""

import copy
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from indexer.arrays import Vectors
from indexer.errors import EncoderUnavailableError
from indexer.language import bundled_models as bundled
from indexer.language.fingerprint import TUNED_SUFFIX, Fingerprint, hash_weights

if TYPE_CHECKING:  # torch takes seconds to import: only when a text is really encoded
    from collections.abc import Iterator

    from sentence_transformers import SentenceTransformer

Progress: TypeAlias = Callable[[int], None]

BASE_WEIGHTS_KEY = "base"  # in the metadata of a tuned layer: the weights it was tuned on

MAX_TOKENS = 256  # what is past it changes a pooled vector little and costs as much
_BATCH_TOKENS = 2_000
MAX_CHARS_PER_TOKEN = 12  # cut before tokenising: tokenizers cache long strings for ever
_QUERY_CACHE_SIZE = 20_000
_BF16_MIN_SPEEDUP, _BF16_MIN_COSINE = 1.3, 0.9999
_SELF_TEST = (
    "A quiet film about friendship and the sea, told over one summer.",
    "雨天在家看的悬疑片",
) * 8


class Encoder(Protocol):
    """What the rest of the package needs of a language model."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Identity of the vectors: two encoders with equal fingerprints agree."""
        ...

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Return `(n, d) float32`, unit length, for texts that describe items."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return `(n, d) float32`, unit length, for what a person says or wants."""
        ...


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is put before a text so that the model knows its role."""

    item: str
    query: str


class TextEncoder:
    """A pretrained encoder behind one lock, with a cache of query vectors.

    Tokenizers of the `tokenizers` package are not thread-safe, and torch already uses every core
    for one batch, so callers take turns.
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
        self.layer = layer  # file of the tuned layer in it
        self._prompts = prompts
        self._lock = threading.Lock()
        self._query_cache: OrderedDict[str, Vectors] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._max_tokens = min(MAX_TOKENS, model.max_seq_length or MAX_TOKENS)
        model.max_seq_length = self._max_tokens
        weights = hash_weights(model)  # of what was loaded, whatever precision it then runs in
        self.precision = _choose_precision(self)
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
        """Identity of the vectors this model makes."""
        return self._fingerprint

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode item texts; `progress` is called with the number of texts just finished."""
        return self._encode(texts, self._prompts.item, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what people say; repeated texts come from a cache of recent ones."""
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
        # A text may have been evicted by another thread between the two looks at the cache.
        found = [
            self._encode([text], self._prompts.query)[0] if row is None else row
            for text, row in zip(texts, rows, strict=True)
        ]
        return np.stack(found) if found else np.empty((0, self._fingerprint.dim), np.float32)

    def _encode(
        self, texts: Sequence[str], prompt: str, progress: Progress | None = None
    ) -> Vectors:
        limit = self._max_tokens * MAX_CHARS_PER_TOKEN
        clipped = [text[:limit] for text in texts]
        out = np.empty((len(texts), int(self._model.get_embedding_dimension() or 0)), np.float32)
        for batch in self._batches(clipped, prompt):
            with self._lock:
                out[batch] = self._forward([clipped[row] for row in batch], prompt)
            if progress:
                progress(len(batch))
        return out

    def _batches(self, texts: Sequence[str], prompt: str) -> "Iterator[list[int]]":
        """Rows in batches of similar length, longest first, `_BATCH_TOKENS` padded tokens each."""
        if len(texts) == 1:
            yield [0]
            return
        lengths = self._token_counts(texts, prompt)
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

    def _token_counts(self, texts: Sequence[str], prompt: str) -> list[int]:
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
        name: A bundled name (`multilingual-e5-small`, the default, or `all-MiniLM-L6-v2`), a
            directory, or any Hugging Face name. A plain encoder without sentence-transformers
            files, such as bert-base-chinese, gets mean pooling over its real tokens.
        layer: File of a last layer that was tuned and replaces the model's own.

    Raises:
        EncoderUnavailableError: If the model is not there or is not an encoder, or the layer was
            not tuned on just this model.
    """
    model, label, prompts = open_model(name)
    if layer is None:
        return TextEncoder(model, label, prompts)
    _replace_layer(model, layer, label)
    return TextEncoder(model, label + TUNED_SUFFIX, prompts, layer=layer)


def open_model(name: str | None) -> tuple["SentenceTransformer", str, Prompts]:
    """Return a model as the libraries know it, what it is called, and its prompts.

    Raises:
        EncoderUnavailableError: If the model is not there or is not an encoder.
    """
    name = name or bundled.DEFAULT_MODEL
    is_bundled = name in (bundled.MULTILINGUAL, bundled.ENGLISH)
    path = str(bundled.ensure_checkpoint(name)) if is_bundled else name
    model = _load_model(path, name)
    label = name if is_bundled or not is_path(name) else Path(name).resolve().name
    return model, label, _choose_prompts(model, label)


def _replace_layer(model: "SentenceTransformer", layer: Path, label: str) -> None:
    """Replace the tensors of one layer."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(layer, framework="pt") as opened:
            base = (opened.metadata() or {}).get(BASE_WEIGHTS_KEY)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no dict
        if base != hash_weights(model):
            raise EncoderUnavailableError(
                f"{layer} was tuned on another model than this {label}; build again, or put the "
                f"model back that it was tuned on"
            )
        model.load_state_dict(tensors, strict=False)  # the rest stays as it was
    except (OSError, SafetensorError) as error:
        raise EncoderUnavailableError(
            f"{layer} is no tuned layer of {label} ({str(error)[:200]}); build again"
        ) from error


def is_path(name: str) -> bool:
    """Whether a model is named by a path that exists."""
    try:
        return Path(name).exists()
    except OSError:  # too long for a file: no path, whatever else it is
        return False


def _load_model(path: str, name: str) -> "SentenceTransformer":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with _silence_libraries():
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(
                path, device="cpu", trust_remote_code=False, local_files_only=is_path(path)
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise EncoderUnavailableError(
                f"the model {name!r} cannot be loaded ({reason[:200]}); give --model a directory "
                f"with an encoder, or one of {bundled.MULTILINGUAL}, {bundled.ENGLISH}"
            ) from error


@contextmanager
def _silence_libraries() -> "Iterator[None]":
    """Silence loading bars and reports of unused pooler weights, which alarm for nothing."""
    import transformers

    progress_bars: Any = transformers.utils.logging
    names = ("transformers", "sentence_transformers", "huggingface_hub")
    before = [logging.getLogger(name).level for name in names]
    had_bars = progress_bars.is_progress_bar_enabled()
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    progress_bars.disable_progress_bar()
    try:
        yield
    finally:
        for name, level in zip(names, before, strict=True):
            logging.getLogger(name).setLevel(level)
        if had_bars:
            progress_bars.enable_progress_bar()


def _choose_prompts(model: "SentenceTransformer", name: str) -> Prompts:
    """The prompts a model declares, or those its family is known to need (E5, BGE)."""
    own_prompts = dict(model.prompts or {})
    name_lower = name.lower()
    is_e5 = "e5-" in name_lower and "instruct" not in name_lower
    query = own_prompts.get("query") or ("query: " if is_e5 else "")
    item = (
        own_prompts.get("document") or own_prompts.get("passage") or ("passage: " if is_e5 else "")
    )
    return Prompts(item=item, query=query)


def _choose_precision(encoder: TextEncoder) -> str:
    """Move the transformer to bfloat16 if the CPU is clearly faster at it and as exact.

    `ZHIYIN_PRECISION=float32|bfloat16` decides without a test.
    """
    import torch

    model: Any = encoder._model  # same module: the test is part of construction
    requested = os.environ.get("ZHIYIN_PRECISION", "")
    if requested == "float32" or not (requested == "bfloat16" or _has_bf16_instructions()):
        return "float32"
    exact, float32_s = _time_forward(encoder)
    transformer = model[0]
    model[0] = copy.deepcopy(transformer).to(
        torch.bfloat16
    )  # rounding in place could not be undone
    rounded, bfloat16_s = _time_forward(encoder)
    cosine = float((exact * rounded).sum(axis=1).min())
    if requested == "bfloat16" or (
        float32_s >= _BF16_MIN_SPEEDUP * bfloat16_s and cosine >= _BF16_MIN_COSINE
    ):
        return "bfloat16"
    model[0] = transformer
    return "float32"


def _has_bf16_instructions() -> bool:
    """Without them torch emulates bfloat16, many times slower: not worth even the test."""
    import torch

    capabilities = torch.backends.cpu.get_cpu_capability().lower()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", "bf16")) or (
        "bf16" in capabilities
    )


def _time_forward(encoder: TextEncoder) -> tuple[Vectors, float]:
    texts = list(_SELF_TEST)
    encoder._forward(texts, "")  # warm-up
    started = time.perf_counter()
    vectors = encoder._forward(texts, "")
    return vectors, time.perf_counter() - started
