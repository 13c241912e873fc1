"""A recall measurement to the least search effort that reaches a recall. Pure."""

from collections.abc import Callable
from dataclasses import replace

from indexer.ann.faiss_searcher import Effort

# `Effort.k_factor` and `Effort.ef` of each step.
_EFFORT_STEPS = (
    (3, 32), (5, 48), (10, 64), (15, 96), (20, 128), (30, 192), (45, 256), (60, 384), (90, 512),
    (130, 768), (200, 1_024), (300, 1_536),
)  # fmt: skip
_EFFORT_FACTORS = (1.0, 1.3, 1.7)
_NPROBE_SHARES = (
    1 / 128,
    1 / 64,
    3 / 128,
    1 / 32,
    3 / 64,
    1 / 16,
    1 / 8,
    3 / 16,
    1 / 4,
    3 / 8,
    1 / 2,
    5 / 8,
    3 / 4,
    1,
)


def find_least_effort(
    measure_recall: Callable[[Effort], float],
    list_count: int,
    min_recall: float,
    *,
    known_effort: Effort | None = None,
) -> Effort:
    """Return the least effort that reaches a recall, or the greatest effort if none does.

    An index with inverted lists misses rows for two reasons: their codes are inexact, or their
    list is not visited. Measured with all lists visited, only the codes matter, which gives the
    number of candidates; one step more leaves room for the lists that are then not visited.

    Args:
        measure_recall: Effort to recall in [0, 1]; the effort returned has been measured.
        list_count: Number of inverted lists of the index; 0 if it has none.
        min_recall: The recall to reach.
        known_effort: Returned, or up to 1.7 times it, if that reaches the recall, although less
            effort might.
    """
    if known_effort is not None:
        more = (known_effort.scale_by(factor) for factor in _EFFORT_FACTORS)
        # More lists than the index has would count as more effort without being any.
        more = (replace(effort, nprobe=min(effort.nprobe, max(1, list_count))) for effort in more)
        sufficient = next((effort for effort in more if measure_recall(effort) >= min_recall), None)
        if sufficient is not None:
            return sufficient
    steps = [Effort(float(factor), max(1, list_count), queue) for factor, queue in _EFFORT_STEPS]
    first_sufficient = next(
        (n for n, step in enumerate(steps) if measure_recall(step) >= min_recall), None
    )
    if first_sufficient is None:
        return steps[-1]
    if not list_count:
        return steps[first_sufficient]
    roomy = steps[min(first_sufficient + 1, len(steps) - 1)]
    fewer = (replace(roomy, nprobe=nprobe) for nprobe in _list_nprobes(list_count))
    # Recall need not grow with the candidates: a search that ends in a tie is repeated with more.
    return next(
        (effort for effort in fewer if measure_recall(effort) >= min_recall),
        steps[first_sufficient],
    )


def _list_nprobes(list_count: int) -> list[int]:
    """Return the numbers of lists to try, ascending, up to all of them."""
    return sorted({max(1, round(list_count * share)) for share in _NPROBE_SHARES})
