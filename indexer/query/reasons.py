"""Shares of a score and additive terms to the list of reasons that an answer shows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.query.inputs import QueryInput

_MAX_OTHER_SHARE = 0.1  # of the sum of absolute shares; what the smallest reasons may sum up to
_MAX_REASONS = 50


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
        shares: `(m,) float64`, from `QueryVectors.split_score`; inputs with share 0 are left out.
        term_reasons: Reasons of additive terms, each with its `share`.
    """
    reasons: list[dict[str, Any]] = [
        {**query_input.reason, "share": float(share)}
        for query_input, share in zip(inputs, shares, strict=True)
        if share != 0
    ]
    reasons += [dict(term) for term in term_reasons]
    reasons.sort(key=lambda reason: -abs(reason["share"]))
    limit = _MAX_OTHER_SHARE * sum(abs(reason["share"]) for reason in reasons)
    kept = len(reasons)
    rest = 0.0
    while kept > _MAX_REASONS and rest + abs(reasons[kept - 1]["share"]) <= limit:
        kept -= 1
        rest += abs(reasons[kept]["share"])
    if kept < len(reasons):
        other = sum(reason["share"] for reason in reasons[kept:])
        return [*reasons[:kept], {"kind": "other", "share": other}]
    return reasons
