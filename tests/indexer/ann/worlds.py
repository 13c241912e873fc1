"""Synthetic clustered item vectors, and exact searches over them."""

from pathlib import Path
from typing import Any

import numpy as np

from indexer.ann import VectorIndex
from indexer.ann.builder import build_index_file
from indexer.ann.layout import Layout
from indexer.ann.measurement import IndexOptions
from indexer.arrays import Mask, Vectors

LAYOUT = Layout(meaning=30)
KINDS = {
    "pq": "PQ16x4fs,Refine(SQfp16)",
    "ivf": "ivf",
    "hnsw": "hnsw",
    "half": "SQfp16",
    "turned": "PCA32,SQ8",
    "lists": "IVF32,Flat",
}


def clustered(count: int, seed: int = 0) -> Vectors:
    """Unit meaning vectors around forty centres, a prior from -0.05 to 0.05, padding."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, LAYOUT.meaning))
    rows = centres[rng.integers(0, 40, count)] + 0.6 * rng.normal(size=(count, LAYOUT.meaning))
    vectors = np.zeros((count, LAYOUT.dim), np.float32)
    vectors[:, : LAYOUT.meaning] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    vectors[:, LAYOUT.meaning] = 0.1 * rng.random(count) - 0.05
    return vectors


def requests(vectors: Vectors, count: int, seed: int = 5) -> Vectors:
    """Means of one to four items, with priors of weight 0, 1 and 10."""
    rng = np.random.default_rng(seed)
    queries = np.zeros((count, LAYOUT.dim), np.float32)
    for position in range(count):
        mean = vectors[rng.integers(0, len(vectors), 1 + position % 4)].mean(axis=0)
        queries[position, : LAYOUT.meaning] = mean[: LAYOUT.meaning] / np.linalg.norm(
            mean[: LAYOUT.meaning]
        )
        queries[position, LAYOUT.meaning] = (0, 1, 10)[position % 3]
    return queries


def build(folder: Path, vectors: Vectors, kind: str, **options: Any) -> tuple[VectorIndex, Any]:
    """The opened index file of some options, and its facts for the manifest."""
    path = folder / "index.faiss"
    facts = build_index_file(
        path, vectors, LAYOUT, options=IndexOptions(kind, **options), report=lambda *_: None
    )
    return VectorIndex.open(path, facts), facts


def recall(index: VectorIndex, vectors: Vectors, queries: Vectors, allowed: Mask) -> float:
    """recall@10 against a float64 scan; rows of equal score (1e-6) are as good."""
    rows = np.flatnonzero(allowed)
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    depth = min(10, len(rows))
    hits = 0
    for query_scores, found in zip(scores, index.search(queries, 10, allowed), strict=True):
        least = np.sort(query_scores[rows])[-depth]
        hits += int((query_scores[found.rows] >= least - 1e-6).sum())
    return hits / (depth * len(queries))
