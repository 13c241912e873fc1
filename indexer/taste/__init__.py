"""Interactions to learned blocks, and a user's past to what each entry of it counts.

In: `Interaction` rows and the meaning vectors of the items, `(n, d) float32`.
Out: a `TasteModel`: source and target vectors, priors, neighbours, settings.
"""

from indexer.taste.cases import WINDOW_SHARE, repeat_share, windows_of
from indexer.taste.events import Events, events_of
from indexer.taste.fit import REPEAT_SHARE, WINDOWS, fit_blocks, fit_taste, refit_taste
from indexer.taste.history import (
    NamedWeights,
    Past,
    PastItem,
    certainty,
    entry_weights,
    leaning,
    past_of,
    repeat_weights,
    weightiest,
)
from indexer.taste.matrices import Matrix, from_coordinates
from indexer.taste.model import TasteModel, settings_in
from indexer.taste.next_item_examples import sequels_of
from indexer.taste.scorer import Scorer
from indexer.taste.settings import TasteSettings
from indexer.taste.tuning import MIN_CASES, STANDARD_ERRORS, standard_error

__all__ = [
    "MIN_CASES",
    "REPEAT_SHARE",
    "STANDARD_ERRORS",
    "WINDOWS",
    "WINDOW_SHARE",
    "Events",
    "Matrix",
    "NamedWeights",
    "Past",
    "PastItem",
    "Scorer",
    "TasteModel",
    "TasteSettings",
    "certainty",
    "entry_weights",
    "events_of",
    "fit_blocks",
    "fit_taste",
    "from_coordinates",
    "leaning",
    "past_of",
    "refit_taste",
    "repeat_share",
    "repeat_weights",
    "sequels_of",
    "settings_in",
    "standard_error",
    "weightiest",
    "windows_of",
]
