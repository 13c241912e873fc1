"""What is deployed is pinned: every dependency, by version and hash."""

import re
import tomllib
from itertools import pairwise

from tests.paths import REPOSITORY


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_with_a_hash() -> None:
    text = (REPOSITORY / "service" / "requirements.lock").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pinned = {}
    for line, following in pairwise([*lines, ""]):
        if not line.startswith(" "):
            name, _, version = line.removesuffix(" \\").partition("==")
            assert version, line
            assert following.startswith("    --hash=sha256:"), line
            pinned[normalise(name)] = version
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for dependency in project["dependencies"]:
        name, exact = re.match(r"([\w.-]+)(?:==([\w.]+))?", dependency).groups()  # type: ignore[union-attr]  # it is one
        assert normalise(name) in pinned, f"{name} is missing; make the file again, see its head"
        assert exact in (None, pinned[normalise(name)])
