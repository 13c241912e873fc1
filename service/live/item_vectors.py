"""Items and item changes to raw vectors: the caller's, the known one of the same text, or encoded.

A raw vector is `(r,) float16`, unit length, as the encoder of the snapshot gives it, before the
snapshot's whitening and learned blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer import Index, RequestError
from indexer.arrays import Vectors
from indexer.language import describe_item, hash_text
from indexer.live import LiveItem, Tombstone
from indexer.reading import Item
from indexer.request import TextCost
from service.store import ItemChange

SNAPSHOT_ITEM = ItemChange("", None)  # a patch of an item that has no change in the store
_LONG_TOKENS = 1_024  # of new text; some tenths of a second of encoding

_Vector: TypeAlias = tuple[NDArray[np.float16], str]  # a raw vector, and its encoder's key


@dataclass(frozen=True, slots=True)
class ItemDrafts:
    """Items to be stored, some of whose texts must be encoded first.

    Attributes:
        items: What to store.
        labels: The beginning of a message about each item.
        vectors: Position of an item to its vector, if that is known.
        texts: Position of each other item to its text.
    """

    items: Sequence[Item]
    labels: Sequence[str]
    vectors: Mapping[int, _Vector]
    texts: Mapping[int, str]

    @property
    def is_long(self) -> bool:
        """Whether encoding takes so long that other calls need not wait for it."""
        return TextCost.of_texts(self.texts.values()).tokens > _LONG_TOKENS

    def list_notes(self) -> list[str]:
        """Return what is kept in another way than it came, one sentence each."""
        return [
            f"{label}{finding.reason}"
            for item, label in zip(self.items, self.labels, strict=True)
            for finding in item.findings
        ]

    def encode(self, index: Index) -> list[ItemChange]:
        """Return the changes that store the items, with their raw vectors.

        Raises:
            GivenUpError: If nobody waits for them any more.
        """
        vectors = dict(self.vectors)
        texts = list(dict.fromkeys(self.texts.values()))
        if texts:
            key = _get_encoder_key(index)
            encoded = index.encoder.encode_items(texts).astype(np.float16)
            raw_vectors = dict(zip(texts, encoded, strict=True))
            vectors |= {position: (raw_vectors[text], key) for position, text in self.texts.items()}
        return [ItemChange(item.id, item.fields, *vectors[n]) for n, item in enumerate(self.items)]


def draft_items(
    index: Index,
    items: Sequence[Item],
    labels: Sequence[str],
    *,
    stored_changes: Mapping[str, ItemChange],
    base_change: ItemChange | None = None,
) -> ItemDrafts:
    """Find the vectors that are known, so that no text is encoded twice.

    Args:
        index: The snapshot that serves.
        items: What to store.
        labels: The beginning of an error message for each item.
        stored_changes: By id, the changes of these items that are in the store already.
        base_change: The change that a patch builds upon, or `SNAPSHOT_ITEM`; None: not a patch.

    Raises:
        RequestError: If a vector has the wrong length, there is neither a vector nor an encoder, or
            the texts that must be encoded cost too much.
    """
    vectors: dict[int, _Vector] = {}
    texts: dict[int, str] = {}
    for position, (item, label) in enumerate(zip(items, labels, strict=True)):
        if item.vector is not None:
            vectors[position] = _normalise_vector(index, item, label), ""
            continue
        text = describe_item(item.fields, rating_scale=index.manifest.rating_scale)
        known = _find_known_vector(index, item.id, text, base_change)
        if known is None and base_change is None:
            known = _find_stored_vector(index, stored_changes.get(item.id), text)
        if known is None:
            _require_encoder(index, item, label)
            texts[position] = text
        else:
            vectors[position] = known
    TextCost.of_texts(texts.values()).check_items()
    return ItemDrafts(items, labels, vectors, texts)


def _require_encoder(index: Index, item: Item, label: str) -> None:
    """Refuse an item without a vector if nothing can encode its text."""
    if index.manifest.encoder is None:
        raise RequestError(
            f"{label}item {item.id[:60]!r} has no vector, and this index was built with --model "
            f"none; send its vector"
        )


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
) -> _Vector | None:
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


def _find_stored_vector(index: Index, change: ItemChange | None, text: str) -> _Vector | None:
    """Return the vector of a change of the same text, such as the same call made before."""
    key = _get_encoder_key(index)
    if change is None or change.fields is None or not key or change.encoder_key != key:
        return None
    is_same = text == describe_item(change.fields, rating_scale=index.manifest.rating_scale)
    return (change.raw_vector, key) if is_same and change.raw_vector is not None else None


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
