"""Index kind, number of rows and width to the FAISS index to build.

"pq" and "ivf" keep codes of 4 bits, scanned with SIMD registers as tables (André, Kermarrec & Le
Scouarnec 2015, "Cache locality is not enough"), and score the best candidates with float16 vectors.
"hnsw" is the graph of Malkov & Yashunin 2018. FAISS is loaded only to check a factory string.
"""

from dataclasses import dataclass, replace

from indexer.ann.faiss_library import load_faiss
from indexer.ann.layout import Layout
from indexer.errors import CatalogError

INDEX_KINDS = ("auto", "flat", "hnsw", "ivf")
_MIN_TRAINED_ROWS = 1_000
# Of `auto`: with fewer rows the first kind is always the faster one for a request of several
# vectors, with more the second; between them both are built and timed.
_FLAT_OR_PQ = (_MIN_TRAINED_ROWS, 4_000)
_PQ_OR_IVF = (40_000, 120_000)
ROWS_PER_LIST = 39  # with fewer, FAISS warns that too few rows train each list
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
        coded_columns: The column of the vectors, or -1 for zeros, that each number to be coded is
            taken from, where the factory string begins with "Pad"; empty: in their order.
    """

    kind: str
    factory: str
    note: str = ""
    coded_columns: tuple[int, ...] = ()


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


def list_plans(kind_or_factory: str, count: int, layout: Layout) -> list[IndexPlan]:
    """Return the indexes to build, of which the fastest is kept; several only for `auto`."""
    if kind_or_factory != "auto":
        return [plan_index(kind_or_factory, count, layout)]
    kinds = [
        *(["flat"] if count < _FLAT_OR_PQ[1] else []),
        *(["pq"] if _FLAT_OR_PQ[0] <= count < _PQ_OR_IVF[1] else []),
        *(["ivf"] if count >= _PQ_OR_IVF[0] else []),
    ]
    return [plan_index(kind, count, layout) for kind in kinds]


def plan_index(kind_or_factory: str, count: int, layout: Layout) -> IndexPlan:
    """Return the index of a kind for `count` vectors."""
    if kind_or_factory not in ("flat", "hnsw") and count < _MIN_TRAINED_ROWS:
        return plan_flat(
            f"{count} rows are too few to train {kind_or_factory}; they are scanned exactly"
        )
    match kind_or_factory:
        case "flat" | "Flat":
            return plan_flat()
        case "pq":
            return _plan_codes("pq", "", layout)
        case "hnsw":
            return IndexPlan("hnsw", "HNSW32_SQfp16")
        case "ivf":
            return _plan_codes("ivf", f"IVF{_choose_list_count(count)},", layout)
    return IndexPlan("custom", kind_or_factory)


def plan_flat(note: str = "") -> IndexPlan:
    """Return the plan of an exact index, which scans every vector."""
    return IndexPlan("flat", "Flat", note)


def add_refinement(plan: IndexPlan) -> IndexPlan:
    """Return the plan with float16 vectors stored beside the codes, for exact scores."""
    return replace(plan, factory=plan.factory + _REFINE_SUFFIX)


def _plan_codes(kind: str, lists: str, layout: Layout) -> IndexPlan:
    """Return the plan of an index of 4-bit codes, in one list or in several.

    Codes are of the vectors themselves, not of their distance from the centre of a list ("fsr"):
    then a query vector needs one table for all lists. The prior is the number that single requests
    weigh most, and shares its code with none: as the third number of a code it needed forty times
    the candidates.
    """
    blocks = [(0, layout.meaning + layout.taste), (layout.meaning + layout.taste, layout.prior)]
    columns: list[int] = []
    for first, width in blocks:
        columns += [*range(first, first + width), *[-1] * (-width % _DIMS_PER_CODE)]
    codes = -(-max(len(columns), layout.dim) // _DIMS_PER_CODE)  # FAISS pads, it does not shorten
    columns += [-1] * (_DIMS_PER_CODE * codes - len(columns))
    factory = f"Pad{len(columns)},{lists}PQ{codes}x4fs{_REFINE_SUFFIX}"
    return IndexPlan(kind, factory, coded_columns=tuple(columns))


def _choose_list_count(count: int) -> int:
    """Return the largest power of two up to 2.5 √n that leaves enough rows to train each list.

    Shorter lists are scanned in less time, but the centres of all lists are scanned too.
    """
    lists = 1
    while 2 * lists <= min(2.5 * count**0.5, count / ROWS_PER_LIST, _MAX_LISTS):
        lists *= 2
    return lists
