"""What a build reads and is asked for, to what the live snapshot spares it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.build.options import BuildOptions
from indexer.errors import SnapshotError
from indexer.language import TUNED_SUFFIX, Fingerprint
from indexer.snapshot import (
    TUNED_LAYER_FILE,
    Manifest,
    check_files,
    compute_sha256,
    find_snapshot,
    find_tuned_layer,
    read_manifest,
)

_CHUNK_ROWS = 16_384
_SEED = 20_240_501


class ParentSnapshot:
    """The live snapshot as a build sees it; without one, or with a damaged one, it spares nothing.

    Attributes:
        id: None if there is none.
    """

    def __init__(self, root: Path) -> None:
        """Look for the live snapshot of an index directory."""
        self._root = root
        try:
            self.id: str | None = find_snapshot(root).name
        except SnapshotError:
            self.id = None

    @cached_property
    def manifest(self) -> Manifest | None:
        """What it says of itself; None if it cannot be read."""
        try:
            return read_manifest(self.folder) if self.id else None
        except SnapshotError:
            return None

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return find_snapshot(self._root, self.id)

    @cached_property
    def tuned_layer_file(self) -> Path | None:
        """The tuned last layer of its encoder, if it has one and it is whole."""
        try:
            return find_tuned_layer(self.folder, self.manifest) if self.manifest else None
        except SnapshotError:
            return None

    def matches(self, *, inputs: str = "", content: str = "") -> bool:
        """Whether it is whole and was made of just this; an empty hash is never equal."""
        if self.manifest is None:
            return False
        is_same_input = bool(inputs) and self.manifest.inputs == inputs
        is_same_content = bool(content) and self.manifest.content == content
        if not (is_same_input or is_same_content):
            return False
        try:
            check_files(self.folder, self.manifest)
        except SnapshotError:
            return False
        return True

    def compute_changed_share(self, raw: NDArray[np.float16]) -> float:
        """Return which share of vectors is new or gone; 1 if they cannot be compared."""
        if self.manifest is None:
            return 1.0
        try:
            before = np.load(self.folder / "raw.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return 1.0
        if before.shape[1:] != raw.shape[1:] or not len(before):
            return 1.0
        old, new = _hash_rows(before), _hash_rows(raw)
        added, removed = ~np.isin(new, old), ~np.isin(old, new)
        return float(max(added.mean(), removed.mean()))


def explain_full_encoding(
    parent: ParentSnapshot, options: BuildOptions, fingerprint: Fingerprint
) -> str:
    """Return the reason in words; empty if vectors of the live snapshot can be kept."""
    if parent.id is None:
        return ""
    if options.force_full:
        return "--force-full was given"
    if parent.manifest is None:
        return "the live snapshot is damaged"
    before = parent.manifest.encoder
    if before is None or before == fingerprint:
        return ""
    if (
        before.name != fingerprint.name
        and before.name.removesuffix(TUNED_SUFFIX) == fingerprint.name
    ):
        return ""  # why its tuned layer is given up is told apart, and its vectors may be known
    if replace(before, text_version=fingerprint.text_version) == fingerprint:
        return f"the text template changed (version {before.text_version} to {fingerprint.text_version})"
    return f"the model changed ({before.name} to {fingerprint.name})"


def explain_dropped_layer(
    parent: ParentSnapshot, options: BuildOptions, *, keeps_layer: bool
) -> str:
    """Return why the live snapshot's tuned layer is given up; empty if it is not, or has none."""
    before = parent.manifest
    if before is None or TUNED_LAYER_FILE not in before.files:
        return ""
    if keeps_layer or options.tune_encoder or options.encoder:
        return ""
    if options.since is None:
        return "the build has neither --since last nor --tune-encoder"
    if parent.tuned_layer_file is None:
        file = parent.folder / TUNED_LAYER_FILE
        return f"{file} is missing or damaged; tune anew with --tune-encoder"
    return "--model is not the model that it was tuned on; tune anew with --tune-encoder"


def hash_inputs(
    options: BuildOptions, sources: Sequence[str], get_model_stamp: Callable[[], str]
) -> str:
    """Hash the files of a build and all that it is asked for; "" if something else counts too.

    Args:
        options: Of the build.
        sources: Catalogue files and URLs.
        get_model_stamp: Tells what changes with the language model; "" if that is not known.
    """
    has_other_inputs = bool(options.changes) or _has_training_data_beside_files(options)
    if has_other_inputs or any("://" in source for source in sources):
        return ""
    files = [*sources, *([options.interactions] if options.interactions else [])]
    try:
        file_hashes = [("".join(Path(f).suffixes), compute_sha256(Path(f))) for f in files]
    except OSError:
        return ""  # reading it will say what is wrong
    model_stamp = get_model_stamp()
    option_values = (_list_hashed_options(options), options.query, options.max_rejected)
    return _hash_parts(file_hashes, len(sources), model_stamp, option_values) if model_stamp else ""


def hash_content(options: BuildOptions, items_digest: bytes, model_key: str) -> str:
    """Hash all that decides what a snapshot holds; "" if that is not known.

    Args:
        options: Of the build.
        items_digest: Hash of the items, however they were written.
        model_key: What changes with the language model.
    """
    if _has_training_data_beside_files(options):
        return ""
    interactions_hash = compute_sha256(Path(options.interactions)) if options.interactions else ""
    return _hash_parts(
        items_digest.hex(), model_key, _list_hashed_options(options), interactions_hash
    )


def _has_training_data_beside_files(options: BuildOptions) -> bool:
    has_more = options.live_events or options.is_erased or "://" in (options.interactions or "")
    return bool(has_more)


def _list_hashed_options(options: BuildOptions) -> tuple[object, ...]:
    option_values = (options.index, options.min_recall, options.rating_scale, options.applied_seq)
    return (*option_values, options.context, sorted(options.fields.items()))


def _hash_parts(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _hash_rows(raw: NDArray[np.float16]) -> NDArray[np.uint64]:
    """One number for each vector; two vectors with the same one are the same."""
    multipliers = np.random.default_rng(_SEED).integers(2**63, size=raw.shape[1], dtype=np.uint64)
    sums = np.empty(len(raw), np.uint64)
    for start in range(0, len(raw), _CHUNK_ROWS):
        bits = np.ascontiguousarray(raw[start : start + _CHUNK_ROWS]).view(np.uint16)
        sums[start : start + len(bits)] = bits.astype(np.uint64) @ multipliers
    return sums
