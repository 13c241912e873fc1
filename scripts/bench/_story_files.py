"""A file of stories to checked stories whose items have ids; a folder to what a build reads."""

import csv
import gzip
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _story_checks import CHECKS, FIRST, OPTIONS, matches

from indexer.errors import CatalogError

CATALOGUES = ("sample", "films", "books")
LANGUAGES = ("en", "zh")
_KEYS = {"name", "catalogue", "language", "topic", "ask", "checks"}
_ITEM_CHECKS = ("contains_one_of", "contains_none_of", "rank_above")


@dataclass(frozen=True, slots=True)
class Story:
    """Who asks what, and what a person expects of the list.

    Attributes:
        name: In the language of whoever asks; unlike any other in its file.
        catalogue: One of `CATALOGUES`.
        language: One of `LANGUAGES`.
        topic: What it is about, in a word or two.
        ask: A body of POST /v1/recommend.
        checks: Each a kind of `CHECKS` with its value and options.
    """

    name: str
    catalogue: str
    language: str
    topic: str
    ask: Mapping[str, Any]
    checks: tuple[Mapping[str, Any], ...]


class ItemNames:
    """Ids and titles of a catalogue to ids."""

    def __init__(self, items: Iterable[Mapping[str, Any]]) -> None:
        self._ids: set[str] = set()
        self._by_title: dict[str, list[str]] = {}
        for item in items:
            self._ids.add(item["id"])
            self._by_title.setdefault(str(item.get("title", "")).strip(), []).append(item["id"])

    def find(self, name: str) -> list[str]:
        """Return the id that is called so, or those of all items with this title.

        Raises:
            CatalogError: If there is none.
        """
        found = [name] if name in self._ids else self._by_title.get(name, [])
        if not found:
            raise CatalogError(f"no item has the id or title {name!r}; mend the story")
        return found

    def find_one(self, name: str) -> str:
        """The same where one is meant.

        Raises:
            CatalogError: If there is none, or more than one.
        """
        found = self.find(name)
        if len(found) > 1:
            ids = ", ".join(found)
            raise CatalogError(f"{len(found)} items have the title {name!r}; name one of {ids}")
        return found[0]


def read_stories(path: Path) -> list[Story]:
    """Read a file of `[[story]]` tables.

    Raises:
        CatalogError: If it is no TOML, or a story lacks or has what it should not.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("story", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path} is not TOML: {error}") from error
    if not tables:
        raise CatalogError(f"{path} has no [[story]]")
    stories = [_to_story(table, path) for table in tables]
    names = Counter(story.name for story in stories)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise CatalogError(f"{path} has two stories called {twice[0]!r}; name one otherwise")
    return stories


def _to_story(table: Mapping[str, Any], path: Path) -> Story:
    where = f"{path}: the story {table.get('name', 'without a name')!r}"
    if set(table) != _KEYS:
        odd = ", ".join(sorted(set(table) ^ _KEYS))
        raise CatalogError(f"{where} needs exactly {', '.join(sorted(_KEYS))}; look at {odd}")
    for key, known in (("catalogue", CATALOGUES), ("language", LANGUAGES)):
        if table[key] not in known:
            raise CatalogError(f"{where} has the {key} {table[key]!r}; use {' or '.join(known)}")
    if not table["checks"]:
        raise CatalogError(f"{where} has no checks, so it could not fail; write one")
    for check in table["checks"]:
        _examine_check(check, where)
    return Story(**{**table, "checks": tuple(table["checks"])})


def _examine_check(check: Mapping[str, Any], where: str) -> None:
    kinds = [kind for kind in CHECKS if kind in check]
    if len(kinds) != 1:
        raise CatalogError(f"{where}: {dict(check)} is not one check of {', '.join(CHECKS)}")
    needed, optional = OPTIONS[kinds[0]]
    options = set(check) - {kinds[0]}
    if not needed <= options <= needed | optional:
        odd = ", ".join(sorted((needed - options) | (options - needed - optional)))
        raise CatalogError(f"{where}: look at {odd} of {dict(check)}")
    if kinds[0] == "share_of" and not options & {"at_least", "at_most"}:
        raise CatalogError(f"{where}: {dict(check)} could not fail; give at_least or at_most")


def name_items(story: Story, names: ItemNames) -> Story:
    """Return the story with ids wherever it names items.

    Raises:
        CatalogError: If a name is of no item, or of several where one is meant.
    """
    try:
        ask = dict(story.ask)
        if "history" in ask:
            ask["history"] = [_name_entry(entry, names) for entry in ask["history"]]
        checks = tuple(_name_in_check(check, names) for check in story.checks)
    except CatalogError as error:
        raise CatalogError(f"the story {story.name!r}: {error}") from error
    return Story(story.name, story.catalogue, story.language, story.topic, ask, checks)


def _name_entry(entry: Mapping[str, Any], names: ItemNames) -> dict[str, Any]:
    if "item_id" not in entry:
        return dict(entry)
    return {**entry, "item_id": names.find_one(entry["item_id"])}


def _name_in_check(check: Mapping[str, Any], names: ItemNames) -> dict[str, Any]:
    named = dict(check)
    for kind in _ITEM_CHECKS:
        if kind == "rank_above" and kind in check:
            named[kind] = [names.find_one(name) for name in check[kind]]
        elif kind in check:
            named[kind] = [item_id for name in check[kind] for item_id in names.find(name)]
    return named


def check_facts(story: Story, items: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a share that no list over this catalogue could reach, or could miss.

    Raises:
        CatalogError: If there is one.
    """
    for check in story.checks:
        if "share_of" not in check:
            continue
        count = sum(matches(item, check["share_of"]) for item in items)
        if count < max(1, check.get("at_least", 0) * check.get("first", FIRST)):
            raise CatalogError(
                f"the story {story.name!r}: {count} of {len(items)} items are as {dict(check)} "
                f"wants them; mend the condition"
            )


def leave_out(ask: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return a request with less said.

    Args:
        ask: A body of POST /v1/recommend.
        what: A field of it, or a list and the place in it, from 0, such as "history.3".

    Raises:
        CatalogError: If there is no such thing in it.
    """
    field, _, place = what.partition(".")
    if field not in ask or (place and not 0 <= int(place) < len(ask[field])):
        raise CatalogError(f"there is no {what} to leave out of {dict(ask)}")
    if not place:
        return {key: value for key, value in ask.items() if key != field}
    return {**ask, field: [*ask[field][: int(place)], *ask[field][int(place) + 1 :]]}


def find_sources(folder: Path) -> tuple[list[Path], Path | None]:
    """Return the files of a folder's items, and that of its interactions if there is one.

    Raises:
        CatalogError: If it has no items.
    """
    items = sorted(folder.glob("items.*")) or sorted(folder.glob("*.jsonl"))
    if not items:
        raise CatalogError(f"{folder} has neither items.* nor *.jsonl; name a catalogue's folder")
    return items, next(iter(sorted(folder.glob("interactions.csv*"))), None)


def count_interactions(path: Path | None) -> Counter[str]:
    """Return how many rows of a CSV file, plain or .gz, name each item; without a file, none.

    Raises:
        CatalogError: If it has no column `item_id`.
    """
    if path is None:
        return Counter()
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = csv.DictReader(lines)
        if "item_id" not in (rows.fieldnames or ()):
            raise CatalogError(f"{path} has no column item_id")
        return Counter(row["item_id"] for row in rows)
