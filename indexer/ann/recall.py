"""An index to its recall@10 on synthetic query vectors of several kinds.

Which rows an approximate index misses depends on the queries, so those of real requests are
imitated: block weights scale the blocks, the mean of several items is shorter than one item, and a
request of several vectors gives each item the best of its scores.
"""

from dataclasses import dataclass

import numpy as np

from indexer.ann.faiss_library import load_faiss
from indexer.ann.layout import Layout
from indexer.ann.top_rows import ItemVectors, TopRows
from indexer.ann.vector_index import VectorIndex
from indexer.arrays import Mask, Rows, Vectors

RECALL_DEPTH = 10  # k of recall@k
QUERY_COUNT = 1_250
_CHUNK_ROWS = 16_384
_SCORE_TOLERANCE = 1e-6
_SCORE_BATCH = 16
# Weights of the meaning, taste and prior block.
_BLOCK_WEIGHTS = (
    (1.0, 1.0, 1.0),
    (1.0, 0.0, 0.0),
    (1.0, 1.0, 3.0),
    (1.0, 1.0, 10.0),
    (0.0, 1.0, 0.0),
    (0.2, 1.0, 0.5),
)
_USUAL_WEIGHTS = (1.0, 1.0, 1.0)  # of requests that name none


@dataclass(frozen=True, slots=True)
class QuerySet:
    """Query vectors of one kind.

    Attributes:
        name: Of the kind, such as "1,0,10" for the block weights.
        vectors: `(queries * vectors_per_query, d) float32`, those of a query one after another.
        vectors_per_query: Vectors of one query; an item's score is the best over them.
        is_usual: Whether most requests are of this kind; others ask for unusual weights.
    """

    name: str
    vectors: Vectors
    vectors_per_query: int = 1
    is_usual: bool = False


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The exact scores that an index must reach.

    Attributes:
        query_set: The queries.
        kth_scores: `(queries,) float32`, exact score of the tenth best row of each query.
    """

    query_set: QuerySet
    kth_scores: Vectors


def draw_query_sets(
    items: ItemVectors, layout: Layout, *, rng: np.random.Generator, count: int = QUERY_COUNT
) -> list[QuerySet]:
    """Draw `count` queries: half from one item, half from the mean of two to five items.

    There is one set for each choice of block weights, and one of three vectors for each query.
    """
    weights = [w for w in _BLOCK_WEIGHTS if w[0] == 1 or layout.taste]
    each = -(-count // (len(weights) + 1))
    drawn = [
        QuerySet(
            ",".join(f"{part:g}" for part in w),
            _draw_weighted_means(items, layout, w, each, rng),
            is_usual=w == _USUAL_WEIGHTS,
        )
        for w in weights
    ]
    several = _draw_weighted_means(items, layout, weights[0], 3 * each, rng)
    return [*drawn, QuerySet("3 vectors", several, 3, is_usual=True)]


def compute_ground_truth(items: ItemVectors, query_sets: list[QuerySet]) -> list[GroundTruth]:
    """Score every item for every query exactly, in chunks of items, and keep the tenth best."""
    faiss = load_faiss()
    queries = np.concatenate([kind.vectors for kind in query_sets])
    depth = min(RECALL_DEPTH, items.shape[0])
    scores = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for start in range(0, items.shape[0], _CHUNK_ROWS):
        chunk = items[start : start + _CHUNK_ROWS]
        near, at = faiss.knn(
            queries, chunk, min(depth, len(chunk)), metric=faiss.METRIC_INNER_PRODUCT
        )
        scores, rows = np.hstack([scores, near]), np.hstack([rows, at + start])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        scores = np.take_along_axis(scores, order, 1)
        rows = np.take_along_axis(rows, order, 1)
    return _build_ground_truths(query_sets, scores, rows, depth)


def measure_recall(index: VectorIndex, items: ItemVectors, truth: GroundTruth) -> float:
    """Return the share of the ten best rows that the index finds, in [0, 1].

    A row whose score equals that of the tenth counts as one of them.
    """
    return _compute_recall(items, truth, index.search(truth.query_set.vectors, RECALL_DEPTH))


def measure_filtered_recall(
    index: VectorIndex, query_set: QuerySet, allowed: Mask, results: list[TopRows]
) -> float:
    """Return the share of the ten best allowed rows that are in `results`, in [0, 1]."""
    rows = np.flatnonzero(allowed)
    depth = min(RECALL_DEPTH, len(rows))
    hits = 0
    # A few queries at a time: for all of them the scores of half a million rows are 300 MB.
    for start in range(0, len(results), _SCORE_BATCH):
        exact = index.compute_scores(query_set.vectors[start : start + _SCORE_BATCH], rows)
        exact.partition(len(rows) - depth, axis=1)
        kth_scores = exact[:, len(rows) - depth] - _SCORE_TOLERANCE
        for top, kth_score in zip(results[start : start + _SCORE_BATCH], kth_scores, strict=True):
            hits += int(np.count_nonzero(top.scores[:RECALL_DEPTH] >= kth_score))
    return hits / (len(results) * depth)


def _draw_weighted_means(
    items: ItemVectors,
    layout: Layout,
    weights: tuple[float, float, float],
    count: int,
    rng: np.random.Generator,
) -> Vectors:
    """Return `(count, d)` means, in turn of one item and of two to five, with weighted blocks.

    The meaning block is scaled to unit length before it is weighted; the prior block is the weight.
    """
    sizes = np.where(np.arange(count) % 2 == 0, 1, rng.integers(2, 6, count))
    picked = rng.integers(0, items.shape[0], int(sizes.sum()))
    ends = np.cumsum(sizes)
    blocks = items[np.sort(picked)][np.argsort(np.argsort(picked, kind="stable"))]
    means = np.add.reduceat(blocks, ends - sizes, axis=0) / sizes[:, None]
    out = np.zeros_like(means, dtype=np.float32)
    meaning, taste = layout.meaning, layout.meaning + layout.taste
    norms = np.linalg.norm(means[:, :meaning], axis=1, keepdims=True)
    out[:, :meaning] = weights[0] * means[:, :meaning] / np.maximum(norms, 1e-6)
    out[:, meaning:taste] = weights[1] * means[:, meaning:taste]
    out[:, taste : taste + layout.prior] = weights[2]
    return out


def _build_ground_truths(
    query_sets: list[QuerySet], scores: Vectors, rows: Rows, depth: int
) -> list[GroundTruth]:
    ground_truths, start = [], 0
    for kind in query_sets:
        stop = start + len(kind.vectors)
        kth_scores = [
            _compute_kth_score(
                scores[position : position + kind.vectors_per_query],
                rows[position : position + kind.vectors_per_query],
                depth,
            )
            for position in range(start, stop, kind.vectors_per_query)
        ]
        ground_truths.append(GroundTruth(kind, np.array(kth_scores, np.float32)))
        start = stop
    return ground_truths


def _compute_kth_score(scores: Vectors, rows: Rows, depth: int) -> float:
    """Return the score of the k-th best row, where a row has the best of its scores."""
    order = np.argsort(-scores, axis=None)
    _, first = np.unique(rows.ravel()[order], return_index=True)
    return float(np.sort(-scores.ravel()[order][first])[depth - 1] * -1)


def _compute_recall(items: ItemVectors, truth: GroundTruth, results: list[TopRows]) -> float:
    """Return the share of the ten best rows in `results`, which has one entry for each vector."""
    per_query = truth.query_set.vectors_per_query
    depth = min(RECALL_DEPTH, items.shape[0])
    rows = [
        np.unique(np.concatenate([top.rows for top in results[start : start + per_query]]))
        for start in range(0, len(results), per_query)
    ]
    distinct = np.unique(np.concatenate(rows))
    vectors = items[distinct]
    hits = 0
    for position, found_rows in enumerate(rows):
        queries = truth.query_set.vectors[position * per_query : (position + 1) * per_query]
        scores = (queries @ vectors[np.searchsorted(distinct, found_rows)].T).max(axis=0)
        hits += min(
            depth, int(np.count_nonzero(scores >= truth.kth_scores[position] - _SCORE_TOLERANCE))
        )
    return hits / (depth * len(rows))
