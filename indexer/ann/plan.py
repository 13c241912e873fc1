"""What was asked for, how many rows, how wide: the index to build. Pure."""

from dataclasses import dataclass

from indexer.ann.faiss_searcher import load_faiss
from indexer.errors import CatalogError

INDEX_KINDS = ("auto", "flat", "hnsw", "ivf")
# A flat scan reads all of it for every request: 50,000 rows of 392 numbers, 5 to 15 ms.
MAX_FLAT_BYTES = 80_000_000
_MIN_TRAINED_ROWS = 1_000
_ROWS_PER_LIST = 39  # fewer and FAISS warns that its lists are poorly trained
_MAX_LISTS = 4_096
_REFINE_SUFFIX = ",Refine(SQfp16)"
_DIMS_PER_CODE = 3  # of 4 bits; 4 numbers need four times as many candidates, 2 a longer scan


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """An index to build.

    Attributes:
        kind: flat, pq, ivf, hnsw or custom.
        factory: FAISS factory string.
        note: Why it is not what was asked for; empty if it is.
    """

    kind: str
    factory: str
    note: str = ""


def check_index_name(kind_or_factory: str) -> None:
    """Refuse what is neither a kind nor a FAISS factory string.

    Raises:
        CatalogError: If it is neither, or would not use the inner product.
    """
    if kind_or_factory in INDEX_KINDS:
        return
    faiss = load_faiss()
    try:  # the width is not known yet, so only what is wrong at any width is refused
        faiss.index_factory(1_920, kind_or_factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        if "could not parse" in str(error) or "not parse" in str(error):
            raise CatalogError(
                f"unknown index {kind_or_factory!r}; use {', '.join(INDEX_KINDS)} or a FAISS factory string "
                f"such as IVF512,PQ96x4fs,Refine(SQfp16)"
            ) from error


def plan_index(kind_or_factory: str, count: int, dim: int) -> IndexPlan:
    """Choose an index for `count` vectors of `dim` numbers, a multiple of 8."""
    if kind_or_factory == "auto":
        kind_or_factory = "flat" if 4 * count * dim <= MAX_FLAT_BYTES else "pq"
    if kind_or_factory not in ("flat", "hnsw") and count < _MIN_TRAINED_ROWS:
        return plan_flat(
            f"{count} rows are too few to train {kind_or_factory}; they are scanned exactly"
        )
    match kind_or_factory:
        case "flat" | "Flat":
            return plan_flat()
        case "pq":
            codes = -(-dim // _DIMS_PER_CODE)
            padded = codes * _DIMS_PER_CODE
            pad = f"Pad{padded}," if padded > dim else ""
            return IndexPlan("pq", f"{pad}PQ{codes}x4fs{_REFINE_SUFFIX}")
        case "hnsw":
            return IndexPlan("hnsw", "HNSW32_SQfp16")
        case "ivf":
            return IndexPlan(
                "ivf", f"IVF{_choose_list_count(count)},PQ{dim // 2}x4fsr{_REFINE_SUFFIX}"
            )
    return IndexPlan("custom", kind_or_factory)


def plan_flat(note: str = "") -> IndexPlan:
    """The plan that is always exact."""
    return IndexPlan("flat", "Flat", note)


def add_refinement(plan: IndexPlan) -> IndexPlan:
    """The same with stored vectors that can be read in place."""
    return IndexPlan(plan.kind, plan.factory + _REFINE_SUFFIX, plan.note)


def _choose_list_count(count: int) -> int:
    """A power of two near half the square root, with enough rows to train each."""
    lists = 1
    while 2 * lists <= min(0.65 * count**0.5, count / _ROWS_PER_LIST, _MAX_LISTS):
        lists *= 2
    return lists
