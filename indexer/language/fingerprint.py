"""A loaded model to its fingerprint: vectors may be compared only if their fingerprints agree."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from indexer.language.item_text import TEXT_VERSION

PROBE_TEXT = "A traveller reads by the window while it rains. 雨天，旅人在窗边读书。"
TUNED_SUFFIX = " (tuned)"  # appended to the name of a model whose last layer was tuned
MIN_PROBE_COSINE = 0.999  # bfloat16 against float32 stays above .9999; other models are far below


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that changes a vector besides the text.

    Attributes:
        name: Of the model, with `TUNED_SUFFIX` if its last layer was tuned.
        weights: From `hash_weights`.
        dim: Width of a vector.
        item_prompt: Prefix of item texts.
        query_prompt: Prefix of query texts.
        max_tokens: Length at which texts are cut.
        text_version: Version of the item texts, see `item_text`.
    """

    name: str
    weights: str
    dim: int
    item_prompt: str
    query_prompt: str
    max_tokens: int
    text_version: int = TEXT_VERSION

    @property
    def key(self) -> str:
        """A hash of 16 hexadecimal digits, equal for equal fingerprints."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def hash_weights(weights: Mapping[str, Any]) -> str:
    """Return a hash of 64 values of every tensor, in 32 hexadecimal digits.

    Tensors are named as in the `state_dict` of a sentence-transformers model.

    Hashing a sample is fast, and no two checkpoints in use agree on every sampled value. The
    pooler is left out: it is not used, and where a checkpoint has none, transformers fills it with
    random numbers at every load.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        if "pooler" in name:
            continue
        flat = tensor.detach().reshape(-1)
        step = max(1, flat.numel() // 64)
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(flat[::step][:64].float().numpy().tobytes())
    return digest.hexdigest()[:32]
