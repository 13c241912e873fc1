"""Text to vectors: how an item is described, and the encoder that reads it.

In: fields of items, texts of requests, the name or directory of a language model.
Out: raw vectors `(n, r) float32`, and the `MeaningSpace` that centres and whitens them.
"""

from indexer.language.bundled_models import DEFAULT_MODEL
from indexer.language.encoder import Encoder, LanguageModel, is_path, load_encoder
from indexer.language.encoder_identity import KnownModel, model_stamp
from indexer.language.fingerprint import MIN_PROBE_COSINE, PROBE_TEXT, TUNED_MARK, Fingerprint
from indexer.language.item_text import TEXT_VERSION, describe, is_chinese, title_of
from indexer.language.sequels import NONE, PAST_ITEMS, Sequels
from indexer.language.tuned_layer import tune_layer
from indexer.language.vector_cache import VectorCache, text_hash
from indexer.language.whitening import (
    Background,
    MeaningSpace,
    Moments,
    background_of,
    chunks,
    fit_meaning_space,
    identity_space,
)

__all__ = [
    "DEFAULT_MODEL",
    "MIN_PROBE_COSINE",
    "NONE",
    "PAST_ITEMS",
    "PROBE_TEXT",
    "TEXT_VERSION",
    "TUNED_MARK",
    "Background",
    "Encoder",
    "Fingerprint",
    "KnownModel",
    "LanguageModel",
    "MeaningSpace",
    "Moments",
    "Sequels",
    "VectorCache",
    "background_of",
    "chunks",
    "describe",
    "fit_meaning_space",
    "identity_space",
    "is_chinese",
    "is_path",
    "load_encoder",
    "model_stamp",
    "text_hash",
    "title_of",
    "tune_layer",
]
