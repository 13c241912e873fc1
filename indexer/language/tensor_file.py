"""A safetensors file of a meaning space to its tensors."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SnapshotError


def load_tensors(path: Path, *names: str) -> list[NDArray[np.float32]]:
    """Return the named tensors of a safetensors file, each `(d,)` or `(d, d)` of the same `d`.

    Raises:
        SnapshotError: If the file is missing or damaged, or lacks one of them.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors: dict[str, NDArray[np.float32]] = load_file(path)
        parts = [tensors[name] for name in names]
    except KeyError as error:
        raise _make_read_error(path, f"it has no {error}") from error
    except (OSError, SafetensorError) as error:
        raise _make_read_error(path, error) from error
    dim = parts[0].shape[-1] if parts[0].ndim else 0
    if any(part.shape not in ((dim,), (dim, dim)) for part in parts):
        raise _make_read_error(path, f"its shapes are {[part.shape for part in parts]}")
    return parts


def _make_read_error(path: Path, cause: object) -> SnapshotError:
    return SnapshotError(
        f"{path} cannot be read ({cause}); roll back with zhiyin snapshots or rebuild"
    )
