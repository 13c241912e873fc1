"""Sources, items and options of a build to two hashes, equal when nothing has changed.

The hash of the inputs needs no row to be read; the hash of the content is equal even if the same
items come in another order or from another kind of source.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from indexer.build.encoder_selection import EncoderSelection
from indexer.build.options import BuildOptions
from indexer.errors import CatalogError
from indexer.reading import Source
from indexer.snapshot import compute_sha256

# Raise when a release reads rows or indexes words in another way, so that nothing is kept as it is.
_READING_VERSION = 4


def hash_inputs(
    options: BuildOptions,
    sources: Sequence[Source],
    encoder_selection: EncoderSelection,
    event_weights: Mapping[str, float],
) -> str:
    """Hash the files of a build, its options, its encoder and the weights of its own events.

    Returns "" if anything else decides what the build holds: a database, rows in memory, live
    changes, or an encoder that can only be identified by loading it.
    """
    files = [source for source in sources if isinstance(source, str)]
    has_other_inputs = bool(options.changes) or _has_unnamed_training_data(options)
    if has_other_inputs or len(files) < len(sources) or any("://" in file for file in files):
        return ""
    files += [options.interactions] if options.interactions else []
    try:
        file_hashes = [("".join(Path(f).suffixes), compute_sha256(Path(f))) for f in files]
    except OSError:
        return ""  # reading it will report what is wrong
    listed = _list_hashed_options(options, event_weights)
    option_values = (listed, options.query, options.max_rejected)
    stamp = encoder_selection.stamp
    return _hash_parts(file_hashes, len(sources), stamp, option_values) if stamp else ""


def hash_content(
    options: BuildOptions,
    items_digest: bytes,
    encoder_selection: EncoderSelection,
    event_weights: Mapping[str, float],
) -> str:
    """Hash everything that decides what a snapshot holds; "" if interactions cannot be hashed.

    Args:
        options: Of the build.
        items_digest: Hash of the items, see `Staging.compute_digest`.
        encoder_selection: Of the build; its `key` counts.
        event_weights: Of events that `scenarios.toml` adds.

    Raises:
        CatalogError: If the interactions cannot be read.
    """
    if _has_unnamed_training_data(options):
        return ""
    interactions_hash = _hash_file(options.interactions) if options.interactions else ""
    option_values = _list_hashed_options(options, event_weights)
    return _hash_parts(items_digest.hex(), encoder_selection.key, option_values, interactions_hash)


def _hash_file(file: str) -> str:
    try:
        return compute_sha256(Path(file))
    except FileNotFoundError as error:
        raise CatalogError(f"{file} does not exist; check the path") from error
    except OSError as error:
        raise CatalogError(f"{file} cannot be read ({error.strerror}); check the path") from error


def _has_unnamed_training_data(options: BuildOptions) -> bool:
    is_live = bool(options.live_events) or options.select_new is not None
    is_in_database = "://" in (options.interactions or "")
    return is_in_database or (is_live and not options.live_state)


def _list_hashed_options(
    options: BuildOptions, event_weights: Mapping[str, float]
) -> tuple[object, ...]:
    option_values = (options.index, options.min_recall, options.rating_scale, options.applied_seq)
    event_values = (options.event, options.value_is, options.live_state)
    fields = (sorted(options.fields.items()), sorted(options.interaction_fields.items()))
    names = (*fields, options.interactions_query, sorted(event_weights.items()))
    return (*option_values, *event_values, options.context, *names)


def _hash_parts(*parts: object) -> str:
    return hashlib.sha256(repr((_READING_VERSION, *parts)).encode()).hexdigest()
