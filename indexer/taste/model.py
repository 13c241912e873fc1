"""The learned part of a snapshot: what fitting gives, saving keeps and serving reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SnapshotError
from indexer.taste.context_directions import ContextDirections
from indexer.taste.history import ScoreTermWeights
from indexer.taste.neighbours import Neighbours
from indexer.taste.prior import PickedPriorStats
from indexer.taste.settings import TasteSettings

_TENSORS_FILE, _SETTINGS_FILE = "taste.safetensors", "taste.json"

Block = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScoreTerms:
    """Additive terms of named items, one for each pair of a past item and a named item.

    Attributes:
        row: `(z,) int64`, the item that gains; sum over equal rows.
        entry: `(z,) int64`, the entry of the history it gains from.
        value: `(z,) float32`.
        is_repeat: `(z,) bool`, whether it is the entry's own item coming again.
    """

    row: NDArray[np.int64]
    entry: NDArray[np.int64]
    value: Block
    is_repeat: NDArray[np.bool_]

    def sum_by_row(self) -> dict[int, float]:
        """Row to the sum of its terms."""
        rows, inverse = np.unique(self.row, return_inverse=True)
        sums = np.bincount(inverse, self.value, minlength=len(rows))
        return dict(zip(rows.tolist(), sums.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class TasteModel:
    """Everything is already weighted: a request's block weights are 1 by default.

    Attributes:
        targets: `(n, d) float32`, item side of the taste block; 95th percentile of norms is 1.
        sources: `(n, d) float32`, history side.
        prior: `(n,) float32`.
        picked_prior_stats: What the prior of a picked item is.
        neighbours: Named items by source item.
        context_directions: Directions to add to the meaning part of every request vector.
        settings: The learned numbers.
        report: Validation figures and how they came about, for `report.json`.
    """

    targets: Block
    sources: Block
    prior: Block
    picked_prior_stats: PickedPriorStats
    neighbours: Neighbours
    context_directions: ContextDirections
    settings: TasteSettings
    report: Mapping[str, Any]

    def compute_score_terms(
        self, rows: NDArray[np.int64], weights: ScoreTermWeights, *, include_seen: bool
    ) -> ScoreTerms:
        """Return the named terms of a request.

        Args:
            rows: `(m,)`, the history's rows in the catalogue.
            weights: Of the same history.
            include_seen: Whether items of the history may come again.
        """
        neighbour_terms = _build_neighbour_terms(self.neighbours, rows, weights.neighbours)
        if not include_seen or not self.settings.repeat_weight or len(rows) == 0:
            return neighbour_terms
        repeat_terms = _build_repeat_terms(rows, weights.repeat, self.settings.repeat_weight)
        return ScoreTerms(
            np.r_[neighbour_terms.row, repeat_terms.row],
            np.r_[neighbour_terms.entry, repeat_terms.entry],
            np.r_[neighbour_terms.value, repeat_terms.value],
            np.r_[neighbour_terms.is_repeat, repeat_terms.is_repeat],
        )

    def save(self, folder: Path) -> None:
        """Write into an existing folder."""
        from safetensors.numpy import save_file

        tensors = {
            "targets": self.targets,
            "sources": self.sources,
            "prior": self.prior,
            "starts": self.neighbours.starts,
            "rows": self.neighbours.rows,
            "values": self.neighbours.values,
            "circumstances": self.context_directions.vectors,
        }
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / _TENSORS_FILE)
        facts = {
            "settings": asdict(self.settings),
            "usual_prior": asdict(self.picked_prior_stats),
            "circumstances": self.context_directions.names,
            "report": dict(self.report),
        }
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        (folder / _SETTINGS_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "TasteModel":
        """Read what `save` wrote.

        Raises:
            SnapshotError: If a file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(folder / _TENSORS_FILE)
            facts = json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))
            return cls(
                tensors["targets"],
                tensors["sources"],
                tensors["prior"],
                PickedPriorStats(**facts.get("usual_prior", {})),  # earlier releases did not lean
                Neighbours(tensors["starts"], tensors["rows"], tensors["values"]),
                ContextDirections(
                    tuple((column, word) for column, word in facts["circumstances"]),
                    tensors["circumstances"],
                ),
                _parse_settings(facts),
                facts["report"],
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(
                f"{folder} holds no readable taste model ({error}); "
                f"roll back with scripts/snapshots.py or rebuild"
            ) from error


def load_settings(folder: Path) -> TasteSettings:
    """Read the settings alone of what `save` wrote.

    Raises:
        SnapshotError: If they are missing, damaged or of another release.
    """
    try:
        return _parse_settings(json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"{folder / _SETTINGS_FILE} holds no readable settings ({error}); rebuild"
        ) from error


def _parse_settings(facts: Mapping[str, Any]) -> TasteSettings:
    return TasteSettings(**{**facts["settings"], "context": tuple(facts["settings"]["context"])})


def _build_neighbour_terms(
    neighbours: Neighbours, rows: NDArray[np.int64], weights: Block
) -> ScoreTerms:
    used = np.flatnonzero(weights)
    first = neighbours.starts[rows[used]]
    length = neighbours.starts[rows[used] + 1] - first
    entry = np.repeat(used, length)
    offset = np.arange(len(entry)) - np.repeat(np.cumsum(length) - length, length)
    at = np.repeat(first, length) + offset
    return ScoreTerms(
        neighbours.rows[at].astype(np.int64),
        entry,
        (neighbours.values[at] * weights[entry]).astype(np.float32),
        np.zeros(len(entry), bool),
    )


def _build_repeat_terms(rows: NDArray[np.int64], decay: Block, weight: float) -> ScoreTerms:
    """The square root of an item's summed decay, split over its entries in proportion."""
    _, item = np.unique(rows, return_inverse=True)
    total = np.bincount(item, decay)[item]
    used = np.flatnonzero(decay > 0)
    value = weight * decay[used] / np.sqrt(total[used])
    return ScoreTerms(rows[used], used, value.astype(np.float32), np.ones(len(used), bool))
