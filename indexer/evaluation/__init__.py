"""A catalogue and its interactions to metrics: how well a method ranks the item picked next.

In: interactions, which are cut by time; this recommender and its peers.
Out: NDCG, recall, MRR and coverage with intervals over users, as JSON, text or an HTML page.
"""

from indexer.evaluation.answers import IndexAnswers, ask_index
from indexer.evaluation.cases import MAX_CASES, Cases, build_cases
from indexer.evaluation.interaction_log import InteractionLog, Part, build_log
from indexer.evaluation.measurement import TopItems
from indexer.evaluation.page import (
    render_evaluation_page,
    render_note,
    render_page,
    render_section,
    render_table,
)
from indexer.evaluation.peers.item_item import ItemKnn
from indexer.evaluation.peers.popularity import POPULAR, POPULAR_RECENT
from indexer.evaluation.peers.protocol import NO_DECAY, POSITIVE_EVENTS, TrainingData
from indexer.evaluation.peers.registry import parse_peer_names
from indexer.evaluation.report import (
    SLICE_TITLES,
    build_slices,
    compute_metrics_by_slice,
    render_text,
)
from indexer.evaluation.run import EvaluationPlan, evaluate
from indexer.evaluation.svg import Bar, draw_bars, draw_lines
from indexer.evaluation.tuning import PeerAnswers, ask_peer
from indexer.evaluation.workspace import (
    LEAKING_FIELDS,
    LogRows,
    link_vectors,
    read_log_rows,
    write_catalogue,
    write_rows,
)

__all__ = [
    "LEAKING_FIELDS",
    "MAX_CASES",
    "NO_DECAY",
    "POPULAR",
    "POPULAR_RECENT",
    "POSITIVE_EVENTS",
    "SLICE_TITLES",
    "Bar",
    "Cases",
    "EvaluationPlan",
    "IndexAnswers",
    "InteractionLog",
    "ItemKnn",
    "LogRows",
    "Part",
    "PeerAnswers",
    "TopItems",
    "TrainingData",
    "ask_index",
    "ask_peer",
    "build_cases",
    "build_log",
    "build_slices",
    "compute_metrics_by_slice",
    "draw_bars",
    "draw_lines",
    "evaluate",
    "link_vectors",
    "parse_peer_names",
    "read_log_rows",
    "render_evaluation_page",
    "render_note",
    "render_page",
    "render_section",
    "render_table",
    "render_text",
    "write_catalogue",
    "write_rows",
]
