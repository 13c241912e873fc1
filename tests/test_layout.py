"""The house stays in order: who may import whom, and what lies at the top."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ALLOWED = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
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
