"""Shares of a score and additive terms to the list of reasons that an answer shows. Pure."""

from collections.abc import Mapping, Sequence
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
    parts = [(float(shares[p]), inputs[p].reason) for p in np.flatnonzero(shares).tolist()]
    parts += [(term["share"], term) for term in term_reasons]
    parts.sort(key=_get_size, reverse=True)
    kept = len(parts)
    rest = 0.0
    if kept > _MAX_REASONS:
        limit = _MAX_OTHER_SHARE * sum(abs(share) for share, _ in parts)
        while kept > _MAX_REASONS and rest + abs(parts[kept - 1][0]) <= limit:
            kept -= 1
            rest += abs(parts[kept][0])
    reasons = [{**reason, "share": share} for share, reason in parts[:kept]]
    if kept < len(parts):
        other = sum(share for share, _ in parts[kept:])
        reasons.append({"kind": "other", "share": other})
    return reasons


def _get_size(part: tuple[float, Mapping[str, Any]]) -> float:
    return abs(part[0])
