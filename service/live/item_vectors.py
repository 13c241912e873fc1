"""Items and item changes to raw vectors: the caller's, the known one of the same text, or encoded.

A raw vector is `(r,) float16`, unit length, as the encoder of the snapshot gives it, before the
snapshot's whitening and learned blocks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer import Index, RequestError
from indexer.arrays import Vectors
from indexer.language import describe_item, hash_text
from indexer.live import LiveItem, Tombstone
from indexer.reading import Item
from service.store import ItemChange

SNAPSHOT_ITEM = ItemChange("", None)  # a patch of an item that has no change in the store


def attach_vectors(
    index: Index,
    items: Sequence[Item],
    labels: Sequence[str],
    *,
    base_change: ItemChange | None = None,
) -> list[ItemChange]:
    """Return the changes that store items, with their raw vectors; texts are encoded in one batch.

    Args:
        index: The snapshot that serves.
        items: What to store.
        labels: The beginning of an error message for each item.
        base_change: The change that a patch builds upon, or `SNAPSHOT_ITEM`; None: not a patch.

    Raises:
        RequestError: If a vector has the wrong length, or there is neither a vector nor an encoder.
    """
    key = _get_encoder_key(index)
    vectors: dict[int, tuple[NDArray[np.float16], str]] = {}
    texts: dict[int, str] = {}
    for position, item in enumerate(items):
        if item.vector is not None:
            vectors[position] = _normalise_vector(index, item, labels[position]), ""
            continue
        text = describe_item(item.fields, rating_scale=index.manifest.rating_scale)
        known = _find_known_vector(index, item.id, text, base_change)
        if known is not None:
            vectors[position] = known
        elif index.manifest.encoder is None:
            raise RequestError(
                f"{labels[position]}item {item.id[:60]!r} has no vector, and this index was built "
                f"with --model none; send its vector"
            )
        else:
            texts[position] = text
    if texts:
        encoded = index.encoder.encode_items(list(texts.values())).astype(np.float16)
        vectors |= {position: (raw, key) for position, raw in zip(texts, encoded, strict=True)}
    return [ItemChange(item.id, item.fields, *vectors[n]) for n, item in enumerate(items)]


def to_live_changes(index: Index, changes: Sequence[ItemChange]) -> list[LiveItem | Tombstone]:
    """Return stored changes as the live catalogue takes them.

    A text whose vector comes from another encoder than the snapshot's is encoded again.
    """
    foreign = [change for change in changes if _is_foreign(index, change)]
    reencoded = dict(
        zip((change.item_id for change in foreign), _encode_changes(index, foreign), strict=True)
    )
    live_changes: list[LiveItem | Tombstone] = []
    for change in changes:
        if change.fields is None:
            live_changes.append(Tombstone(change.item_id))
        elif change.item_id in reencoded:
            live_changes.append(LiveItem(change.item_id, change.fields, reencoded[change.item_id]))
        elif change.raw_vector is not None:
            live_changes.append(
                LiveItem(change.item_id, change.fields, change.raw_vector.astype(np.float32))
            )
    return live_changes


def _get_encoder_key(index: Index) -> str:
    return index.manifest.encoder.key if index.manifest.encoder else ""


def _get_raw_dimension(index: Index) -> int:
    """Return the length of the raw vectors of a snapshot."""
    encoder = index.manifest.encoder
    return encoder.dim if encoder else index.manifest.layout.meaning


def _normalise_vector(index: Index, item: Item, label: str) -> NDArray[np.float16]:
    dimension = _get_raw_dimension(index)
    if item.vector is None or len(item.vector) != dimension:
        size = 0 if item.vector is None else len(item.vector)
        raise RequestError(f"{label}vector has {size} numbers, expected {dimension}")
    unscaled = item.vector.astype(np.float64)
    unit: NDArray[np.float16] = (unscaled / np.linalg.norm(unscaled)).astype(np.float16)
    return unit


def _find_known_vector(
    index: Index, item_id: str, text: str, base_change: ItemChange | None
) -> tuple[NDArray[np.float16], str] | None:
    """Return the vector that an item has and its encoder's key, if it fits the text still.

    A patch keeps a vector that the caller sent earlier, whatever the text says now.
    """
    key = _get_encoder_key(index)
    if (
        base_change is not None
        and base_change.raw_vector is not None
        and base_change.fields is not None
    ):
        same = text == describe_item(base_change.fields, rating_scale=index.manifest.rating_scale)
        fits = len(base_change.raw_vector) == _get_raw_dimension(index)
        if fits and (not base_change.encoder_key or (base_change.encoder_key == key and same)):
            return base_change.raw_vector, base_change.encoder_key
        return None
    row = index.rows([item_id]).get(item_id)
    if row is None:
        return None
    raw, text_hash = index.load_raw_vector(row)
    if text_hash is None:  # the item came with a vector of its own
        return (raw, "") if base_change else None
    return (raw, key) if text_hash == hash_text(key, text) else None


def _is_foreign(index: Index, change: ItemChange) -> bool:
    """Whether a change of an item has no vector that this snapshot can use."""
    if change.fields is None:
        return False
    return (
        change.raw_vector is None
        or len(change.raw_vector) != _get_raw_dimension(index)
        or change.encoder_key not in ("", _get_encoder_key(index))
    )


def _encode_changes(index: Index, changes: Sequence[ItemChange]) -> Vectors:
    """Return `(c, r) float32`, rounded to float16; zeros if the snapshot has no encoder."""
    scale = index.manifest.rating_scale
    texts = [describe_item(change.fields or {}, rating_scale=scale) for change in changes]
    if not texts or index.manifest.encoder is None:
        # An item with a zero vector can still be listed, filtered and rated, but not compared.
        return np.zeros((len(texts), _get_raw_dimension(index)), np.float32)
    return index.encoder.encode_items(texts).astype(np.float16).astype(np.float32)
