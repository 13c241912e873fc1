"""A model that a snapshot knows to its fingerprint, without loading it: torch takes seconds."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from indexer.arrays import Vectors
from indexer.errors import EncoderUnavailableError
from indexer.language.bundled_models import DEFAULT_MODEL, ENGLISH, MULTILINGUAL, ensure_checkpoint
from indexer.language.encoder import MAX_TOKENS, Encoder, Progress, is_path, load_encoder
from indexer.language.fingerprint import Fingerprint
from indexer.language.item_text import TEXT_VERSION

_LIBRARIES = ("sentence-transformers", "tokenizers", "torch", "transformers")


def compute_model_stamp(name: str | None) -> str:
    """Return what changes with a model's files, its libraries or our use of it; "" if unknown.

    Files are known by size and time, as `make` knows them. A model of the hub has no folder to
    look at: it is loaded to know what it is.
    """
    name = name or DEFAULT_MODEL
    folder = ensure_checkpoint(name) if name in (MULTILINGUAL, ENGLISH) else Path(name)
    if not (is_path(str(folder)) and folder.is_dir()):
        return ""
    files = [
        (str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    library_versions = [version(library) for library in _LIBRARIES]
    stamp_parts = (name, str(folder.resolve()), TEXT_VERSION, MAX_TOKENS, library_versions, files)
    return hashlib.sha256(repr(stamp_parts).encode()).hexdigest()[:32]


class LazyEncoder:
    """An encoder that is loaded with the first text, if there is one."""

    def __init__(
        self, name: str | None, fingerprint: Fingerprint, *, layer: Path | None = None
    ) -> None:
        """Take what the model, with its tuned layer if it has one, is known to be."""
        self._name, self._layer = name, layer
        self.fingerprint = fingerprint

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Load the model if need be, and encode item texts."""
        return self._model.encode_items(texts, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Load the model if need be, and encode what people say."""
        return self._model.encode_queries(texts)

    @cached_property
    def _model(self) -> Encoder:
        loaded = load_encoder(self._name, layer=self._layer)
        if loaded.fingerprint != self.fingerprint:
            raise EncoderUnavailableError(
                f"the model {loaded.fingerprint.name} is not what it was when the live snapshot "
                f"was built, though its files look the same; build with --force-full"
            )
        return loaded
