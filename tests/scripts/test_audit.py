"""A vulnerability of a pinned package fails the audit; a missing network is said and does not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.paths import REPOSITORY, SCRIPTS

SOUND = {"name": "click", "version": "8.5.1", "vulns": []}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}
BAD = {
    "name": "orjson",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}, {"id": "GHSA-2", "fix_versions": []}],
}


def run_audit(folder: Path, program: str) -> tuple[int, str]:
    """Run the script with a program in the place of pip-audit; return its code and what it says."""
    (folder / "pip_audit").mkdir()
    (folder / "pip_audit" / "__main__.py").write_text(program)
    ran = subprocess.run(
        [sys.executable, str(SCRIPTS / "_audit.py")],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


def reporting(packages: list[dict[str, Any]], code: int) -> str:
    """A program that reports as pip-audit does, and checks what it was asked for."""
    lock = REPOSITORY / "service" / "requirements.lock"
    return f"""
import sys
from pathlib import Path
asked = sys.argv[1:]
assert {str(lock)!r} in asked and "--require-hashes" in asked and "--disable-pip" in asked
report = {json.dumps({"dependencies": packages, "fixes": []})!r}
Path(asked[asked.index("--output") + 1]).write_text(report)
sys.exit({code})
"""


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, ["1 of 1 packages were audited, 0 vulnerable"]),
        ([SOUND, UNKNOWN], 0, ["1 of 2 packages were audited, 0 vulnerable; 1 were not, as torch: "
                               "Dependency not found on PyPI"]),
        ([UNKNOWN], 0, ["0 of 1 packages were audited, 0 vulnerable; 1 were not, as torch: "
                        "Dependency not found on PyPI"]),
        ([SOUND, BAD], 1, ["orjson 1.0 is vulnerable: PYSEC-1, mended in 1.1; GHSA-2, mended in no "
                           "release yet", "2 of 2 packages were audited, 1 vulnerable"]),
    ],
)  # fmt: skip
def test_vulnerabilities_alone_fail_the_audit(
    tmp_path: Path, packages: list[dict[str, Any]], code: int, said: list[str]
) -> None:
    found, told = run_audit(tmp_path, reporting(packages, code))
    assert (found, told.splitlines()) == (code, said)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys\nsys.exit('ERROR: cannot reach pypi.org')", "ERROR: cannot reach pypi.org"),
        ("import sys\nsys.exit(3)", "pip-audit ended with 3"),
    ],
)
def test_what_cannot_be_looked_up_is_said_in_one_line(
    tmp_path: Path, program: str, why: str
) -> None:
    assert run_audit(tmp_path, program) == (0, f"requirements.lock was not audited: {why}\n")
