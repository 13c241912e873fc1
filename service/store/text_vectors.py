"""Texts of users to the vectors that were encoded for them, in a file beside the live store.

After a restart the texts of many users would have to be encoded again, all at once. The file holds
neither texts nor anything that can be compared with texts: a keyed hash finds a vector, and the
vector is encrypted with a key that takes the service's secret and the text itself. It is a cache:
whatever is wrong with it, it is begun anew.

Every erasure clears it. What was read before, and is encoded meanwhile, must not be kept after: so
a file has a generation, a random number that each erasure draws anew. Whoever will add vectors
notes the generation before reading texts, and a file of another one takes none of them.

    header: magic, generation (16 bytes), SHA-256 of it and what decides about vectors, dimension
    record: keyed hash of the text (16 bytes), checksum (8), encrypted vector (d float32)
"""

import fcntl
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typing_extensions import override

from indexer.arrays import Vectors
from indexer.language import QueryEncoder, QueryStore, use_query_store
from service.edge import unavailable

_MAX_BYTES = 64_000_000
_MAGIC = b"ZYTEXTV2"
_GENERATION_BYTES, _IDENTITY_BYTES, _DIM_BYTES = 16, 32, 4
_IDENTITY_START = len(_MAGIC) + _GENERATION_BYTES
_HEADER_BYTES = _IDENTITY_START + _IDENTITY_BYTES + _DIM_BYTES
_KEY_BYTES, _CHECK_BYTES = 16, 8
_DATA_START = _KEY_BYTES + _CHECK_BYTES
_MAX_RECORD_BYTES = _DATA_START + 4 * 16_384  # wider vectors are of no model
_READ_RECORDS = 1_000

_log = logging.getLogger(__name__)


def find_text_vector_path(store: Path) -> Path:
    """Return where the vectors beside a store are."""
    return store.with_name(f"{store.name}-vectors")


class TextVectorFile:
    """Vectors of texts on disk; thread-safe, and shared by the processes of a service.

    To find and to add never fails: without the file, texts are encoded again.

    Args:
        path: The file; None: nothing is kept.
        secret: Of the service.
        max_bytes: A file that would grow beyond is begun anew.
    """

    def __init__(self, path: Path | None, secret: str, *, max_bytes: int = _MAX_BYTES) -> None:
        self._path = path
        self._secret = hashlib.sha256(f"vectors of texts\n{secret}".encode()).digest()
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._has_warned = False
        self._file: int | None = None  # descriptor of what was at the path
        self._header = b""
        self._offsets: dict[bytes, int] = {}
        self._read_bytes = 0  # of the file, whose records are in `_offsets`

    def find(self, identity: str, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the vectors `(d,) float32` of the texts that are held.

        Args:
            identity: Whatever decides about a vector besides its text; that of others is not read.
            texts: Any.
        """
        found: dict[str, Vectors] = {}
        with self._lock:
            try:
                if self._look(identity):
                    for text in texts:
                        vector = self._read_vector(identity, text)
                        if vector is not None:
                            found[text] = vector
            except OSError as error:
                self._report(error)
        return found

    def begin(self) -> "TextVectors":
        """Return the vectors of now: what is added to them is kept until the next erasure.

        Call it before reading the texts. It takes some microseconds.
        """
        generation = b""
        if self._path is not None:
            with self._lock:
                try:
                    if not self._open():
                        self._begin(_draw_generation())
                    generation = self._generation
                except OSError as error:
                    self._report(error)
        return TextVectors(self, generation)

    def add(self, identity: str, vectors: Mapping[str, Vectors], *, generation: bytes) -> None:
        """Hold the vectors `(d,) float32` of texts, unless all were cleared since a generation."""
        if not vectors or not generation:
            return
        dim = len(next(iter(vectors.values())))
        with self._lock:
            try:
                with self._hold():
                    if self._generation == generation:
                        self._append(identity, vectors, dim)
            except OSError as error:
                self._report(error)

    def clear(self) -> None:
        """Remove every vector, such as those of a user who is erased; none begun before comes back.

        Raises:
            Problem: 503 if that cannot be done.
        """
        if self._path is None:
            return
        with self._lock:
            try:
                with self._hold() as file:
                    os.truncate(file, 0)
                    self._begin(_draw_generation())
            except FileNotFoundError:
                pass  # its folder is not there
            except OSError as error:
                self._close()
                raise unavailable(
                    f"the user is erased, but vectors of texts in {self._path.name} are not "
                    f"({error.strerror}); make it writable and repeat the call"
                ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _open(self) -> bool:
        """Open what is at the path now; return whether it is a file of ours."""
        if not self._is_current():
            self._close()
            if self._path is None or not self._path.exists():
                return False
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            self._header = os.pread(self._file, _HEADER_BYTES, 0)
            self._read_bytes = _HEADER_BYTES
        return self._header.startswith(_MAGIC) and len(self._header) == _HEADER_BYTES

    def _is_current(self) -> bool:
        """Whether the open file is what is at the path, and was not emptied."""
        if self._path is None or self._file is None:
            return False
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        own = os.fstat(self._file)
        is_same = (own.st_ino, own.st_dev) == (there.st_ino, there.st_dev)
        return is_same and own.st_size >= len(self._header)

    @contextmanager
    def _hold(self) -> Iterator[int]:
        """Let no other process clear the file or put another in its place, in the block."""
        while True:
            if not self._open():
                self._begin(_draw_generation())
            if self._file is None:
                raise FileNotFoundError
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if self._is_current():
                break
            self._close()  # it was replaced meanwhile; this frees it
        try:
            yield self._file
        finally:
            if self._file is not None:  # a file that was replaced in the block is closed
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _look(self, identity: str) -> bool:
        """Read what the file holds now; return whether it is of this identity."""
        if not self._open() or self._file is None:
            return False
        ours = _build_header(self._generation, identity, 0)
        is_ours = self._header[:-_DIM_BYTES] == ours[:-_DIM_BYTES]
        if not is_ours or self._record_bytes > _MAX_RECORD_BYTES:  # the width may be damaged
            return False
        self._read_keys(min(os.fstat(self._file).st_size, self._max_bytes))
        return True

    def _append(self, identity: str, vectors: Mapping[str, Vectors], dim: int) -> None:
        is_ours = self._look(identity) and self._is_whole(identity, dim)
        data = self._pack(identity, vectors, only_new=is_ours)
        generation = self._generation
        if not is_ours or self._read_bytes + len(data) > self._max_bytes:
            self._begin(generation, identity, dim)
        if self._file is not None and os.write(self._file, data) != len(data):
            self._begin(_draw_generation())  # the disk is full

    def _is_whole(self, identity: str, dim: int) -> bool:
        """Whether records can be appended: a killed process may have left a part of one."""
        if self._file is None or self._header != _build_header(self._generation, identity, dim):
            return False
        return (os.fstat(self._file).st_size - _HEADER_BYTES) % self._record_bytes == 0

    def _read_keys(self, size: int) -> None:
        """Note where the records are that were appended since the last time."""
        record_bytes = self._record_bytes
        while self._file is not None and self._read_bytes + record_bytes <= size:
            count = min(_READ_RECORDS, (size - self._read_bytes) // record_bytes)
            records = os.pread(self._file, count * record_bytes, self._read_bytes)
            for start in range(0, len(records) - record_bytes + 1, record_bytes):
                self._offsets[records[start : start + _KEY_BYTES]] = self._read_bytes + start
            if len(records) < record_bytes:  # it was cut off meanwhile
                return
            self._read_bytes += len(records) // record_bytes * record_bytes

    @property
    def _generation(self) -> bytes:
        return self._header[len(_MAGIC) : _IDENTITY_START]

    @property
    def _record_bytes(self) -> int:
        dim = int.from_bytes(self._header[-_DIM_BYTES:], "little")
        return _DATA_START + 4 * dim

    def _read_vector(self, identity: str, text: str) -> Vectors | None:
        key = self._hash(identity, text)
        if key not in self._offsets or self._file is None:
            return None
        record = os.pread(self._file, self._record_bytes, self._offsets[key])
        checksum, data = record[_KEY_BYTES:_DATA_START], record[_DATA_START:]
        if len(record) < self._record_bytes or checksum != self._compute_checksum(key, data):
            return None
        return np.frombuffer(self._encrypt(identity, text, data), "<f4").astype(np.float32)

    def _pack(self, identity: str, vectors: Mapping[str, Vectors], *, only_new: bool) -> bytes:
        parts = []
        for text, vector in vectors.items():
            key = self._hash(identity, text)
            if not (only_new and key in self._offsets):
                data = self._encrypt(identity, text, vector.astype("<f4").tobytes())
                parts += [key, self._compute_checksum(key, data), data]
        return b"".join(parts)

    def _begin(self, generation: bytes, identity: str = "", dim: int = 0) -> None:
        """Put a file without records in the place of what is there."""
        if self._path is None:
            return
        header = _build_header(generation, identity, dim)
        temporary = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        file = os.open(temporary, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, header)
            temporary.replace(self._path)
        except OSError:
            os.close(file)
            temporary.unlink(missing_ok=True)
            raise
        self._close()
        self._file, self._header, self._read_bytes = file, header, len(header)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file, self._header, self._read_bytes = None, b"", 0
        self._offsets.clear()

    def _report(self, error: OSError) -> None:
        self._close()
        if not self._has_warned:
            _log.warning("vectors of texts cannot be kept in %s: %s", self._path, error.strerror)
        self._has_warned = True

    def _hash(self, identity: str, text: str) -> bytes:
        message = f"{identity}\n{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(message, digest_size=_KEY_BYTES, key=self._secret).digest()

    def _compute_checksum(self, key: bytes, data: bytes) -> bytes:
        return hashlib.blake2b(key + data, digest_size=_CHECK_BYTES, key=self._secret).digest()

    def _encrypt(self, identity: str, text: str, data: bytes) -> bytes:
        """Encrypt the vector of a text, or decrypt it; for each text there is one plain vector."""
        message = self._secret + f"{identity}\n{text}".encode("utf-8", "surrogatepass")
        stream = np.frombuffer(hashlib.shake_256(message).digest(len(data)), np.uint8)
        return bytes(np.frombuffer(data, np.uint8) ^ stream)


@dataclass(frozen=True, slots=True)
class TextVectors(QueryStore):
    """Vectors of texts that are read from now on; equal for the same file between two erasures."""

    file: TextVectorFile
    generation: bytes

    @override
    def find(self, query_key: str, texts: Iterable[str]) -> dict[str, Vectors]:
        return self.file.find(query_key, texts)

    @override
    def add(self, query_key: str, vectors: Mapping[str, Vectors]) -> None:
        self.file.add(query_key, vectors, generation=self.generation)


@dataclass(frozen=True, slots=True)
class KeptTextEncoder:
    """An encoder whose vectors of queries are looked for in a file first, and kept in it.

    Equal for the same encoder and vectors.
    """

    encoder: QueryEncoder
    vectors: TextVectors | None

    def __call__(self, texts: Sequence[str]) -> None:
        """Let the encoder remember the vectors of texts.

        Raises:
            Exception: Whatever encoding raises.
        """
        with use_query_store(self.vectors):
            self.encoder.encode_queries(texts)


def _draw_generation() -> bytes:
    return secrets.token_bytes(_GENERATION_BYTES)


def _build_header(generation: bytes, identity: str, dim: int) -> bytes:
    identity_hash = hashlib.sha256(generation + identity.encode()).digest()
    return _MAGIC + generation + identity_hash + dim.to_bytes(_DIM_BYTES, "little")
