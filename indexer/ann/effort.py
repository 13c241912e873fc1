"""A measure of recall to the least effort that holds it, for any kind of index. Pure."""

from collections.abc import Callable
from dataclasses import replace

from indexer.ann.faiss_searcher import Effort

# Candidates scored exactly for each row asked for, and the queue of a graph search.
_EFFORT_STEPS = (
    (3, 32), (5, 48), (10, 64), (15, 96), (20, 128), (30, 192), (45, 256), (60, 384), (90, 512),
    (130, 768), (200, 1_024), (300, 1_536),
)  # fmt: skip
_EFFORT_FACTORS = (1.0, 1.3, 1.7)
_NPROBE_SHARES = (1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 1)


def find_least_effort(
    measure_recall: Callable[[Effort], float],
    list_count: int,
    min_recall: float,
    *,
    known_effort: Effort | None = None,
) -> Effort:
    """Return the least effort whose recall is enough, or the most there is.

    Inverted lists lose rows in two ways. With all of them visited only the codes do: that tells
    how many candidates are enough; one step more leaves room for lists that are not visited.

    Args:
        measure_recall: Measures an effort, in [0, 1]; what is returned has been measured.
        list_count: Inverted lists of the index; 0: it has none.
        min_recall: The recall that is enough.
        known_effort: Is taken, or a little more of it, if that holds, although less might.
    """
    if known_effort is not None:
        more = (known_effort.scale_by(factor) for factor in _EFFORT_FACTORS)
        # What the index does not have must not grow: it would tell of effort that is none.
        more = (replace(effort, nprobe=min(effort.nprobe, max(1, list_count))) for effort in more)
        held = next((effort for effort in more if measure_recall(effort) >= min_recall), None)
        if held is not None:
            return held
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
    # More candidates may find less: a search that ends in a tie is repeated, much wider.
    return next(
        (effort for effort in fewer if measure_recall(effort) >= min_recall),
        steps[first_sufficient],
    )


def _list_nprobes(list_count: int) -> list[int]:
    """How many lists to visit, from few to all, each number once."""
    return sorted({max(1, round(list_count * share)) for share in _NPROBE_SHARES})
