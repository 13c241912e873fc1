"""The directory of a BERT model to its weights, its tokenizer and what it is made of.

Read without transformers and sentence-transformers, whose imports take ten seconds and 250 MB. The
weights are memory-mapped: processes that read the same file share its pages. Those of the layers
have a mapping of their own, so that its pages go with the last matrix that is used as it is.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.language.tokenizer import TOKENIZER_FILE, Tokenizer, load_tokenizer

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    import torch

_WEIGHTS = "model.safetensors"
_NAME_PREFIX = "0.model."  # of a tensor in a sentence-transformers model, which fingerprints hash
_EMBEDDINGS = (
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias",
)
_LAYER_MODULES = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


@dataclass(frozen=True, slots=True)
class BertCheckpoint:
    """A BERT model with mean or first-token pooling.

    Attributes:
        weights: float32 tensors by their names in a sentence-transformers model.
        heads: Attention heads of a layer.
        layer_norm_eps: Added to variances.
        pooling: "mean" of a text's tokens, or "cls", its first token.
        max_tokens: Length at which the model cuts texts.
        prompts: Prefixes the model declares, by name.
        tokenizer: Of its texts.
    """

    weights: "dict[str, torch.Tensor]"
    heads: int
    layer_norm_eps: float
    pooling: str
    max_tokens: int
    prompts: Mapping[str, str | None]
    tokenizer: Tokenizer


def is_bert_checkpoint(folder: Path) -> bool:
    """Whether `read_bert_checkpoint` gives what sentence-transformers would load from a folder.

    False for anything it does not know, such as another architecture, activation or module.
    """
    try:
        return (
            not (folder / "adapter_config.json").exists()
            and _is_known_config(_read_json(folder, "config.json"))
            and _is_known_pipeline(folder)
            and _is_known_tokenizer(folder)
            and _strip_prefix(_read_tensor_names(folder / _WEIGHTS)).keys()
            >= set(_list_weights(_read_json(folder, "config.json")["num_hidden_layers"]))
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return False


def read_bert_checkpoint(folder: Path) -> BertCheckpoint:
    """Read a folder that `is_bert_checkpoint`; the weights are mapped, not copied."""
    config = _read_json(folder, "config.json")
    return BertCheckpoint(
        weights=_map_weights(folder / _WEIGHTS, int(config["num_hidden_layers"])),
        heads=int(config["num_attention_heads"]),
        layer_norm_eps=float(config.get("layer_norm_eps", 1e-12)),
        pooling=_find_pooling(folder),
        max_tokens=_find_max_tokens(folder, int(config["max_position_embeddings"])),
        prompts=_read_json(folder, "config_sentence_transformers.json").get("prompts") or {},
        tokenizer=load_tokenizer(folder),
    )


def _read_json(folder: Path, name: str) -> Any:
    """Return the content of a file, `{}` if there is none."""
    path = folder / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _is_known_config(config: Any) -> bool:
    return (
        config["model_type"] == "bert"
        and config.get("hidden_act", "gelu") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
    )


def _is_known_pipeline(folder: Path) -> bool:
    """Whether the modules are a transformer, a pooling that is known, and perhaps Normalize."""
    modules = _read_json(folder, "modules.json")
    kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
    settings = _read_json(folder, "sentence_bert_config.json")
    return (
        kinds in ([], ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and not (modules and modules[0]["path"])
        and not settings.get("do_lower_case")
        and settings.get("transformer_task", "feature-extraction") == "feature-extraction"
        and _find_pooling(folder) in ("mean", "cls")
    )


def _find_pooling(folder: Path) -> str:
    """Return how tokens become one vector; "mean" for a model without sentence-transformers files.

    Anything but one way over all tokens is "other".
    """
    modules = _read_json(folder, "modules.json")
    if not modules:
        return "mean"
    config = _read_json(folder / modules[1]["path"], "config.json")
    modes = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    if not config.get("include_prompt", True) or len(modes) > 1:
        return "other"
    named = config.get("pooling_mode")
    old_names = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    return named if isinstance(named, str) else old_names.get("".join(modes), "other")


def _is_known_tokenizer(folder: Path) -> bool:
    """Whether the tokenizer file alone says how texts are split.

    transformers lets the settings of a BERT tokenizer override its file.
    """
    settings = _read_json(folder, "tokenizer_config.json")
    if not str(settings.get("tokenizer_class", "")).startswith("Bert"):
        return (folder / TOKENIZER_FILE).exists()
    normalizer = _read_json(folder, TOKENIZER_FILE)["normalizer"]
    agreeing = {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    }
    return normalizer["type"] == "BertNormalizer" and all(
        settings[name] == normalizer[own] for name, own in agreeing.items() if name in settings
    )


def _find_max_tokens(folder: Path, positions: int) -> int:
    own = _read_json(folder, "sentence_bert_config.json").get("max_seq_length")
    return min(
        own or _read_json(folder, "tokenizer_config.json").get("model_max_length") or positions,
        positions,
    )


def _list_weights(layers: int) -> list[str]:
    return [
        *_EMBEDDINGS,
        *(
            f"encoder.layer.{layer}.{module}.{kind}"
            for layer in range(layers)
            for module in _LAYER_MODULES
            for kind in ("weight", "bias")
        ),
    ]


def _read_tensor_names(path: Path) -> list[str]:
    """Return the names in a safetensors file: a length, then a JSON object by name."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return list(json.loads(file.read(min(length, 10_000_000))))


def _strip_prefix(names: list[str]) -> dict[str, str]:
    """Return each name without the "bert." of a checkpoint with a head, and as it is stored."""
    return {name.removeprefix("bert."): name for name in names}


def _map_weights(path: Path, layers: int) -> "dict[str, torch.Tensor]":
    from safetensors import safe_open

    weights = {}
    names = _list_weights(layers)
    for mapped in (names[: len(_EMBEDDINGS)], names[len(_EMBEDDINGS) :]):
        with safe_open(path, framework="pt") as opened:
            stored = _strip_prefix(list(opened.keys()))
            for name in mapped:
                tensor = opened.get_tensor(stored[name]).float()
                weights[_NAME_PREFIX + name] = tensor if tensor.dim() > 1 else tensor.clone()
    return weights
