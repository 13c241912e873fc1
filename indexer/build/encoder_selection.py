"""Options and the live snapshot to the encoder of a build, loaded only when it is needed.

Everything that depends on which encoder a build uses is answered here: the encoder and its tuned
last layer, the stamp and the key that tell whether it has changed, the vectors that are known
already, and what the manifest records of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from indexer.build.options import NO_MODEL, BuildOptions
from indexer.build.parent_snapshot import ParentSnapshot
from indexer.errors import EncoderUnavailableError
from indexer.language import (
    DEFAULT_MODEL,
    PROBE_TEXT,
    TEXT_VERSION,
    TUNED_SUFFIX,
    Encoder,
    Fingerprint,
    LazyEncoder,
    TextEncoder,
    VectorCache,
    compute_model_stamp,
    is_path,
    load_encoder,
)
from indexer.snapshot import TUNED_LAYER_FILE, find_reusable_encoder


@dataclass(frozen=True, slots=True)
class EncoderRecord:
    """What a manifest records of the encoder; see `Manifest` for the meaning of each."""

    fingerprint: Fingerprint | None
    source: str | None
    stamp: str
    probe: tuple[float, ...]


class EncoderSelection:
    """Which encoder a build uses, and which vectors it has made already."""

    def __init__(self, root: Path, options: BuildOptions, parent: ParentSnapshot) -> None:
        """Prepare the choice; nothing is loaded yet.

        Args:
            root: Index directory, for the vectors of builds that were killed.
            options: Of the build.
            parent: The live snapshot.
        """
        self._root, self._options, self._parent = root, options, parent

    @cached_property
    def stamp(self) -> str:
        """Hash that changes with the model, known without loading it; "" if it cannot be."""
        if self._options.encoder:
            return self._options.encoder.fingerprint.key
        if self._options.model == NO_MODEL:
            return NO_MODEL
        return compute_model_stamp(self._options.model)

    @property
    def source(self) -> str:
        """What the model can be loaded by: a name or the absolute path of a directory."""
        options = self._options
        if options.model and is_path(options.model):
            return str(Path(options.model).resolve())
        name = options.encoder.fingerprint.name if options.encoder else DEFAULT_MODEL
        return options.model or name.removesuffix(TUNED_SUFFIX)

    @property
    def encoder(self) -> Encoder | None:
        """The encoder; None if every row brings its vector.

        It is chosen, and loaded if need be, when this is first read.

        Raises:
            EncoderUnavailableError: If it cannot be loaded.
        """
        return self._choice[0]

    @property
    def tuned_layer_file(self) -> Path | None:
        """File of the tuned last layer that the encoder uses, to be copied into the snapshot."""
        return self._choice[1]

    @property
    def key(self) -> str:
        """What changes with the encoder, or with how an item is described to it."""
        return self.encoder.fingerprint.key if self.encoder else str(TEXT_VERSION)

    def replace_encoder(self, tuned: Encoder) -> None:
        """Use an encoder that this build has tuned; its layer is in the working folder already."""
        self._choice = (tuned, None)

    @cached_property
    def _choice(self) -> tuple[Encoder | None, Path | None]:
        """The encoder and the file of its tuned layer, which are chosen together."""
        options, layer = self._options, self._find_layer()
        if options.encoder or options.model == NO_MODEL:
            return options.encoder, layer
        known_fingerprint = self._find_known_fingerprint(has_layer=layer is not None)
        if known_fingerprint is not None:
            return LazyEncoder(options.model, known_fingerprint, layer=layer), layer
        if layer is not None:
            try:
                return load_encoder(options.model, layer=layer), layer
            except EncoderUnavailableError:
                pass  # the model is not the one that the layer was tuned on
        return load_encoder(options.model), None

    def _find_layer(self) -> Path | None:
        """The layer to go on with: the given encoder's, or the live snapshot's."""
        given, before = self._options.encoder, self._parent.manifest
        if given:
            return given.layer if isinstance(given, TextEncoder) else None
        if self._options.since is None or before is None or before.encoder_source != self.source:
            return None
        return self._parent.tuned_layer_file

    def _find_known_fingerprint(self, *, has_layer: bool) -> Fingerprint | None:
        """The live snapshot's fingerprint, if the model's files are still the same."""
        before = None if self._options.force_full else self._parent.manifest
        if before is None or not before.encoder_stamp == self.stamp != "":
            return None
        is_tuned = TUNED_LAYER_FILE in before.files
        return before.encoder if is_tuned == has_layer else None

    def record(self) -> EncoderRecord:
        """Return what the manifest records of the encoder."""
        return EncoderRecord(
            fingerprint=self.encoder.fingerprint if self.encoder else None,
            source=self.source if self.encoder else None,
            stamp=self.stamp,
            probe=tuple(round(number, 6) for number in self._compute_probe()),
        )

    def _compute_probe(self) -> Sequence[float]:
        before = self._parent.manifest
        if self.encoder is None:
            return ()
        if before and before.encoder == self.encoder.fingerprint:
            return before.probe  # so that the model need not be loaded for it
        numbers: list[float] = self.encoder.encode_items([PROBE_TEXT])[0].tolist()
        return numbers

    def notify_full_encoding(self) -> None:
        """Notify the caller, before a long encoding, that vectors or a layer cannot be reused."""
        notice = self._options.notice
        if self.encoder is None or notice is None:
            return
        fingerprint = self.encoder.fingerprint
        if reason := self._explain_full_encoding(fingerprint):
            notice(f"every text is encoded again: {reason}")
        if reason := self._explain_dropped_layer():
            notice(f"the tuned layer of {fingerprint.name} is given up: {reason}")

    def _explain_full_encoding(self, fingerprint: Fingerprint) -> str:
        """Why no vector of the live snapshot can be kept; "" if some can, or it has none."""
        if self._parent.id is None:
            return ""
        if self._options.force_full:
            return "--force-full was given"
        if self._parent.manifest is None:
            return "the live snapshot is damaged"
        before = self._parent.manifest.encoder
        if before is None or before == fingerprint:
            return ""
        if before.name == fingerprint.name + TUNED_SUFFIX:
            return ""  # the dropped layer is explained apart, and untuned vectors may be known
        versions = (before.text_version, fingerprint.text_version)
        if replace(before, text_version=versions[1]) == fingerprint:
            return f"the text template changed (version {versions[0]} to {versions[1]})"
        return f"the model changed ({before.name} to {fingerprint.name})"

    def _explain_dropped_layer(self) -> str:
        """Why the live snapshot's tuned layer is not used; "" if it is, or it has none."""
        options, before = self._options, self._parent.manifest
        if before is None or TUNED_LAYER_FILE not in before.files:
            return ""
        if self.tuned_layer_file is not None or options.tune_encoder or options.encoder:
            return ""
        if options.since is None:
            return "the build has neither --since last nor --tune-encoder"
        if self._parent.tuned_layer_file is None:
            file = self._parent.folder / TUNED_LAYER_FILE
            return f"{file} is missing or damaged; tune anew with --tune-encoder"
        return "--model is not the model that it was tuned on; tune anew with --tune-encoder"

    def open_vector_cache(self, dim: int) -> VectorCache | None:
        """Return the vectors that earlier builds encoded; None without an encoder.

        With `force_full` the cache starts empty.
        """
        if self.encoder is None:
            return None
        journal = self._locate_journal(self.encoder)
        if self._options.force_full:
            journal.unlink(missing_ok=True)
        cache = VectorCache(journal, dim)
        if self._parent.id and not self._options.force_full:
            folder = self._parent.folder
            if find_reusable_encoder(folder) == self.encoder.fingerprint:
                cache.add_snapshot(folder)
        return cache

    def delete_journal(self) -> None:
        """Delete the journal of encoded vectors, once a published snapshot holds them."""
        if self.encoder is not None:
            self._locate_journal(self.encoder).unlink(missing_ok=True)

    def _locate_journal(self, model: Encoder) -> Path:
        return self._root / "encoded" / f"{model.fingerprint.key}.bin"
