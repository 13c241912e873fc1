"""Pinned packages to their known vulnerabilities, with pip-audit; see `scripts/audit`."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_LOCK = Path(__file__).resolve().parent.parent / "service" / "requirements.lock"
_TIMEOUT_S = 300


def main() -> int:
    """Ask, tell, and return the exit code."""
    try:
        packages = _run_pip_audit(_LOCK)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        print(f"{_LOCK.name} was not audited: {' '.join(str(error).split())}")
        return 0
    vulnerable = [package for package in packages if package.get("vulns")]
    skipped = [package for package in packages if "skip_reason" in package]
    for package in vulnerable:
        print(_describe(package))
    print(_summarise(packages, skipped, vulnerable))
    return 1 if vulnerable else 0


def _run_pip_audit(lock: Path) -> list[dict[str, Any]]:
    """Return what pip-audit knows of each package; it looks up exactly the pinned versions.

    Raises:
        ValueError: If it has no answer; its last line says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"),
            *("--progress-spinner", "off", "--requirement", str(lock)),
            *("--format", "json", "--output", str(report)),
        ]
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
        # Its exit code is 1 for a vulnerability as for a network that is not there.
        if not report.exists():
            lines = ran.stderr.strip().splitlines()
            raise ValueError(lines[-1] if lines else f"pip-audit ended with {ran.returncode}")
        packages: list[dict[str, Any]] = json.loads(report.read_text("utf-8"))["dependencies"]
        return packages


def _describe(package: dict[str, Any]) -> str:
    known = "; ".join(
        f"{one['id']}, mended in {' or '.join(one['fix_versions']) or 'no release yet'}"
        for one in package["vulns"]
    )
    return f"{package['name']} {package['version']} is vulnerable: {known}"


def _summarise(
    packages: Sequence[dict[str, Any]],
    skipped: Sequence[dict[str, Any]],
    vulnerable: Sequence[dict[str, Any]],
) -> str:
    looked_up = len(packages) - len(skipped)
    summary = f"{looked_up} of {len(packages)} packages were audited, {len(vulnerable)} vulnerable"
    if skipped:
        why = str(skipped[0]["skip_reason"])
        summary += f"; {len(skipped)} were not, as {skipped[0]['name']}: {why}"
    return summary


if __name__ == "__main__":
    sys.exit(main())
