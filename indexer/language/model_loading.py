"""The name of a language model to the loaded model, what it is called, and its prompts."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import EncoderUnavailableError
from indexer.language.bert_checkpoint import is_bert_checkpoint, read_bert_checkpoint
from indexer.language.bert_model import BertModel
from indexer.language.bundled_models import DEFAULT_MODEL, ENGLISH, MULTILINGUAL, ensure_checkpoint
from indexer.language.fingerprint import hash_weights
from indexer.language.model_hub import find_hub, reaches_hub
from indexer.language.sentence_model import SentenceModel
from indexer.language.text_model import TextModel

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    import torch
    from sentence_transformers import SentenceTransformer

MAX_TOKENS = 256  # tokens after these change a mean-pooled vector little and cost as much
BASE_WEIGHTS_KEY = "base"  # in the metadata of a tuned layer: hash of the weights it was tuned on


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prefixes that tell a model whether a text describes an item or is a query."""

    item: str
    query: str


def load_text_model(name: str | None, layer: Path | None) -> tuple[TextModel, str, Prompts]:
    """Load a model to encode with.

    Args:
        name: As `load_encoder` takes it.
        layer: File of a tuned last layer, which replaces the model's own.

    Returns:
        The model, its name (of a directory the last part of its path), and its prompts.

    Raises:
        EncoderUnavailableError: If the model cannot be found or is not an encoder, or the layer
            was not tuned on exactly this model.
    """
    path, label = _locate(name)
    if not is_bert_checkpoint(Path(path)):
        model, label, prompts = open_model(name)
        if layer is not None:
            tuned = _read_tuned_layer(layer, label, hash_weights(model.state_dict()))
            model.load_state_dict(tuned, strict=False)  # all other tensors keep their values
        max_tokens = min(MAX_TOKENS, model.max_seq_length or MAX_TOKENS)
        return SentenceModel(model, max_tokens), label, prompts
    checkpoint = read_bert_checkpoint(Path(path))
    if layer is not None:
        tuned = _read_tuned_layer(layer, label, hash_weights(checkpoint.weights))
        checkpoint.weights.update(tuned)
    bert = BertModel(checkpoint, min(MAX_TOKENS, checkpoint.max_tokens))
    return bert, label, _choose_prompts(checkpoint.prompts, label)


def open_model(name: str | None) -> tuple["SentenceTransformer", str, Prompts]:
    """Load a model with sentence-transformers, to train it.

    Args:
        name: As `load_encoder` takes it.

    Returns:
        The sentence-transformers model, its name (of a directory the last part of its path), and
        its prompts.

    Raises:
        EncoderUnavailableError: If the model cannot be found or is not an encoder.
    """
    path, label = _locate(name)
    model = _load_model(path, name or DEFAULT_MODEL)
    return model, label, _choose_prompts(model.prompts or {}, label)


def _locate(name: str | None) -> tuple[str, str]:
    """Return the directory or Hugging Face name of a model, and what it is called."""
    name = name or DEFAULT_MODEL
    if name in (MULTILINGUAL, ENGLISH):
        return str(ensure_checkpoint(name)), name
    return name, Path(name).resolve().name if is_path(name) else name


def is_path(name: str) -> bool:
    """Whether a model name is a path that exists."""
    try:
        return Path(name).exists()
    except OSError:  # too long for a file name, so it is no path
        return False


def _read_tuned_layer(layer: Path, label: str, weights_hash: str) -> "dict[str, torch.Tensor]":
    """Return the tensors of a safetensors file that `TunedLayer.save` wrote, by their names.

    Raises:
        EncoderUnavailableError: If it cannot be read, or was tuned on weights of another hash.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(layer, framework="pt") as opened:
            base = (opened.metadata() or {}).get(BASE_WEIGHTS_KEY)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no dict
    except (OSError, SafetensorError) as error:
        raise EncoderUnavailableError(
            f"{layer} is no tuned layer of {label} ({str(error)[:200]}); build again"
        ) from error
    if base != weights_hash:
        raise EncoderUnavailableError(
            f"{layer} was tuned on another model than this {label}; build again, or put the "
            f"model back that it was tuned on"
        )
    return tensors


def _load_model(path: str, name: str) -> "SentenceTransformer":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with _silence_libraries():
        from sentence_transformers import SentenceTransformer

        is_unreachable = not is_path(path) and not reaches_hub()
        is_local = is_unreachable or is_path(path)
        try:
            return SentenceTransformer(
                path, device="cpu", trust_remote_code=False, local_files_only=is_local
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            if is_unreachable:
                reason = f"it is not on this machine, and {find_hub()} cannot be reached"
            raise EncoderUnavailableError(
                f"the model {name!r} cannot be loaded ({reason[:200]}); give --model a directory "
                f"with an encoder, or one of {MULTILINGUAL}, {ENGLISH}"
            ) from error


@contextmanager
def _silence_libraries() -> Iterator[None]:
    """Hide progress bars and harmless warnings about unused pooler weights."""
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


def _choose_prompts(own_prompts: Mapping[str, str | None], name: str) -> Prompts:
    """The prompts a model declares, or else those that the E5 family was trained with."""
    name_lower = name.lower()
    is_e5 = "e5-" in name_lower and "instruct" not in name_lower
    query = own_prompts.get("query") or ("query: " if is_e5 else "")
    item = (
        own_prompts.get("document") or own_prompts.get("passage") or ("passage: " if is_e5 else "")
    )
    return Prompts(item=item, query=query)
