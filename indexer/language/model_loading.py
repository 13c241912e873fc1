"""The name of a language model to the loaded model, what it is called, and its prompts."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import EncoderUnavailableError
from indexer.language.bundled_models import DEFAULT_MODEL, ENGLISH, MULTILINGUAL, ensure_checkpoint
from indexer.language.fingerprint import hash_weights

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    from sentence_transformers import SentenceTransformer

BASE_WEIGHTS_KEY = "base"  # in the metadata of a tuned layer: hash of the weights it was tuned on


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prefixes that tell a model whether a text describes an item or is a query."""

    item: str
    query: str


def open_model(name: str | None) -> tuple["SentenceTransformer", str, Prompts]:
    """Load a model for the CPU.

    Args:
        name: As `load_encoder` takes it.

    Returns:
        The sentence-transformers model, its name (of a directory the last part of its path), and
        its prompts.

    Raises:
        EncoderUnavailableError: If the model cannot be found or is not an encoder.
    """
    name = name or DEFAULT_MODEL
    is_bundled = name in (MULTILINGUAL, ENGLISH)
    path = str(ensure_checkpoint(name)) if is_bundled else name
    model = _load_model(path, name)
    label = name if is_bundled or not is_path(name) else Path(name).resolve().name
    return model, label, _choose_prompts(model, label)


def is_path(name: str) -> bool:
    """Whether a model name is a path that exists."""
    try:
        return Path(name).exists()
    except OSError:  # too long for a file name, so it is no path
        return False


def load_tuned_layer(model: "SentenceTransformer", layer: Path, label: str) -> None:
    """Replace the tensors of a model's last layer by those of a file.

    Args:
        model: Changed in place.
        layer: Safetensors file that `TunedLayer.save` wrote.
        label: Name of the model, for messages.

    Raises:
        EncoderUnavailableError: If the file cannot be read, or was tuned on other weights.
    """
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
        model.load_state_dict(tensors, strict=False)  # all other tensors keep their values
    except (OSError, SafetensorError) as error:
        raise EncoderUnavailableError(
            f"{layer} is no tuned layer of {label} ({str(error)[:200]}); build again"
        ) from error


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


def _choose_prompts(model: "SentenceTransformer", name: str) -> Prompts:
    """The prompts a model declares, or else those that the E5 family was trained with."""
    own_prompts = dict(model.prompts or {})
    name_lower = name.lower()
    is_e5 = "e5-" in name_lower and "instruct" not in name_lower
    query = own_prompts.get("query") or ("query: " if is_e5 else "")
    item = (
        own_prompts.get("document") or own_prompts.get("passage") or ("passage: " if is_e5 else "")
    )
    return Prompts(item=item, query=query)
