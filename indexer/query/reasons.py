"""Shares of a score and additive terms to the list of reasons that an answer shows. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.query.inputs import QueryInput

_MAX_OTHER_SHARE = 0.1  # of the sum of absolute shares; what the smallest reasons may sum up to
_MAX_REASONS = 12  # more do not help a person, and make most of an answer's size


def build_reasons(
    inputs: Sequence[QueryInput],
    shares: NDArray[np.float64],
    term_reasons: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Return inputs and terms with their shares, largest absolute share first.

    Beyond `_MAX_REASONS`, the smallest are summed into one reason of kind `other`, as long as their
    absolute shares make up at most a tenth of the whole; the sum of all shares does not change.

    Args:
        inputs: The m inputs.
        shares: `(m,) float64`, from `QueryVectors.split_scores`; inputs with share 0 are left out.
        term_reasons: Reasons of additive terms, each with its `share`.
    """
    values = [*shares.tolist(), *(term["share"] for term in term_reasons)]
    sizes = [*map(abs, values)]
    used = filter(sizes.__getitem__, range(len(sizes)))
    order = sorted(used, key=sizes.__getitem__, reverse=True)
    kept = len(order)
    if kept > _MAX_REASONS:
        smallest = [*accumulate(sizes[place] for place in reversed(order))]
        small_count = bisect_right(smallest, _MAX_OTHER_SHARE * smallest[-1])
        kept = max(_MAX_REASONS, kept - small_count)
    reasons = [
        {
            **(inputs[p].reason if p < len(inputs) else term_reasons[p - len(inputs)]),
            "share": values[p],
        }
        for p in order[:kept]
    ]
    if kept < len(order):
        other = sum(values[place] for place in order[kept:])
        reasons.append({"kind": "other", "share": other})
    return reasons
