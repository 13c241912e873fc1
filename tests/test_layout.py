"""The house stays in order: who may import whom, and what lies at the top."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.paths import REPOSITORY

ALLOWED = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "README.zh-CN.md",
    "indexer",
    "pyproject.toml",
    "scripts",
    "service",
    "tests",
}


def top_level(listed: str) -> set[str]:
    """First parts of the paths that git lists, one path after each NUL."""
    return {path.split("/")[0] for path in listed.split("\0") if path}


def test_the_top_level_holds_what_it_may_and_no_more() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    assert top_level(listed.stdout) - ALLOWED == set()


def test_packages_import_each_other_as_agreed() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [lint, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


SOURCES = sorted(
    path for top in ("indexer", "service", "scripts") for path in (REPOSITORY / top).rglob("*.py")
)
ROOMS = sorted(
    f"{top}.{path.parent.name}"
    for top in ("indexer", "service")
    for path in (REPOSITORY / top).glob("*/__init__.py")
)


def room_of(module: str) -> str | None:
    """The package below `indexer` or `service` that a module lies in."""
    first_two = ".".join(module.split(".")[:2])
    return first_two if first_two in ROOMS else None


@cache
def imports_of(path: Path) -> list[tuple[int, str, str]]:
    """Line, module and name of everything that a file imports from a module."""
    return list(iterate_imports(path))


def iterate_imports(path: Path) -> Iterator[tuple[int, str, str]]:
    """The same, one by one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)


def behind_the_face(path: Path) -> list[str]:
    """Imports of a file that go past the face of another room."""
    own = room_of(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
    found = []
    for line, module, name in imports_of(path):
        room = room_of(module)
        if room is None or room == own:
            continue
        if module != room or name not in importlib.import_module(room).__all__:
            found.append(f"{path.relative_to(REPOSITORY)}:{line} {module} {name}")
    return found


def test_a_room_is_entered_by_its_face_only() -> None:
    assert [wrong for path in SOURCES for wrong in behind_the_face(path)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_comes_in_and_what_goes_out(room: str) -> None:
    said = (importlib.import_module(room).__doc__ or "").strip().splitlines()
    assert len(said[0]) > 20
    assert any(line.startswith("In: ") for line in said), room
    assert any(line.startswith("Out: ") for line in said), room


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_shows_no_name_that_nobody_outside_asks_for(room: str) -> None:
    asked = {name for path in SOURCES for _, module, name in imports_of(path) if module == room}
    assert set(importlib.import_module(room).__all__) - asked == set()
