"""Index kind, number of rows and width to the FAISS index to build.

"pq" and "ivf" keep codes of 4 bits, scanned with SIMD registers as tables (André, Kermarrec & Le
Scouarnec 2015, "Cache locality is not enough"), and score the best candidates with float16 vectors.
"hnsw" is the graph of Malkov & Yashunin 2018. FAISS is loaded only to check a factory string.
"""

from dataclasses import dataclass

from indexer.ann.faiss_library import load_faiss
from indexer.errors import CatalogError

INDEX_KINDS = ("auto", "flat", "hnsw", "ivf")
# A flat index is read completely for every request: 50,000 rows of 392 numbers take 5 to 15 ms.
MAX_FLAT_BYTES = 80_000_000
_MIN_TRAINED_ROWS = 1_000
_ROWS_PER_LIST = 39  # with fewer, FAISS warns that too few rows train each list
_MAX_LISTS = 4_096
_REFINE_SUFFIX = ",Refine(SQfp16)"
_DIMS_PER_CODE = 3  # numbers in a 4-bit code; with 4, four times as many candidates are needed


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """An index to build.

    Attributes:
        kind: flat, pq, ivf, hnsw or custom.
        factory: FAISS factory string.
        note: Why it is not the kind that was asked for; empty if it is.
    """

    kind: str
    factory: str
    note: str = ""


def check_index_name(kind_or_factory: str) -> None:
    """Refuse text that is neither a kind of index nor a FAISS factory string.

    Raises:
        CatalogError: If FAISS cannot parse it.
    """
    if kind_or_factory in INDEX_KINDS:
        return
    faiss = load_faiss()
    try:  # the width is not known yet, so only errors of syntax are reported
        faiss.index_factory(1_920, kind_or_factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        if "could not parse" in str(error) or "not parse" in str(error):
            raise CatalogError(
                f"unknown index {kind_or_factory!r}; use {', '.join(INDEX_KINDS)} or a FAISS "
                f"factory string such as IVF512,PQ96x4fs,Refine(SQfp16)"
            ) from error


def plan_index(kind_or_factory: str, count: int, dim: int) -> IndexPlan:
    """Return the index to build for `count` vectors of `dim` numbers, a multiple of 8."""
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
    """Return the plan of an exact index, which scans every vector."""
    return IndexPlan("flat", "Flat", note)


def add_refinement(plan: IndexPlan) -> IndexPlan:
    """Return the plan with float16 vectors stored beside the codes, for exact scores."""
    return IndexPlan(plan.kind, plan.factory + _REFINE_SUFFIX, plan.note)


def _choose_list_count(count: int) -> int:
    """Return the largest power of two up to 0.65 √n that leaves enough rows to train each list."""
    lists = 1
    while 2 * lists <= min(0.65 * count**0.5, count / _ROWS_PER_LIST, _MAX_LISTS):
        lists *= 2
    return lists
