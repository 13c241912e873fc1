"""Interactions to a model of taste, and a user's history to the weights of its entries.

In: `Interaction` rows and the meaning vectors of the items, `(n, d) float32`.
Out: a `TasteModel`: taste vectors, popularity prior, item-item neighbours, learned settings.
"""

from indexer.taste.cases import (
    WINDOW_SHARE,
    HoldoutCases,
    Window,
    compute_repeat_share,
    split_windows,
)
from indexer.taste.catalogue_ranking import compute_ranks
from indexer.taste.encoder_examples import build_next_item_examples
from indexer.taste.event_scale import judge_events, mark_undone
from indexer.taste.events import Events, build_events
from indexer.taste.fit import (
    MIN_REPEAT_SHARE,
    WINDOW_COUNT,
    confirm_taste,
    fit_blocks,
    fit_taste,
    refit_taste,
)
from indexer.taste.history import (
    History,
    HistoryItem,
    ScoreTermWeights,
    build_history,
    compute_entry_weights,
    compute_popularity_affinity,
    compute_repeat_weights,
    compute_shrinkage_factor,
    keep_heaviest,
)
from indexer.taste.holdout_evaluation import STANDARD_ERRORS, compute_standard_error
from indexer.taste.matrices import Matrix, build_matrix_from_coordinates
from indexer.taste.model import TasteModel, load_settings, parse_settings_without_newest
from indexer.taste.model_scorer import rank_cases
from indexer.taste.scorer import Scorer
from indexer.taste.settings import PROFILE_SHARE, TasteSettings
from indexer.taste.tuning import MIN_CASES

__all__ = [
    "MIN_CASES",
    "MIN_REPEAT_SHARE",
    "PROFILE_SHARE",
    "STANDARD_ERRORS",
    "WINDOW_COUNT",
    "WINDOW_SHARE",
    "Events",
    "History",
    "HistoryItem",
    "HoldoutCases",
    "Matrix",
    "ScoreTermWeights",
    "Scorer",
    "TasteModel",
    "TasteSettings",
    "Window",
    "build_events",
    "build_history",
    "build_matrix_from_coordinates",
    "build_next_item_examples",
    "compute_entry_weights",
    "compute_popularity_affinity",
    "compute_ranks",
    "compute_repeat_share",
    "compute_repeat_weights",
    "compute_shrinkage_factor",
    "compute_standard_error",
    "confirm_taste",
    "fit_blocks",
    "fit_taste",
    "judge_events",
    "keep_heaviest",
    "load_settings",
    "mark_undone",
    "parse_settings_without_newest",
    "rank_cases",
    "refit_taste",
    "split_windows",
]
