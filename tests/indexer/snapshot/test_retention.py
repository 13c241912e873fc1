"""Pruning takes what nobody needs, and never what a reader has open."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexer import Index, SnapshotError, build_index, snapshot
from indexer.snapshot import retention
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.paths import REPOSITORY, SCRIPTS

SCRIPT = SCRIPTS / "snapshots.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four snapshots, the last one live."""
    for number in range(4):
        rows = [{"id": str(row), "title": f"t{row} {number}"} for row in range(3 + number)]
        catalog = write_rows(tmp_path / "i.jsonl", rows)
        build_index(catalog, tmp_path / "x", encoder=WordEncoder(dim=8))
        _age(tmp_path / "x", number)
    return tmp_path / "x"


def _age(root: Path, number: int) -> None:
    """Give snapshots of one second names in the order they were made."""
    name = snapshot.read_current_id(root)
    aged = f"2026010{number + 1}T000000-{name[-8:]}"
    (root / "snapshots" / name).rename(root / "snapshots" / aged)
    snapshot.make_current(root, aged)


def test_the_newest_are_kept(root: Path) -> None:
    ids = snapshot.list_ids(root)
    done = retention.prune(root, 2)
    assert (done.deleted, done.in_use, done.remaining) == (tuple(ids[:2]), (), tuple(ids[2:]))
    assert snapshot.list_ids(root) == ids[2:]


def test_the_live_one_is_kept_however_old(root: Path) -> None:
    ids = snapshot.list_ids(root)
    snapshot.make_current(root, ids[0])
    assert retention.prune(root, 1).remaining == (ids[0], ids[3])
    assert len(Index.open(root)) == 3


def test_what_a_reader_has_open_is_kept_until_it_is_closed(root: Path) -> None:
    ids = snapshot.list_ids(root)
    reader = Index.open(root, snapshot_id=ids[1])
    done = retention.prune(root, 1)
    assert (done.deleted, done.in_use) == ((ids[0], ids[2]), (ids[1],))
    assert reader.items([0, 1]) == [{"id": "0", "title": "t0 1"}, {"id": "1", "title": "t1 1"}]
    reader.close()
    assert retention.prune(root, 1).deleted == (ids[1],)


def test_a_forgotten_reader_holds_nothing(root: Path) -> None:
    ids = snapshot.list_ids(root)
    reader = Index.open(root, snapshot_id=ids[0])
    del reader
    assert ids[0] in retention.prune(root, 1).deleted


def test_a_reader_in_another_process_holds_until_it_dies(root: Path) -> None:
    ids = snapshot.list_ids(root)
    program = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        f"from indexer import Index; i = Index.open({str(root)!r}, snapshot_id={ids[0]!r})\n"
        f"print('open', flush=True); sys.stdin.read()"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"open\n"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--index", root, "prune", "--keep", "1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"2 deleted, 2 kept\n{ids[0]} is kept: a running process has it open\n"
    reader.kill()
    reader.communicate()
    assert retention.prune(root, 1).deleted == (ids[0],)


def test_a_snapshot_that_is_being_deleted_cannot_be_opened(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = snapshot.list_ids(root)
    refusals: list[str] = []
    real = shutil.rmtree

    def rmtree(path: Path) -> None:
        with pytest.raises(SnapshotError) as caught:
            Index(path, None)
        refusals.append(str(caught.value))
        real(path)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    retention.prune(root, 3)
    assert refusals == [
        f"{root / 'snapshots' / f'.pruning-{ids[0]}'} is being deleted; open a newer snapshot"
    ]


@pytest.mark.parametrize("by", ["prune", "build"])
def test_what_a_killed_pruning_left_is_swept(root: Path, tmp_path: Path, by: str) -> None:
    ids = snapshot.list_ids(root)
    (root / "snapshots" / ids[0]).rename(root / "snapshots" / f".pruning-{ids[0]}")
    if by == "prune":
        retention.prune(root, 5)
    else:
        build_index(tmp_path / "i.jsonl", root, encoder=WordEncoder(dim=8))
    assert not [*(root / "snapshots").glob(".*")]


def test_the_list_tells_parent_recall_and_size(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--index", root, "list"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    manifest = snapshot.read_manifest(snapshot.find_snapshot(root))
    assert lines[-1].startswith("* 20260104T000000-")
    for part in (" 6 ", "flat", "1.000", f"from {manifest.parent}"):
        assert part in lines[-1]


def test_rollback_makes_the_one_before_live(root: Path) -> None:
    ids = snapshot.list_ids(root)
    command = [sys.executable, str(SCRIPT), "--index", str(root), "rollback"]
    subprocess.run(command, check=True, capture_output=True)
    assert snapshot.read_current_id(root) == ids[2]
    subprocess.run([*command, ids[0]], check=True, capture_output=True)
    assert snapshot.read_current_id(root) == ids[0]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no snapshot older than" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_one_damaged_manifest_does_not_hide_the_other_snapshots(root: Path) -> None:
    damaged = snapshot.list_ids(root)[1]
    (root / "snapshots" / damaged / "manifest.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, SCRIPT, "--index", root, "list"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert lines[2].startswith(f"  {damaged} ")
    assert "damaged: " in lines[2]
