"""Items and queries to text, and text to vectors.

In: fields of items, texts of requests, the name or directory of a language model.
Out: raw vectors `(n, r) float32`, and the `MeaningSpace` that centres and whitens them.
"""

from indexer.language.bundled_models import DEFAULT_MODEL, ensure_checkpoint
from indexer.language.encoder import Encoder, TextEncoder, load_encoder
from indexer.language.encoder_background import Background, MeasuredBackground, load_background
from indexer.language.encoder_check import check_encoder
from indexer.language.encoder_identity import LazyEncoder, compute_model_stamp
from indexer.language.fingerprint import MIN_PROBE_COSINE, PROBE_TEXT, TUNED_SUFFIX, Fingerprint
from indexer.language.item_text import TEXT_VERSION, describe_item, find_title, is_chinese
from indexer.language.model_loading import is_path
from indexer.language.next_item_examples import HISTORY_ITEMS, NO_ITEM, NextItemExamples
from indexer.language.text_budget import QueryEncoder, QueryStore, limit_new_tokens, use_query_store
from indexer.language.text_cost import estimate_tokens, estimate_total_tokens, split_by_cost
from indexer.language.tuned_layer import tune_layer
from indexer.language.vector_cache import VectorCache, hash_text
from indexer.language.whitening import (
    SPACE_FILE,
    MeaningSpace,
    Moments,
    build_identity_space,
    fit_meaning_space,
    iter_chunks,
)

__all__ = [
    "DEFAULT_MODEL",
    "HISTORY_ITEMS",
    "MIN_PROBE_COSINE",
    "NO_ITEM",
    "PROBE_TEXT",
    "SPACE_FILE",
    "TEXT_VERSION",
    "TUNED_SUFFIX",
    "Background",
    "Encoder",
    "Fingerprint",
    "LazyEncoder",
    "MeaningSpace",
    "MeasuredBackground",
    "Moments",
    "NextItemExamples",
    "QueryEncoder",
    "QueryStore",
    "TextEncoder",
    "VectorCache",
    "build_identity_space",
    "check_encoder",
    "compute_model_stamp",
    "describe_item",
    "ensure_checkpoint",
    "estimate_tokens",
    "estimate_total_tokens",
    "find_title",
    "fit_meaning_space",
    "hash_text",
    "is_chinese",
    "is_path",
    "iter_chunks",
    "limit_new_tokens",
    "load_background",
    "load_encoder",
    "split_by_cost",
    "tune_layer",
    "use_query_store",
]
