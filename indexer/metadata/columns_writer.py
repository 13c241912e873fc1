"""Items to the columns of their fields on disk, one item at a time.

Values are first written to small temporary files, then turned into columns field by field. Memory
at the peak is the values of one field plus a cache of words: about 60 bytes for each value of the
largest field (60 MB for a million titles, 300 MB for a million items with five tags) and at most
80 MB besides.
"""

import json
import shutil
import tempfile
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.metadata.close_on_exit import CloseOnExit
from indexer.metadata.field_columns import FieldValues, write_field
from indexer.metadata.flat_arrays import FlatArraysWriter
from indexer.metadata.postings import hash_word
from indexer.metadata.schema import FieldType, Schema
from indexer.metadata.values import DateGuess, GeoPoint, NonValue, Value, collect_leaves

COLUMNS_VERSION = 1
MAX_FIELDS = 2_000  # further fields are stored and returned, but filters cannot name them
MAX_COUNTED_CHARS = 256  # longer text can be filtered on, but is not among the top values

_CHUNK_VALUES = 16_384
_MAX_CACHED_WORDS = 200_000


class ColumnsWriter(CloseOnExit):
    """Writes the columns of rows 0, 1, … to a folder; use it as a context manager.

    Leaving the context without `finish` removes the temporary files.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._scratch = Path(tempfile.mkdtemp(prefix=".spool-", dir=self._folder))
        self._texts = _TextFile(self._scratch / "texts")
        self._spools: dict[str, _FieldSpool] = {}
        self._count = 0
        self._cached_word_count = 0

    def add(self, fields: Mapping[str, Any]) -> None:
        """Add the values of the item of the next row."""
        for path, value, in_list in collect_leaves(fields):
            spool = self._spools.get(path) or self._add_field(path)
            if spool is not None:
                self._cached_word_count += spool.add(self._count, value)
                spool.is_list |= in_list
        self._count += 1
        if self._cached_word_count > _MAX_CACHED_WORDS:
            self._clear_word_cache()

    def finish(self) -> Schema:
        """Write the columns and return the schema of their fields."""
        files = FlatArraysWriter(self._folder)
        infos, parts = {}, {}
        try:
            for name, spool in self._spools.items():
                values = spool.read(name)
                infos[name], parts[name] = write_field(values, self._count, files, self._texts.file)
            files.finish()
        finally:
            files.close()
        schema = Schema(infos)
        content = {"version": COLUMNS_VERSION, "count": self._count, "parts": parts}
        encoded = json.dumps({**content, **schema.to_json()}, ensure_ascii=True)
        (self._folder / "columns.json").write_text(encoded, encoding="ascii")
        self.close()
        return schema

    def close(self) -> None:
        """Remove the temporary files."""
        self._texts.file.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _add_field(self, path: str) -> "_FieldSpool | None":
        number = len(self._spools)
        if number == MAX_FIELDS:
            return None
        self._spools[path] = _FieldSpool(path, self._scratch / str(number), self._texts)
        return self._spools[path]

    def _clear_word_cache(self) -> None:
        for spool in self._spools.values():
            spool.codes.clear()
        self._cached_word_count = 0


class _FieldSpool:
    """The values of one field so far, in the order of rows.

    A word gets a code when it is first seen. After the cache of codes was cleared it gets another
    one, and `write_field` merges the codes of equal words by their key.
    """

    def __init__(self, path: str, prefix: Path, texts: "_TextFile") -> None:
        self.is_list = False
        self.codes: dict[str | bool, int] = {}
        self._texts = texts
        self._arrays = {
            name: _Spool(prefix, name, typecode) for name, typecode in _SPOOL_TYPECODES.items()
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
        if isinstance(value, float):
            arrays["number_rows"].append(row)
            arrays["numbers"].append(value)
        elif isinstance(value, GeoPoint):
            arrays["place_rows"].append(row)
            arrays["degrees"].append(value.lat)
            arrays["degrees"].append(value.lon)
        elif value is NonValue.OBJECT:
            arrays["object_rows"].append(row)
        return 0

    def read(self, name: str) -> FieldValues:
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
        key = hash_word(word)
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
    "number_rows": "i", "numbers": "d",
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

    def __init__(self, prefix: Path, name: str, typecode: str) -> None:
        self._path = prefix.with_name(f"{prefix.name}-{name}")
        self._tail: array[Any] = array(typecode)
        self._typecode = typecode

    def append(self, value: float) -> None:
        self._tail.append(value)
        if len(self._tail) == _CHUNK_VALUES:
            with self._path.open("ab") as file:
                self._tail.tofile(file)
            del self._tail[:]

    def read(self) -> NDArray[Any]:
        tail = np.array(self._tail, dtype=self._typecode)
        if not self._path.exists():
            return tail
        return np.concatenate([np.fromfile(self._path, dtype=self._typecode), tail])
