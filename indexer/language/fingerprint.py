"""A loaded model to its identity: what must agree before two vectors may be compared."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from indexer.language.item_text import TEXT_VERSION

PROBE_TEXT = "A traveller reads by the window while it rains. 雨天，旅人在窗边读书。"
TUNED_SUFFIX = " (tuned)"  # after the name of a model whose last layer was tuned
MIN_PROBE_COSINE = 0.999  # bfloat16 against float32 stays above .9999; another model far below


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that changes an item vector besides the item itself."""

    name: str
    weights: str
    dim: int
    item_prompt: str
    query_prompt: str
    max_tokens: int
    text_version: int = TEXT_VERSION

    @property
    def key(self) -> str:
        """A short hash, equal for equal fingerprints."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def hash_weights(model: Any) -> str:
    """Hash a sample of every tensor: fast, and no two checkpoints in use agree on all of them.

    The pooler is left out: we pool ourselves, and where a checkpoint has none, transformers fills
    it with random numbers at every load.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if "pooler" in name:
            continue
        flat = tensor.detach().reshape(-1)
        step = max(1, flat.numel() // 64)
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(flat[::step][:64].float().numpy().tobytes())
    return digest.hexdigest()[:32]
