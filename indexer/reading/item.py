"""What one entry of a catalogue is after it was checked."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.reading.findings import FieldFinding


@dataclass(frozen=True, slots=True)
class Item:
    """One catalogue entry.

    Attributes:
        id: The same as `fields["id"]`.
        fields: Every field except the vector, JSON-compatible.
        vector: `(d,) float32`, finite, not all zeros; None if the text is to be encoded.
        source: The file or database it was read from; ignored by `==`.
        line: Line of the source, from 1; 0 if it has none. Ignored by `==`.
        findings: Fields that could not be read as they came. Ignored by `==`.
    """

    id: str
    fields: dict[str, Any]
    vector: NDArray[np.float32] | None
    source: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    findings: tuple[FieldFinding, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class DeletedId:
    """A change that deletes an item of the catalogue."""

    id: str
