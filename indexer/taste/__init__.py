"""Interactions to learned blocks, and a user's past to what each entry of it counts."""

from indexer.taste.events import Events, events_of
from indexer.taste.fit import fit_taste
from indexer.taste.history import NamedWeights, Past, PastItem, past_of
from indexer.taste.model import Addends, TasteModel
from indexer.taste.settings import TasteSettings

__all__ = [
    "Addends",
    "Events",
    "NamedWeights",
    "Past",
    "PastItem",
    "TasteModel",
    "TasteSettings",
    "events_of",
    "fit_taste",
    "past_of",
]
