"""Weighted inputs and their vectors to query vectors, and a score back to one share an input. Pure.

A query vector is a weighted sum of the input vectors, so its inner product with an item splits
exactly into one share for each input; the shares are the reasons of the answer.

The profile (history and interests) is the weighted sum of what is liked, minus what is disliked, as
in relevance feedback (Rocchio 1971), scaled to unit length: removing one of its inputs changes its
own share and rescales those of the others. What is disliked says what not to show, and little of
what to show instead: a profile of more dislikes than likes is shorter. Query, context and prior are
added with constant weights: removing one of them changes a score by exactly its share.

There are several query vectors, the profile, one for each recent item, and one without the newest
item if that opposes the rest; the score of an item is its largest inner product with one of them.
A profile of several interests has these for each, of its own inputs: those of the others have no
share in a score that it won.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.query.inputs import InputColumns, QueryInput
from indexer.request import Scenario, Weights
from indexer.taste import PROFILE_SHARE, compute_shrinkage_factor

DISLIKES_LENGTH = 0.25  # of a profile of dislikes alone; of likes alone it is 1
_TINY = 1e-9


@dataclass(frozen=True)
class QueryVectors:
    """q query vectors as weighted sums of m inputs.

    Attributes:
        inputs: The m inputs.
        input_vectors: `(m, d) float32`, the vector of each input in the item space.
        coefficients: `(q, m) float32`, the weight of each input in each query vector.
        taste_vectors: `(m, d) float32`, what each input adds to every query vector through the
            learned taste block or a learned context direction, already weighted; None if none does.
    """

    inputs: tuple[QueryInput, ...]
    input_vectors: Vectors
    coefficients: Vectors
    taste_vectors: Vectors | None = None

    @cached_property
    def vectors(self) -> Vectors:
        """The query vectors, `(q, d) float32`, not of unit length."""
        product: Vectors = self.coefficients @ self.input_vectors
        if self.taste_vectors is not None:
            product += self.taste_vectors.sum(axis=0)
        return product

    def split_scores(self, items: Vectors, winners: NDArray[np.int64]) -> NDArray[np.float64]:
        """Split the scores of h items into shares.

        Args:
            items: `(h, d) float32`, the stored vectors of the items.
            winners: `(h,)`, index of the query vector that scores each of them.

        Returns:
            `(h, m) float64`, the share of each input; those of an item sum to its inner product.
        """
        wide = items.astype(np.float64)
        parts: NDArray[np.float64] = wide @ self.input_vectors.T.astype(np.float64)
        parts *= self.coefficients[winners]
        if self.taste_vectors is not None:
            parts += wide @ self.taste_vectors.T.astype(np.float64)
        return parts


def build_query_vectors(
    inputs: Sequence[QueryInput],
    input_vectors: Vectors,
    *,
    scenario: Scenario,
    weights: Weights,
    history_clusters: Sequence[NDArray[np.float32]] = (),
    shrinkage: float = 0.0,
) -> QueryVectors:
    """Return the query vectors of one profile, and one for each cluster of its history.

    Args:
        inputs: The m inputs, history in time order.
        input_vectors: `(m, d) float32`, unit length, from `build_input_vectors`.
        scenario: How many recent items get a vector of their own.
        weights: Of the blocks.
        history_clusters: Weights of the inputs in each cluster, each `(m,)`.
        shrinkage: See `compute_profile_coefficients`; vectors of clusters are not shrunk.
    """
    columns = InputColumns.build(inputs)
    coefficients, _ = compute_profile_coefficients(
        columns, input_vectors, scenario, shrinkage=shrinkage
    )
    older = _drop_unrelated_newest(columns, input_vectors)
    if older is not None:
        length = np.linalg.norm(coefficients[0] @ input_vectors)
        coefficients = np.concatenate([coefficients, length * _to_unit(older[None], input_vectors)])
    if history_clusters:
        of_clusters = _to_unit(np.stack(history_clusters), input_vectors)
        coefficients = np.concatenate([coefficients, of_clusters])
    return QueryVectors(
        tuple(inputs), input_vectors, combine_coefficients(columns, coefficients, weights)
    )


def compute_profile_coefficients(
    columns: InputColumns,
    input_vectors: Vectors,
    scenario: Scenario,
    members: NDArray[np.bool_] | None = None,
    *,
    shrinkage: float = 0.0,
) -> tuple[Vectors, NDArray[np.int64]]:
    """Return the coefficients of whole profiles, each followed by those of its recent liked items.

    The vector of a recent item is a mix of the profile and that item.

    Args:
        columns: Of the m inputs, history in time order.
        input_vectors: `(m, d) float32`, their vectors.
        scenario: How many recent items get a vector of their own.
        members: `(w, m) bool`, the inputs of each of w interest clusters; None: one profile of all.
        shrinkage: The vectors get the length `w / (w + shrinkage)`, where w is the absolute weight
            of the whole profile, whatever `members`.

    Returns:
        `(q, m) float32`, and the profile that each belongs to, `(q,)`, ascending from 0.
    """
    weights = np.where(columns.is_profile, columns.weights, 0).astype(np.float32)
    profiles = weights[None] if members is None else np.where(members, weights, np.float32(0))
    wholes = _to_unit(profiles, input_vectors)
    wholes *= _compute_lengths(profiles)[:, None]
    recent = [
        (number, position)
        for number, profile in enumerate(profiles)
        if scenario.recent_vectors and np.count_nonzero(profile) > 1
        for position in np.flatnonzero((profile > 0) & columns.is_item)[-scenario.recent_vectors :]
    ]
    numbers, positions = np.array(recent, np.int64).reshape(-1, 2).T
    mixes = np.float32(PROFILE_SHARE) * wholes[numbers]
    mixes[np.arange(len(mixes)), positions] += np.float32(1 - PROFILE_SHARE)
    owners = np.concatenate([np.arange(len(wholes)), numbers])
    order = np.argsort(owners, kind="stable")
    coefficients = np.concatenate([wholes, _to_unit(mixes, input_vectors)])[order]
    if shrinkage:
        # Dislikes are evidence too: without their absolute weight, a history of dislikes alone
        # would have length 0 and push nothing away.
        coefficients *= compute_shrinkage_factor(float(np.abs(weights).sum()), shrinkage)
    return coefficients, owners[order]


def combine_coefficients(columns: InputColumns, profiles: Vectors, weights: Weights) -> Vectors:
    """Add the constant inputs to each profile and apply the block weights, `(q, m) float32`.

    Args:
        columns: Of the m inputs; the weights of the profile are not read.
        profiles: `(q, m) float32`, from `compute_profile_coefficients`.
        weights: Of the blocks.
    """
    constant = np.where(columns.is_profile, 0, columns.weights).astype(np.float32)
    block = np.where(columns.is_prior, weights.prior, weights.meaning).astype(np.float32)
    coefficients: Vectors = (profiles + constant) * block
    return coefficients


def build_example_vectors(
    inputs: Sequence[QueryInput], input_vectors: Vectors, *, weights: Weights
) -> QueryVectors:
    """Return the weighted mean of examples as one query vector.

    Weights are divided by the sum of their absolute values. So, without negative examples, an item
    that is nearly equal to all of them scores about 1.
    """
    input_weights = np.array([query_input.weight for query_input in inputs], np.float32)
    share = input_weights * np.float32(
        weights.meaning / max(float(np.abs(input_weights).sum()), _TINY)
    )
    return QueryVectors(tuple(inputs), input_vectors, share[np.newaxis, :])


def _drop_unrelated_newest(columns: InputColumns, input_vectors: Vectors) -> Vectors | None:
    """Return the weights of the profile without its newest item, `(m,)`, if the rest opposes it.

    Without a vector of the rest alone, one event that has nothing to do with a long history would
    take half of what it recommends.
    """
    liked = columns.find_liked_items(len(columns.weights))
    if len(liked) < 2:
        return None
    older = np.where(columns.is_profile, columns.weights, 0).astype(np.float32)
    older[liked[-1]] = 0
    if float(input_vectors[liked[-1]] @ (older @ input_vectors)) >= 0:
        return None
    return older


def _compute_lengths(profiles: Vectors) -> Vectors:
    """Return the length of each of p profiles, `(p,) float32`, by its weights, `(p, m)`.

    It is 1 unless what is disliked weighs more than what is liked.
    """
    liked = np.maximum(profiles, 0).sum(axis=1)
    disliked = np.maximum(-profiles, 0).sum(axis=1)
    share = np.minimum(liked / np.maximum(disliked, np.float32(_TINY)), 1)
    lengths: Vectors = (DISLIKES_LENGTH + (1 - DISLIKES_LENGTH) * share).astype(np.float32)
    return lengths


def _to_unit(coefficients: Vectors, input_vectors: Vectors) -> Vectors:
    """Scale p rows of coefficients, `(p, m)`, so that each vector has length 1.

    It is shorter if likes and dislikes cancel: what is left is mostly noise, so the divisor is
    never less than half of the largest absolute coefficient.
    """
    lengths = np.linalg.norm(coefficients @ input_vectors, axis=1)
    floors = np.abs(coefficients).max(axis=1, initial=0.0) / 2
    divisors = np.maximum(np.maximum(lengths, floors), np.float32(_TINY))
    scaled: Vectors = coefficients / divisors[:, None]
    return scaled
