"""Other libraries behind one face, for comparison: build over vectors, then search at an effort.

Each is measured only if it is installed: pip install "zhiyin[bench]".
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from indexer.arrays import Rows, Vectors

Search = Callable[[Vectors, int], Rows]


@dataclass(frozen=True, slots=True)
class Peer:
    """A library's index.

    Attributes:
        at: Effort to a search of one thread for `(q, d)` queries; rows `(q, k)` come back.
        efforts: From least to most.
    """

    name: str
    at: Callable[[Any], Search]
    efforts: Sequence[Any]


_BUILD_THREADS = os.cpu_count() or 1
_QUEUES = (16, 32, 64, 128, 256, 512, 1_024)


def numpy_matmul(vectors: Vectors) -> Peer:
    """One product with every row."""

    def search(queries: Vectors, k: int) -> Rows:
        scores = queries @ vectors.T
        return np.argpartition(scores, -k, axis=1)[:, -k:]

    return Peer("numpy float32", lambda _: search, (0,))


def torch_matmul(vectors: Vectors, kind: str) -> Peer:
    """The same in torch, in float32 or bfloat16."""
    import torch

    torch.set_num_threads(1)
    stored = torch.from_numpy(vectors).to(getattr(torch, kind))

    def search(queries: Vectors, k: int) -> Rows:
        asked = torch.from_numpy(queries).to(stored.dtype)
        found: Rows = torch.topk(asked @ stored.T, k, dim=1).indices.numpy()
        return found

    return Peer(f"torch {kind}", lambda _: search, (0,))


def hnswlib_graph(vectors: Vectors) -> Peer:
    """hnswlib, M 16, inner product."""
    import hnswlib

    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), ef_construction=200, M=16)
    index.add_items(vectors, num_threads=_BUILD_THREADS)

    def at(effort: int) -> Search:
        index.set_ef(effort)
        return lambda queries, k: index.knn_query(queries, k=k, num_threads=1)[0]

    return Peer("hnswlib", at, _QUEUES)


def usearch_graph(vectors: Vectors) -> Peer:
    """usearch, float32, inner product."""
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=16)
    index.add(np.arange(len(vectors)), vectors, threads=_BUILD_THREADS)

    def at(effort: int) -> Search:
        index.expansion_search = effort  # type: ignore[misc, unused-ignore]

        def search(queries: Vectors, k: int) -> Rows:
            keys: Rows = np.asarray(index.search(queries, k, threads=1).keys).reshape(-1, k)
            return keys.astype(np.int64)

        return search

    return Peer("usearch", at, _QUEUES)


def scann_tree(vectors: Vectors) -> Peer:
    """scann: a tree, anisotropic hashing, reordering."""
    import scann

    leaves = int(len(vectors) ** 0.5)
    index = (
        scann.scann_ops_pybind.builder(vectors, 10, "dot_product")
        .tree(num_leaves=leaves, num_leaves_to_search=leaves // 8, training_sample_size=100_000)
        .score_ah(2, anisotropic_quantization_threshold=0.2)
        .reorder(200)
        .build()
    )

    def at(effort: tuple[int, int]) -> Search:
        visited, reordered = max(1, leaves // effort[0]), effort[1]
        chosen = {"leaves_to_search": visited, "pre_reorder_num_neighbors": reordered}

        def search(queries: Vectors, k: int) -> Rows:
            if len(queries) == 1:
                rows = index.search(queries[0], final_num_neighbors=k, **chosen)[0][None]
            else:
                rows = index.search_batched(queries, final_num_neighbors=k, **chosen)[0]
            return np.asarray(rows, np.int64)

        return search

    return Peer(
        "scann", at, [(16, 100), (8, 100), (8, 200), (4, 200), (4, 400), (2, 600), (1, 999)]
    )


def scalable_vs_graph(vectors: Vectors) -> Peer:
    """scalable-vs: a Vamana graph over float16."""
    import svs

    made = svs.VamanaBuildParameters(graph_max_degree=64, window_size=128, alpha=0.95)
    index = svs.Vamana.build(
        made, vectors.astype(np.float16), svs.DistanceType.MIP, num_threads=_BUILD_THREADS
    )
    index.num_threads = 1

    def at(effort: int) -> Search:
        index.search_window_size = effort
        return lambda queries, k: index.search(queries.astype(np.float16), k)[0].astype(np.int64)

    return Peer("scalable-vs", at, _QUEUES)


def installed(vectors: Vectors) -> Iterator[Callable[[], Peer]]:
    """Yield how to build each peer that is installed."""
    yield lambda: numpy_matmul(vectors)
    yield lambda: torch_matmul(vectors, "float32")
    yield lambda: torch_matmul(vectors, "bfloat16")
    for module, made in (
        ("hnswlib", hnswlib_graph),
        ("usearch", usearch_graph),
        ("scann", scann_tree),
        ("svs", scalable_vs_graph),
    ):
        if find_spec(module):
            yield partial(made, vectors)
