"""What a killed service left is removed by the next, and nothing else is."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from service.jobs.counter_folder import lend_counter_folder

_HOLD = """
import sys
from service.jobs.counter_folder import lend_counter_folder
with lend_counter_folder() as folder:
    (folder / "worker1.pid").write_text("1")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_the_folder_of_a_killed_service_is_removed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    others = tmp_path / "zhiyin-counters"
    others.mkdir()
    (tmp_path / "zhiyin-counters-link").symlink_to(others)
    (others / "theirs").touch()
    held = subprocess.Popen(
        [sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert held.stdout is not None
        folder = Path(held.stdout.readline().strip())
        with lend_counter_folder() as own:
            assert (folder / "worker1.pid").exists()  # its service runs
            assert own.parent == folder.parent == tmp_path
    finally:
        held.kill()
        held.communicate()
    assert folder.exists()
    assert not own.exists()
    with lend_counter_folder() as own:
        assert not folder.exists()
        assert own.exists()
    assert (others / "theirs").exists()
