"""Token numbers of texts to their unit vectors, by a BERT that computes nothing for padding.

The tokens of a batch lie one after another: linear layers see one matrix of tokens, attention each
text by itself. So the vector of a text depends on nothing beside it. float32 kernels differ by
1e-7 with the number of tokens; in bfloat16, where such a difference becomes one of 1e-3, every
matrix product has the same shape, and attention, residuals and normalisation stay in float32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.language.bert_checkpoint import BertCheckpoint
from indexer.language.linear import Arithmetic, Linear, build_linear

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    import torch

Tensor: TypeAlias = "torch.Tensor"
TokenIds: TypeAlias = NDArray[np.int64]  # (tokens,), of one text

BLOCK_TOKENS = 512  # of a batch; with more, a core's caches overflow


@dataclass(frozen=True, slots=True)
class _Layer:
    """A transformer layer."""

    query: Linear
    key: Linear
    value: Linear
    mix: Linear
    mix_norm: tuple[Tensor, Tensor]  # weight and bias
    widen: Linear
    narrow: Linear
    narrow_norm: tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring texts of equal length: tokens `start:stop` are `(count, length)`."""

    start: int
    stop: int
    count: int
    length: int


class PackedBert:
    """A BERT whose matrix products run in one arithmetic; safe to use from many threads.

    Args:
        checkpoint: Its float32 weights are used as they are, not copied.
        arithmetic: Of the matrix products.

    Attributes:
        dim: Width of a vector.
    """

    def __init__(self, checkpoint: BertCheckpoint, arithmetic: Arithmetic) -> None:
        weights = checkpoint.weights
        self._words, positions, types, self._norm, self._norm_bias = (
            weights[f"0.model.embeddings.{name}"]
            for name in (
                "word_embeddings.weight",
                "position_embeddings.weight",
                "token_type_embeddings.weight",
                "LayerNorm.weight",
                "LayerNorm.bias",
            )
        )
        self._positions = positions + types[0]
        self._heads, self._eps = checkpoint.heads, checkpoint.layer_norm_eps
        self._pools_first = checkpoint.pooling == "cls"
        self._layers = list(_collect_layers(weights, arithmetic))
        self._fixed_tokens = BLOCK_TOKENS if arithmetic is Arithmetic.BFLOAT16 else 0
        self.dim = int(self._words.shape[1])

    def encode(self, texts: Sequence[TokenIds]) -> Vectors:
        """Return the vectors `(n, d) float32`, unit length, of at least one text.

        Args:
            texts: At most `BLOCK_TOKENS` tokens together, and none empty; it is fastest if texts
                of equal length are neighbours.
        """
        import torch

        runs = list(_find_runs([len(text) for text in texts]))
        with torch.inference_mode():
            states = self._embed(texts)
            for layer in self._layers:
                states = self._run_layer(layer, states, runs)
            pooled = torch.cat([self._pool(states, run) for run in runs])
            rows = torch.nn.functional.normalize(pooled, dim=1)
        vectors: Vectors = rows.numpy()
        return vectors

    def _embed(self, texts: Sequence[TokenIds]) -> Tensor:
        """Return the input states `(tokens, d)`, filled up with zeros to the fixed size."""
        import torch

        functional = torch.nn.functional
        words = torch.from_numpy(np.concatenate(texts))
        positions = torch.from_numpy(np.concatenate([np.arange(len(text)) for text in texts]))
        states = functional.embedding(words, self._words)
        states += functional.embedding(positions, self._positions)
        states = functional.layer_norm(states, (self.dim,), self._norm, self._norm_bias, self._eps)
        missing = self._fixed_tokens - len(states)
        return functional.pad(states, (0, 0, 0, missing)) if missing > 0 else states

    def _run_layer(self, layer: _Layer, states: Tensor, runs: Sequence[_Run]) -> Tensor:
        import torch

        functional = torch.nn.functional
        query, key, value = layer.query(states), layer.key(states), layer.value(states)
        mixed = layer.mix(self._attend(query, key, value, runs)).add_(states)
        states = functional.layer_norm(mixed, (self.dim,), *layer.mix_norm, self._eps)
        out = layer.narrow(functional.gelu(layer.widen(states))).add_(states)
        return functional.layer_norm(out, (self.dim,), *layer.narrow_norm, self._eps)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, runs: Sequence[_Run]) -> Tensor:
        """Let the tokens of each text attend to one another; `(tokens, d)` in and out."""
        import torch

        mixed = torch.zeros_like(query)
        for run in runs:
            # (tokens, d) to (count, heads, length, d / heads)
            queries, keys, values = (
                tensor[run.start : run.stop]
                .view(run.count, run.length, self._heads, -1)
                .transpose(1, 2)
                for tensor in (query, key, value)
            )
            attended = torch.nn.functional.scaled_dot_product_attention(queries, keys, values)
            mixed[run.start : run.stop] = attended.transpose(1, 2).reshape(-1, self.dim)
        return mixed

    def _pool(self, states: Tensor, run: _Run) -> Tensor:
        by_text = states[run.start : run.stop].view(run.count, run.length, self.dim)
        return by_text[:, 0] if self._pools_first else by_text.mean(dim=1)


def _collect_layers(weights: dict[str, Tensor], arithmetic: Arithmetic) -> Iterator[_Layer]:
    number = 0
    while (prefix := f"0.model.encoder.layer.{number}") + ".output.dense.weight" in weights:

        def find(path: str, prefix: str = prefix) -> tuple[Tensor, Tensor]:
            return weights[f"{prefix}.{path}.weight"], weights[f"{prefix}.{path}.bias"]

        yield _Layer(
            query=build_linear(*find("attention.self.query"), arithmetic),
            key=build_linear(*find("attention.self.key"), arithmetic),
            value=build_linear(*find("attention.self.value"), arithmetic),
            mix=build_linear(*find("attention.output.dense"), arithmetic),
            mix_norm=find("attention.output.LayerNorm"),
            widen=build_linear(*find("intermediate.dense"), arithmetic),
            narrow=build_linear(*find("output.dense"), arithmetic),
            narrow_norm=find("output.LayerNorm"),
        )
        number += 1


def _find_runs(lengths: Sequence[int]) -> Iterator[_Run]:
    first = start = 0
    for text in range(1, len(lengths) + 1):
        if text == len(lengths) or lengths[text] != lengths[first]:
            count, length = text - first, lengths[first]
            yield _Run(start, start + count * length, count, length)
            first, start = text, start + count * length
