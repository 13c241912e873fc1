"""The soak in short: nothing acknowledged is lost while everything happens at once."""

import json
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY


@pytest.mark.slow
def test_nothing_is_lost_while_workers_and_builds_are_killed() -> None:
    command = [sys.executable, "scripts/bench/soak.py", "--minutes", "0.75"]
    ran = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=600
    )
    assert ran.stdout, ran.stderr[-2_000:]
    figures = json.loads(ran.stdout)
    # How long lists take depends on the machine.
    assert [what for what in figures["failures"] if not what.startswith("p99")] == []
    assert figures["events"] > 0
    assert figures["erased"] > 0
    assert figures["killed_workers"] > 0
