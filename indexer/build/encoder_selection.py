"""The language model of a build: named or given, tuned or not, loaded only when it is needed."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from indexer.build.incremental_reuse import (
    ParentSnapshot,
    explain_dropped_layer,
    explain_full_encoding,
)
from indexer.build.options import NO_MODEL, BuildOptions
from indexer.errors import EncoderUnavailableError
from indexer.language import (
    DEFAULT_MODEL,
    PROBE_TEXT,
    TEXT_VERSION,
    TUNED_SUFFIX,
    Encoder,
    LazyEncoder,
    TextEncoder,
    VectorCache,
    compute_model_stamp,
    is_path,
    load_encoder,
)
from indexer.snapshot import TUNED_LAYER_FILE, find_reusable_encoder


class EncoderSelection:
    """Which model describes the catalogue, and what it has described already."""

    def __init__(self, root: Path, options: BuildOptions, parent: ParentSnapshot) -> None:
        self._root, self._options, self._parent = root, options, parent

    @cached_property
    def stamp(self) -> str:
        """By what the model is known without being loaded; empty if it is not."""
        if self._options.encoder:
            return self._options.encoder.fingerprint.key
        return (
            NO_MODEL
            if self._options.model == NO_MODEL
            else compute_model_stamp(self._options.model)
        )

    @cached_property
    def model(self) -> Encoder | None:
        """The model, not loaded yet if it is known to be that of the live snapshot."""
        options = self._options
        if options.encoder or options.model == NO_MODEL:
            return options.encoder
        before = None if options.force_full else self._parent.manifest
        is_same = before is not None and before.encoder_stamp == self.stamp != ""
        is_tuned = before is not None and TUNED_LAYER_FILE in before.files
        if (
            before
            and before.encoder
            and is_same
            and is_tuned == (self.tuned_layer_file is not None)
        ):
            return LazyEncoder(options.model, before.encoder, layer=self.tuned_layer_file)
        if self.tuned_layer_file is not None:
            try:
                return load_encoder(options.model, layer=self.tuned_layer_file)
            except EncoderUnavailableError:
                self.tuned_layer_file = None  # the model is not the one that it was tuned on
        return load_encoder(options.model)

    @cached_property
    def tuned_layer_file(self) -> Path | None:
        """The tuned layer that a build goes on with: the live snapshot's, or a given encoder's."""
        if self._options.encoder:
            encoder = self._options.encoder
            return encoder.layer if isinstance(encoder, TextEncoder) else None
        before = self._parent.manifest
        if self._options.since is None or before is None:
            return None
        return self._parent.tuned_layer_file if before.encoder_source == self.source else None

    @property
    def source(self) -> str:
        """What the model can be loaded by."""
        options = self._options
        if options.model and is_path(options.model):
            return str(Path(options.model).resolve())
        encoder = options.encoder.fingerprint.name if options.encoder else DEFAULT_MODEL
        return options.model or encoder.removesuffix(TUNED_SUFFIX)

    @property
    def key(self) -> str:
        """What changes with the language model, or with how an item is described to it."""
        return self.model.fingerprint.key if self.model else str(TEXT_VERSION)

    def replace_model(self, tuned: Encoder) -> None:
        """Go on with a tuned model, whose layer the working folder has."""
        self.model = tuned

    def notify_full_encoding(self) -> None:
        """Say before hours of encoding begin why nothing is known, and what becomes of a layer."""
        notice = self._options.notice
        if self.model is None or notice is None:
            return
        fingerprint = self.model.fingerprint
        reason = explain_full_encoding(self._parent, self._options, fingerprint)
        if reason:
            notice(f"every text is encoded again: {reason}")
        keeps_layer = self.tuned_layer_file is not None
        reason_dropped = explain_dropped_layer(self._parent, self._options, keeps_layer=keeps_layer)
        if reason_dropped:
            notice(f"the tuned layer of {fingerprint.name} is given up: {reason_dropped}")

    def open_vector_cache(self, dim: int) -> VectorCache | None:
        """What earlier builds have encoded; with --force-full only what is added to it."""
        if self.model is None:
            return None
        journal = self._journal_path(self.model)
        if self._options.force_full:
            journal.unlink(missing_ok=True)
        cache = VectorCache(journal, dim)
        if self._parent.id and not self._options.force_full:
            folder = self._parent.folder
            if find_reusable_encoder(folder) == self.model.fingerprint:
                cache.add_snapshot(folder)
        return cache

    def delete_journal(self) -> None:
        """Remove the vectors that waited for a snapshot to hold them."""
        if self.model is not None:
            self._journal_path(self.model).unlink(missing_ok=True)

    def compute_probe(self) -> Sequence[float]:
        """The vector by which a snapshot knows its model again; empty without a model."""
        before = self._parent.manifest
        if self.model is None:
            return ()
        if before and before.encoder == self.model.fingerprint:
            return before.probe  # so that the model need not be loaded for it
        numbers: list[float] = self.model.encode_items([PROBE_TEXT])[0].tolist()
        return numbers

    def _journal_path(self, model: Encoder) -> Path:
        return self._root / "encoded" / f"{model.fingerprint.key}.bin"
