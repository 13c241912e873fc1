"""Values of fields so far to temporary files, and these to the `FieldValues` of each field."""

import json
import shutil
import tempfile
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.metadata.character_folding import fold_characters
from indexer.metadata.field_columns import FieldValues
from indexer.metadata.postings import hash_word
from indexer.metadata.schema import FieldType
from indexer.metadata.values import DateGuess, GeoPoint, NonValue, Value, split_number

MAX_FIELDS = 2_000  # further fields are stored and returned, but filters cannot name them
MAX_COUNTED_CHARS = 256  # longer text can be filtered on, but is not among the top values

_CHUNK_VALUES = 16_384
_MAX_CACHED_WORDS = 200_000


class SpoolFolder:
    """The temporary files of a writer, and the spools of all its fields."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=".spool-", dir=folder))
        self.texts = _TextFile(self._folder / "texts")
        self.cached_word_count = 0
        self._fields: list[FieldSpool] = []
        self._spool_count = self._nested_count = 0

    def add_field(self, path: str) -> "FieldSpool":
        """Return a new spool for a field."""
        spool = FieldSpool(path, self)
        self._fields.append(spool)
        return spool

    def add_nested_field(self, path: str) -> "FieldSpool | None":
        """Return a new spool for a field of objects in lists; None if there are too many."""
        if self._nested_count == MAX_FIELDS:
            return None
        self._nested_count += 1
        return self.add_field(path)

    def make_spool(self, typecode: str) -> "_Spool":
        """Return a new array that grows."""
        self._spool_count += 1
        return _Spool(self._folder / str(self._spool_count), typecode)

    def limit_word_caches(self) -> None:
        """Empty the caches of words if they are large."""
        if self.cached_word_count > _MAX_CACHED_WORDS:
            for spool in self._fields:
                spool.codes.clear()
            self.cached_word_count = 0

    def close(self) -> None:
        """Remove all files."""
        self.texts.file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class FieldSpool:
    """The values of one field so far, in the order of rows.

    A word gets a code when it is first seen. After the cache of codes was cleared it gets another
    one, and `write_field` merges the codes of equal words by their key.
    """

    def __init__(self, path: str, spool_folder: SpoolFolder) -> None:
        self.is_list = False
        self.codes: dict[str | bool, int] = {}
        self._texts = spool_folder.texts
        self._arrays = {
            name: spool_folder.make_spool(typecode) for name, typecode in _SPOOL_TYPECODES.items()
        }
        self._next_code = 0
        self._dates = DateGuess(path)
        self._word_kinds: set[FieldType] = set()

    def add(self, row: int, value: Value) -> int:
        """Store one value; return by how many words the cache grew."""
        arrays = self._arrays
        if isinstance(value, str | bool):
            known = self.codes.get(value)
            code = self._assign_code(value) if known is None else known
            arrays["word_rows"].append(row)
            arrays["word_codes"].append(code)
            return int(known is None)
        if isinstance(value, int | float):
            nearest, remainder = split_number(value)
            if remainder:
                arrays["remainder_places"].append(len(arrays["numbers"]))
                arrays["remainders"].append(remainder)
            arrays["number_rows"].append(row)
            arrays["numbers"].append(nearest)
        elif isinstance(value, GeoPoint):
            arrays["place_rows"].append(row)
            arrays["degrees"].append(value.lat)
            arrays["degrees"].append(value.lon)
        elif value is NonValue.OBJECT:
            arrays["object_rows"].append(row)
        return 0

    def read(self, name: str) -> FieldValues:
        """Return all values of the field, under a name."""
        arrays = {spool: values.read() for spool, values in self._arrays.items()}
        kinds = self._word_kinds | {kind for kind, rows in _ROW_SPOOLS.items() if len(arrays[rows])}
        return FieldValues(
            name=name,
            is_list=self.is_list,
            kinds=frozenset(kinds),
            may_be_date=self._dates.holds,
            **arrays,
        )

    def _assign_code(self, word: str | bool) -> int:  # noqa: FBT001  # a value, not a switch
        code = self._next_code
        self._next_code += 1
        self.codes[word] = code
        self._word_kinds.add(FieldType.STRING if isinstance(word, str) else FieldType.BOOLEAN)
        key = hash_word(fold_characters(word) if isinstance(word, str) else word)
        self._arrays["code_high"].append(key.high)
        self._arrays["code_low"].append(key.low)
        self._arrays["code_texts"].append(self._store_text(word))
        if self._dates.is_open:
            self._arrays["code_instants"].append(self._dates.observe(word))
        return code

    def _store_text(self, word: str | bool) -> int:  # noqa: FBT001  # a value, not a switch
        """Write a word to the file of texts; return its offset, or -1 if it is too long."""
        if isinstance(word, str) and len(word) > MAX_COUNTED_CHARS:
            return -1
        return self._texts.append(json.dumps(word).encode("ascii"))


_SPOOL_TYPECODES = {
    "word_rows": "i", "word_codes": "i",
    "code_high": "Q", "code_low": "Q", "code_texts": "q", "code_instants": "d",
    "number_rows": "i", "numbers": "d", "remainder_places": "q", "remainders": "d",
    "place_rows": "i", "degrees": "d",
    "object_rows": "i",
}  # fmt: skip


_ROW_SPOOLS = {
    FieldType.NUMBER: "number_rows",
    FieldType.LOCATION: "place_rows",
    FieldType.OBJECT: "object_rows",
}


class _TextFile:
    """A file of lines, each read by the offset that `append` returned."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+b")
        self._size = 0  # `tell` would cost as much as the write

    def append(self, line: bytes) -> int:
        offset = self._size
        self._size += self.file.write(line + b"\n")
        return offset


class _Spool:
    """An array that grows at its end: the last chunk in memory, the rest in a file."""

    def __init__(self, path: Path, typecode: str) -> None:
        self._path = path
        self._tail: array[Any] = array(typecode)
        self._typecode = typecode
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, value: float) -> None:
        self._tail.append(value)
        self._count += 1
        if len(self._tail) == _CHUNK_VALUES:
            with self._path.open("ab") as file:
                self._tail.tofile(file)
            del self._tail[:]

    def read(self) -> NDArray[Any]:
        tail = np.array(self._tail, dtype=self._typecode)
        if not self._path.exists():
            return tail
        return np.concatenate([np.fromfile(self._path, dtype=self._typecode), tail])
