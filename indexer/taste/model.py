"""The taste model of a snapshot: learned blocks to score terms, and to files and back."""

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
from indexer.taste.settings import TasteSettings, parse_settings

_TENSORS_FILE, _SETTINGS_FILE = "taste.safetensors", "taste.json"

Block = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScoreTerms:
    """Terms that are added to the scores of single items, one for each history entry and item.

    Attributes:
        row: `(z,) int64`, the item; terms of equal rows are summed.
        entry: `(z,) int64`, position of the history entry that the term comes from.
        value: `(z,) float32`.
        is_repeat: `(z,) bool`, whether the item is the entry's own.
    """

    row: NDArray[np.int64]
    entry: NDArray[np.int64]
    value: Block
    is_repeat: NDArray[np.bool_]

    def sum_by_row(self) -> dict[int, float]:
        """Return row to the sum of its terms."""
        rows, inverse = np.unique(self.row, return_inverse=True)
        sums = np.bincount(inverse, self.value, minlength=len(rows))
        return dict(zip(rows.tolist(), sums.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class TasteModel:
    """The learned blocks, already multiplied by their learned weights.

    Attributes:
        targets: `(n, d) float32`, taste vectors of candidates; the 95th percentile of their norms
            is 1.
        sources: `(n, d) float32`, taste vectors of history items.
        prior: `(n,) float32`, popularity prior.
        picked_prior_stats: Mean and spread of the prior over picks.
        newness: `(n,) float32`, the part of the prior that items have because they arrived lately.
        arrival_prior: The prior of an item that arrives after the snapshot.
        picks: `(n,) float32`, decayed number of picks of each item, whatever the prior weighs; not
            saved, and of a saved model empty.
        has_picks: Whether anybody picked anything.
        neighbours: For each item the items that follow it, with strengths.
        context_directions: Directions that a context adds to the meaning part of query vectors.
        settings: The learned settings.
        report: Validation metrics, for `report.json`.
    """

    targets: Block
    sources: Block
    prior: Block
    picked_prior_stats: PickedPriorStats
    newness: Block
    arrival_prior: float
    picks: Block
    has_picks: bool
    neighbours: Neighbours
    context_directions: ContextDirections
    settings: TasteSettings
    report: Mapping[str, Any]

    @property
    def has_prior(self) -> bool:
        """Whether popularity was learned."""
        return self.settings.prior_weight > 0 and (
            self.picked_prior_stats.mean > 0 or self.arrival_prior > 0
        )

    def compute_score_terms(
        self, rows: NDArray[np.int64], weights: ScoreTermWeights, *, include_seen: bool
    ) -> ScoreTerms:
        """Return the score terms of a history: of neighbours, and of its own items if allowed.

        Args:
            rows: `(m,)`, catalogue rows of the history.
            weights: Of the same history.
            include_seen: Whether items of the history may be recommended again.
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
        """Write the model as two files into an existing folder."""
        from safetensors.numpy import save_file

        tensors = {
            "targets": self.targets,
            "sources": self.sources,
            "prior": self.prior,
            "newness": self.newness,
            "starts": self.neighbours.starts,
            "rows": self.neighbours.rows,
            "values": self.neighbours.values,
            "circumstances": self.context_directions.vectors,
        }
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / _TENSORS_FILE)
        facts = {
            "settings": asdict(self.settings),
            "usual_prior": asdict(self.picked_prior_stats),
            "arrival_prior": self.arrival_prior,
            "has_picks": self.has_picks,
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
                # The next five are missing in earlier releases.
                PickedPriorStats(**facts.get("usual_prior", {})),
                tensors.get("newness", np.zeros_like(tensors["prior"])),
                facts.get("arrival_prior", float(np.median(tensors["prior"]))),
                np.zeros(0, np.float32),
                facts.get("has_picks", False),
                Neighbours(tensors["starts"], tensors["rows"], tensors["values"]),
                ContextDirections(
                    tuple((column, word) for column, word in facts["circumstances"]),
                    tensors["circumstances"],
                ),
                parse_settings(facts["settings"]),
                facts["report"],
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(
                f"{folder} holds no readable taste model ({error}); "
                f"roll back with zhiyin snapshots or rebuild"
            ) from error


def load_settings(folder: Path) -> TasteSettings:
    """Read only the settings of a saved model.

    Raises:
        SnapshotError: If they are missing, damaged or of an incompatible release.
    """
    try:
        return parse_settings(
            json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))["settings"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"{folder / _SETTINGS_FILE} holds no readable settings ({error}); rebuild"
        ) from error


def parse_settings_without_newest(report: Mapping[str, Any]) -> TasteSettings | None:
    """Return the settings that a fit tuned without the newest events, None if it did not.

    Args:
        report: Of the model.
    """
    settings = report.get("without_newest")
    return None if settings is None else parse_settings(settings)


def _build_neighbour_terms(
    neighbours: Neighbours, rows: NDArray[np.int64], weights: Block
) -> ScoreTerms:
    """Return the neighbours of every entry with a weight, times that weight."""
    used = np.flatnonzero(weights)
    first = neighbours.starts[rows[used]]
    length = neighbours.starts[rows[used] + 1] - first
    entry = np.repeat(used, length)
    at = np.arange(len(entry)) + np.repeat(first - np.cumsum(length) + length, length)
    return ScoreTerms(
        neighbours.rows[at].astype(np.int64),
        entry,
        neighbours.values[at] * weights[entry],
        np.zeros(len(entry), bool),
    )


def _build_repeat_terms(rows: NDArray[np.int64], decay: Block, weight: float) -> ScoreTerms:
    """Return, for each item, `weight` times the square root of its summed decay.

    The value is split over the item's entries in proportion to their decay.
    """
    _, item = np.unique(rows, return_inverse=True)
    total = np.bincount(item, decay)[item]
    used = np.flatnonzero(decay > 0)
    value = weight * decay[used] / np.sqrt(total[used])
    return ScoreTerms(rows[used], used, value.astype(np.float32), np.ones(len(used), bool))
