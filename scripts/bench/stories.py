#!/usr/bin/env python3
"""Does what people meet first look right to a person?

Stories say who asks what of which catalogue, and what a person expects of the list; they are in
`stories/`, written from the items' own facts before they were asked. Each is asked in Python at a
fixed time. Prints for each whether it holds, what is wrong and the first ten titles; then the share
that holds by catalogue, language and topic. Films and books are folders of your own with items.*
and interactions.csv; without them their stories are skipped, and said to be. An index directory
that does not exist yet is built, and kept.

Examples:
  stories.py                               the bundled sample alone, about a minute to build
  stories.py --films data/films --books data/books
  stories.py --films data/films --index-films data/films_index --json
"""

import json
import sys
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _story_checks import FIRST, Lists, Shown, find_fault
from _story_files import (
    CATALOGUES,
    ItemNames,
    Story,
    check_facts,
    count_interactions,
    find_sources,
    leave_out,
    name_items,
    read_stories,
)

from indexer import Index, build_index
from indexer.errors import IndexerError
from service.commands import Progress, create_parser, run_and_exit

_HERE = Path(__file__).parent
_AT = "2026-11-24T20:30:00+08:00"  # when a story is asked that does not say: a Tuesday evening
_TITLE_CHARS = 32


@dataclass(frozen=True, slots=True)
class Shelf:
    """A catalogue to ask: its index, and how often its training log names each item."""

    index: Index
    items: Sequence[Mapping[str, Any]]
    names: ItemNames
    interactions: Counter[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A story, what is wrong with its list, and the list's first titles."""

    story: Story
    faults: list[str]
    titles: list[str]


def main() -> int:
    """Build if need be, ask every story, tell."""
    asked = _parse_arguments()
    stories = read_stories(asked.stories)
    with tempfile.TemporaryDirectory() as folder, Progress() as bars:
        shelves = {
            name: _open_shelf(getattr(asked, name), _find_root(asked, name, Path(folder)), bars)
            for name in CATALOGUES
            if getattr(asked, name) and any(story.catalogue == name for story in stories)
        }
        told = [story for story in stories if story.catalogue in shelves]
        named = [name_items(story, shelves[story.catalogue].names) for story in told]
        for story in named:
            check_facts(story, shelves[story.catalogue].items)
        verdicts = [judge(story, shelves[story.catalogue]) for story in named]
    skipped = Counter(story.catalogue for story in stories if story.catalogue not in shelves)
    for name, count in skipped.items():
        print(f"SKIPPED {count} stories of {name}: give --{name} DIR", file=sys.stderr)
    report = summarise(verdicts, skipped)
    if asked.json:
        print(json.dumps({"stories": str(asked.stories), **report}, ensure_ascii=False))
    else:
        print_report(verdicts, report)
    return int(report["rate"] < asked.min_rate)


def _parse_arguments() -> Namespace:
    made = create_parser(__doc__ or "")
    made.add_argument("--stories", type=Path, default=_HERE / "stories" / "now.toml",
                      metavar="FILE", help="default: stories/now.toml")  # fmt: skip
    folders = {"sample": _HERE.parent / "sample"}
    for name in CATALOGUES:
        made.add_argument(f"--{name}", type=Path, metavar="DIR", help=f"folder of the {name}",
                          default=folders.get(name))  # fmt: skip
        made.add_argument(f"--index-{name}", type=Path, metavar="DIR",
                          help="index directory over it; default: one is built")  # fmt: skip
    made.add_argument("--min-rate", type=float, default=0.0, metavar="SHARE",
                      help="exit with 1 if less than this share of the stories holds")  # fmt: skip
    made.add_argument("--json", action="store_true", help="one line of JSON")
    asked = made.parse_args()
    for name in CATALOGUES:
        if getattr(asked, f"index_{name}") and not getattr(asked, name):
            made.error(f"--index-{name} needs --{name} DIR, the folder with items and interactions")
    return asked


def _find_root(asked: Namespace, name: str, folder: Path) -> Path:
    """The index directory to open; one that does not exist yet is to be built."""
    return getattr(asked, f"index_{name}") or folder / name


def _open_shelf(folder: Path, root: Path, bars: Progress) -> Shelf:
    sources, log = find_sources(folder)
    if not root.exists():
        build_index(sources, root, interactions=log, report=bars)
    index = Index.open(root)
    items = [item for _, item in index.page(limit=index.count)]
    return Shelf(index, items, ItemNames(items), count_interactions(log))


def judge(story: Story, shelf: Shelf) -> Verdict:
    """Ask a story whose items have ids, and check its list."""
    try:
        shown = _ask(story.ask, shelf)
        less = {
            check["without"]: _ask(leave_out(story.ask, check["without"]), shelf)
            for check in story.checks
            if "without" in check
        }
    except IndexerError as error:
        return Verdict(story, [f"the request is refused: {error}"], [])
    lists = Lists(shown, less)
    found = [(check, find_fault(check, lists)) for check in story.checks]
    faults = [f"{_render(check)}: {fault}" for check, fault in found if fault]
    if not shown and not any("count_at_most" in check for check in story.checks):
        faults.append("the list is empty")
    return Verdict(story, faults, [one.title for one in shown[:FIRST]])


def _ask(ask: Mapping[str, Any], shelf: Shelf) -> list[Shown]:
    timed = "at" in ask or "time" in ask.get("context", {})
    body: dict[str, Any] = {**ask} if timed else {**ask, "at": _AT}
    return [
        Shown(
            hit.id,
            hit.score,
            hit.item,
            tuple(reason["kind"] for reason in hit.reasons),
            shelf.interactions[hit.id],
        )
        for hit in shelf.index.recommend(**body)
    ]


def _render(check: Mapping[str, Any]) -> str:
    text = json.dumps(check, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:120]} … {text[-36:]}"


def summarise(verdicts: Sequence[Verdict], skipped: Mapping[str, int]) -> dict[str, Any]:
    """Return the share that holds, in all and by what the stories are about, and each story."""
    return {
        "told": len(verdicts),
        "skipped": dict(skipped),
        "rate": _rate(verdicts),
        **{
            f"by_{key}": {
                value: {"told": len(group), "rate": _rate(group)}
                for value in sorted({getattr(verdict.story, key) for verdict in verdicts})
                for group in [[one for one in verdicts if getattr(one.story, key) == value]]
            }
            for key in ("catalogue", "language", "topic")
        },
        "verdicts": [
            {"name": one.story.name, "faults": one.faults, "titles": one.titles} for one in verdicts
        ],
    }


def _rate(verdicts: Sequence[Verdict]) -> float:
    held = sum(not verdict.faults for verdict in verdicts)
    return round(held / len(verdicts), 3) if verdicts else 0.0


def print_report(verdicts: Sequence[Verdict], report: Mapping[str, Any]) -> None:
    """Print the stories and the shares for people."""
    for verdict in verdicts:
        story = verdict.story
        held = "FAIL" if verdict.faults else "pass"
        print(f"{held}  {story.catalogue}  {story.topic}: {story.name}")
        for fault in verdict.faults:
            print(f"      {fault}")
        print(f"      = {' · '.join(title[:_TITLE_CHARS] for title in verdict.titles)}")
    for key in ("catalogue", "language", "topic"):
        groups = report[f"by_{key}"].items()
        print(
            f"{key}: " + ", ".join(f"{name} {g['rate']:.0%} of {g['told']}" for name, g in groups)
        )
    skipped = "".join(f", {count} of {name} skipped" for name, count in report["skipped"].items())
    print(f"{report['rate']:.1%} of {report['told']} stories hold{skipped}")


if __name__ == "__main__":
    run_and_exit(main)
