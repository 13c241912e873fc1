"""A catalogue and its interactions to figures: how well a method ranks what was picked next.

In: interactions cut by time, this recommender and its peers.
Out: NDCG, recall, MRR and coverage with intervals over users; a page of them.
"""

from indexer.evaluation.answers import Asked, ask
from indexer.evaluation.cases import MOST_CASES, Cases, cases_of
from indexer.evaluation.interaction_log import Log, Part, log_of
from indexer.evaluation.page import evaluation_page, note, page, section, table
from indexer.evaluation.peers.item_item import ItemKnn
from indexer.evaluation.peers.popularity import POPULAR, POPULAR_RECENT
from indexer.evaluation.peers.protocol import FOREVER, POSITIVE, Lesson
from indexer.evaluation.peers.registry import names_of
from indexer.evaluation.report import Top, as_text, figures_by_slice, slices_of
from indexer.evaluation.run import Plan, evaluate
from indexer.evaluation.svg import Bar, bars, lines
from indexer.evaluation.tuning import Judged, judged
from indexer.evaluation.workspace import (
    LATER_KNOWLEDGE,
    borrow_vectors,
    read_log_rows,
    write_catalogue,
    write_rows,
)

__all__ = [
    "FOREVER",
    "LATER_KNOWLEDGE",
    "MOST_CASES",
    "POPULAR",
    "POPULAR_RECENT",
    "POSITIVE",
    "Asked",
    "Bar",
    "Cases",
    "ItemKnn",
    "Judged",
    "Lesson",
    "Log",
    "Part",
    "Plan",
    "Top",
    "as_text",
    "ask",
    "bars",
    "borrow_vectors",
    "cases_of",
    "evaluate",
    "evaluation_page",
    "figures_by_slice",
    "judged",
    "lines",
    "log_of",
    "names_of",
    "note",
    "page",
    "read_log_rows",
    "section",
    "slices_of",
    "table",
    "write_catalogue",
    "write_rows",
]
