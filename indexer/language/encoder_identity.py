"""The files of a model to a stamp, and to an encoder that is loaded only when a text needs it.

Importing torch and loading a model take seconds, which a build of unchanged texts can save.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from indexer.arrays import Vectors
from indexer.errors import EncoderUnavailableError
from indexer.language.bundled_models import DEFAULT_MODEL, ENGLISH, MULTILINGUAL, ensure_checkpoint
from indexer.language.encoder import Encoder, Progress, load_encoder
from indexer.language.fingerprint import Fingerprint
from indexer.language.item_text import TEXT_VERSION
from indexer.language.library_versions import read_library_versions
from indexer.language.model_loading import MAX_TOKENS, is_path


def compute_model_stamp(name: str | None) -> str:
    """Return a hash that changes with a model's files, its libraries or our use of them.

    Files are compared by size and modification time, as `make` does. The stamp of a model that is
    not a directory, such as one of the Hugging Face hub, is empty: it must be loaded to be known.
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
    library_versions = list(read_library_versions().values())
    stamp_parts = (name, str(folder.resolve()), TEXT_VERSION, MAX_TOKENS, library_versions, files)
    return hashlib.sha256(repr(stamp_parts).encode()).hexdigest()[:32]


class LazyEncoder:
    """An encoder of known fingerprint that is loaded when the first text is encoded."""

    def __init__(
        self, name: str | None, fingerprint: Fingerprint, *, layer: Path | None = None
    ) -> None:
        """Take the name of the model, the fingerprint it must have, and its tuned layer if any."""
        self._name, self._layer = name, layer
        self.fingerprint = fingerprint

    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode item texts; loads the model first if it is not loaded yet.

        Raises:
            EncoderUnavailableError: If the loaded model has another fingerprint.
        """
        return self._model.encode_items(texts, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode query texts; loads the model first if it is not loaded yet.

        Raises:
            EncoderUnavailableError: If the loaded model has another fingerprint.
        """
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
