#!/usr/bin/env python3
"""Measure what the first five clicks of a visitor are worth, on the bundled sample catalogue.

Fifty visitors, 25 of each language, each like one kind of thing, written down below before anything
was measured: a kind and a category of the sample's own fields. Each clicks five things of their
kind in their language, in random order, over HTTP; before the first click and after each one the
service recommends ten things they have not touched. The figure is the share of their kind among the
ten, in whichever language. Two controls: the same visitor before any click, and a visitor who
clicks five random things of the language. A kind has but some 7 to 20 things, so clicks use it up;
what a click adds shows in `same_items`, where all five things to be clicked are left out of every
list from the start. Intervals are 95% bootstrap over visitors. Prints one JSON line.

Example:
  visitors.py                     builds an index over the sample first, about a minute
  visitors.py --index data/quickstart
"""

import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import Index, build_index
from service.commands import Progress, create_parser, run_and_exit
from service.jobs import Caller, Service

SAMPLE = Path(__file__).parents[1] / "sample"
K, CLICKS = 10, 5
LIKED = {
    "en": (
        "film comedy, film mystery, film romance, film horror, film adventure, "
        "film science fiction, film animation, music classical, music rock, music jazz, "
        "news space, news technology, news world, news science, news climate, outing museum, "
        "product kitchen, product sport, product toys, product outdoor, game tabletop, "
        "game role-playing, book children, book literary fiction, book mystery"
    ),
    "zh": (
        "film comedy, film mystery, film romance, film drama, film animation, "
        "film science fiction, music classical, music rock, music traditional, music folk, "
        "music mandopop, music cantopop, news space, news technology, news sport, news culture, "
        "outing museum, outing historic site, product kitchen, product toys, product tea, "
        "product stationery, product outdoor, game tabletop, book literary fiction"
    ),
}
_RESAMPLES = 5_000


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who likes one kind of thing."""

    language: str
    kind: str
    category: str

    @property
    def name(self) -> str:
        """An id that tells who it is."""
        return f"{self.language} {self.kind} {self.category}"

    def likes(self, item: dict[str, Any]) -> bool:
        """Whether an item is of the kind."""
        return item.get("kind") == self.kind and self.category in item.get("categories", ())


def main() -> int:
    """Build if need be, serve, click, compare."""
    made = create_parser(__doc__ or "")
    made.add_argument("--index", type=Path, metavar="DIR", help="over the sample catalogue")
    made.add_argument("--seed", type=int, default=0, help="of the order of clicks (default 0)")
    asked = made.parse_args()
    with tempfile.TemporaryDirectory() as folder, Progress() as bars:
        root = asked.index or Path(folder) / "index"
        if asked.index is None:
            build_index(sorted(SAMPLE.glob("*.jsonl")), root, report=bars)
        items = [item for _, item in Index.open(root).page(limit=10_000)]
        with Service(root, f"sqlite:///{Path(folder) / 'visitors.sqlite'}") as service:
            told = measured(items, service.connect(), seed=asked.seed, bars=bars)
    print(json.dumps({"items": len(items), "k": K, "seed": asked.seed, **told}))
    return 0


def visitors() -> list[Visitor]:
    """Return the fifty."""
    return [
        Visitor(language, *liked.strip().split(" ", 1))
        for language, kinds in LIKED.items()
        for liked in kinds.split(",")
    ]


def measured(
    items: Sequence[dict[str, Any]], caller: Caller, *, seed: int, bars: Progress
) -> dict[str, Any]:
    """Let everybody click, and return the figures."""
    rng = random.Random(seed)
    everybody = visitors()
    wanted, anything = [], []
    for visitor in everybody:
        own = [item for item in items if item.get("language") == visitor.language]
        wanted.append(rng.sample([item["id"] for item in own if visitor.likes(item)], CLICKS))
        anything.append(rng.sample([item["id"] for item in own], CLICKS))
    # All of these come before the first click: what some click is in fashion for the next ones.
    untold = [_share(caller, visitor, {"user_id": visitor.name}) for visitor in everybody]
    apart = [
        _share(caller, visitor, {"user_id": visitor.name, "exclude": clicks})
        for visitor, clicks in zip(everybody, wanted, strict=True)
    ]
    liking, control, same, most = [], [], [], []
    for number, visitor in enumerate(everybody):
        name, clicks = visitor.name, wanted[number]
        liking.append([untold[number], *_shares(caller, visitor, name, clicks)])
        again = _shares(caller, visitor, f"{name} again", clicks, exclude=clicks)
        same.append([apart[number], *again])
        astray = _shares(caller, visitor, f"{name} at random", anything[number])
        control.append([untold[number], *astray])
        held = sum(map(visitor.likes, items))
        most.append([min(K, held - clicked) / K for clicked in range(CLICKS + 1)])
        bars("visitors", number + 1, len(everybody))
    found = {"liking": liking, "random": control, "same": same, "most": most}
    arms = {name: np.array(shares) for name, shares in found.items()}
    languages = np.array([visitor.language for visitor in everybody])
    everyone = np.ones(len(everybody), np.bool_)
    return {
        "both": _figures(arms, everyone),
        **{name: _figures(arms, languages == name) for name in LIKED},
    }


def _shares(
    caller: Caller,
    visitor: Visitor,
    user_id: str,
    clicks: Sequence[str],
    *,
    exclude: Sequence[str] = (),
) -> list[float]:
    """The share of the visitor's kind after each click."""
    asked = {"user_id": user_id, "exclude": list(exclude)}
    shares = []
    for item_id in clicks:
        event = {"user_id": user_id, "item_id": item_id, "event": "click"}
        caller.post("/v1/events", event)
        shares.append(_share(caller, visitor, asked))
    return shares


def _share(caller: Caller, visitor: Visitor, asked: dict[str, Any]) -> float:
    body = {**asked, "k": K, "explain": False, "fields": ["kind", "categories"]}
    hits = caller.post("/v1/recommend", body)["items"]
    return sum(visitor.likes(hit["item"]) for hit in hits) / K


def _figures(arms: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Mean shares after 0 to 5 clicks, the most there could be, and what liking gains."""
    liking, control = arms["liking"][chosen], arms["random"][chosen]
    return {
        "visitors": len(liking),
        "liking": _told(liking),
        "random_clicks": _told(control),
        "same_items": _told(arms["same"][chosen]),
        "over_no_click": _told(liking[:, 1:] - liking[:, :1]),
        "over_random_clicks": _told(liking[:, 1:] - control[:, 1:]),
        "most_possible": arms["most"][chosen].mean(axis=0).round(3).tolist(),
    }


def _told(values: NDArray[np.float64]) -> list[list[float]]:
    """For each number of clicks the mean over visitors with its 95% interval."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(values), (_RESAMPLES, len(values)))
    means = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    rows = np.stack([values.mean(axis=0), low, high], axis=1)
    found: list[list[float]] = rows.round(3).tolist()
    return found


if __name__ == "__main__":
    run_and_exit(main)
