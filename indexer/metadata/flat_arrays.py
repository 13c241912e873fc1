"""Many one-dimensional arrays to five flat .npy files and back, memory-mapped.

    rows.npy    int32    row numbers
    starts.npy  int64    where each value's rows begin
    keys.npy    uint64   halves of the 128-bit hashes of values
    floats.npy  float64  numbers, instants, coordinates
    bits.npy    uint8    packed flags

There are five files for any number of fields, so opening costs the same for any catalogue.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SnapshotError

FileName: TypeAlias = Literal["rows", "starts", "keys", "floats", "bits"]
_DTYPES: dict[FileName, str] = {
    "rows": "<i4",
    "starts": "<i8",
    "keys": "<u8",
    "floats": "<f8",
    "bits": "|u1",
}


class Span(NamedTuple):
    """Where one array lies in its file, in elements."""

    offset: int
    length: int


class FlatArraysWriter:
    """Appends arrays to the files of a new folder."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[FileName, BinaryIO] = {}
        self._lengths: dict[FileName, int] = dict.fromkeys(_DTYPES, 0)
        for name, dtype in _DTYPES.items():
            self._files[name] = (folder / f"{name}.npy").open("wb")
            _write_header(self._files[name], dtype, 0)

    def append(self, name: FileName, array: NDArray[Any]) -> Span:
        """Write one array at the end of a file; return the span that `FlatArrays.read` takes."""
        span = Span(self._lengths[name], array.size)
        np.ascontiguousarray(array, dtype=_DTYPES[name]).tofile(self._files[name])
        self._lengths[name] += array.size
        return span

    def finish(self) -> None:
        """Write the final lengths into the headers."""
        for name, file in self._files.items():
            file.flush()
            file.seek(0)
            _write_header(file, _DTYPES[name], self._lengths[name])
        self.close()

    def close(self) -> None:
        """Close all files, finished or not, even if closing one of them fails on a full disk."""
        with ExitStack() as closing:
            for file in self._files.values():
                closing.callback(file.close)


class FlatArrays:
    """The files of a folder, memory-mapped read-only."""

    def __init__(self, files: dict[FileName, NDArray[Any]]) -> None:
        self._files = files

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Map the files; nothing is read until an array is used.

        Raises:
            SnapshotError: If a file is missing, truncated or of another type.
        """
        return cls({name: _map(folder / f"{name}.npy", dtype) for name, dtype in _DTYPES.items()})

    def read(self, name: FileName, span: Span) -> NDArray[Any]:
        """Return a view of one array."""
        return self._files[name][span.offset : span.offset + span.length]


def _write_header(file: BinaryIO, dtype: str, length: int) -> None:
    # NumPy pads the header so that its size does not depend on the length of this axis.
    header = {"descr": dtype, "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, header)


def _map(path: Path, dtype: str) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SnapshotError(f"{path} cannot be read ({error}); rebuild the index") from error
    if array.dtype != np.dtype(dtype) or array.ndim != 1:
        raise SnapshotError(
            f"{path} holds {array.dtype} in {array.ndim} dimensions, not one of {dtype}; "
            f"rebuild the index"
        )
    mapped: NDArray[Any] = array.view(np.ndarray)  # slicing an `np.memmap` costs 10 times as much
    return mapped
