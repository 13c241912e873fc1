"""Small synthetic interactions whose structure is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.reading.interaction import Interaction
from indexer.taste import (
    blocks,
    cases,
    catalogue_ranking,
    model_scorer,
    text_block,
    window_scorers,
)
from indexer.taste.settings import TasteSettings

Meaning = NDArray[np.float32]

# Every block that needs no circumstances counts.
ALL_BLOCKS = TasteSettings(
    meaning_doubt=0.8,
    neighbour_weight=2.0,
    taste_half_life=0.3,
    text_weight=1.5,
    prior_weight=0.1,
    prior_half_life=0.1,
    prior_lean=0.8,
    repeat_weight=1.3,
)


def compare_at_most(items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set how many items a catalogue may have for all of them to be compared."""
    for module in (cases, catalogue_ranking, model_scorer, blocks, text_block, window_scorers):
        monkeypatch.setattr(module, "MAX_COMPARED_ITEMS", items)


def interaction(
    user: str,
    item: str,
    at: float | None = None,
    *,
    event: str = "purchase",
    value: float | None = None,
    context: dict[str, str] | None = None,
) -> Interaction:
    return Interaction(user, item, event, value, at, None, context or {})


def random_meaning(n: int, dim: int = 16, seed: int = 0) -> Meaning:
    rows = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def chains(users: int = 400, n: int = 60, seed: int = 0) -> list[Interaction]:
    """After item `i` comes `i + 1`, nine times out of ten; meaning says nothing about it."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        item = int(rng.integers(n))
        start = float(rng.integers(1_000_000))
        for step in range(6):
            rows.append(interaction(f"u{user}", f"i{item}", start + step))
            item = (item + 1) % n if rng.random() < 0.9 else int(rng.integers(n))
    return rows


def habits(users: int = 200, n: int = 80, seed: int = 0) -> list[Interaction]:
    """Everybody has three items of their own and takes one of them again and again."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = rng.choice(n, 3, replace=False)
        for _ in range(12):
            at = float(rng.integers(1_000_000))
            rows.append(interaction(f"u{user}", f"i{rng.choice(own)}", at))
    return rows


def noise(rows: int, n: int = 60, seed: int = 0) -> list[Interaction]:
    """Users and items are drawn independently."""
    rng = np.random.default_rng(seed)
    return [
        interaction(f"u{rng.integers(rows // 5 + 1)}", f"i{rng.integers(n)}", float(at))
        for at in range(rows)
    ]


def ids(n: int) -> list[str]:
    return [f"i{row}" for row in range(n)]
