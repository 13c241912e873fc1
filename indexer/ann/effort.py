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
    recall: Callable[[Effort], float], lists: int, wanted: float, *, known: Effort | None = None
) -> Effort:
    """Return the least effort whose recall is enough, or the most there is.

    Inverted lists lose rows in two ways. With all of them visited only the codes do: that tells
    how many candidates are enough; one step more leaves room for lists that are not visited.

    Args:
        recall: Measures an effort, in [0, 1]; what is returned has been measured.
        lists: Inverted lists of the index; 0: it has none.
        wanted: The recall that is enough.
        known: Is taken, or a little more of it, if that holds, although less might.
    """
    if known is not None:
        more = (known.scale_by(factor) for factor in _EFFORT_FACTORS)
        # What the index does not have must not grow: it would tell of effort that is none.
        more = (replace(effort, nprobe=min(effort.nprobe, max(1, lists))) for effort in more)
        held = next((effort for effort in more if recall(effort) >= wanted), None)
        if held is not None:
            return held
    steps = [Effort(float(factor), max(1, lists), queue) for factor, queue in _EFFORT_STEPS]
    enough = next((n for n, step in enumerate(steps) if recall(step) >= wanted), None)
    if enough is None:
        return steps[-1]
    if not lists:
        return steps[enough]
    roomy = steps[min(enough + 1, len(steps) - 1)]
    fewer = (replace(roomy, nprobe=nprobe) for nprobe in _list_nprobes(lists))
    # More candidates may find less: a search that ends in a tie is repeated, much wider.
    return next((effort for effort in fewer if recall(effort) >= wanted), steps[enough])


def _list_nprobes(lists: int) -> list[int]:
    """How many lists to visit, from few to all, each number once."""
    return sorted({max(1, round(lists * share)) for share in _NPROBE_SHARES})
