"""Synthetic catalogues: random but knowable rows for tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer import Index
from tests.oracle import World

WORDS = (
    "sea",
    "rain",
    "war",
    "love",
    "ghost",
    "jazz",
    "robot",
    "garden",
    "悬疑",
    "喜剧",
    "爱情",
    "科幻",
)
BRANDS = ("north", "south", "east")


@dataclass(frozen=True)
class Built:
    """An index, the truth about it, and where it lies."""

    index: Index
    world: World
    root: Path


def described_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Items of random words; some unrated, unavailable, without a brand, or equal to others."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        row: dict[str, Any] = {
            "id": f"i{number:04d}",
            "title": " ".join(rng.choice(WORDS, rng.integers(1, 4))),
            "tags": sorted(set(rng.choice(WORDS, 3).tolist())),
            "pages": int(rng.integers(1, 500)),
        }
        if rng.random() < 0.7:
            row["rating"] = float(rng.integers(2, 11)) / 2
        if rng.random() < 0.6:
            row["brand"] = str(rng.choice(BRANDS))
        if rng.random() < 0.3:
            row["available"] = bool(rng.random() < 0.5)
        rows.append(row)
    return rows
