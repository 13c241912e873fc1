"""Kills at random moments, full disks and missing rights: the old snapshot answers, always."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, SnapshotError, build_index, snapshot
from indexer.release.verification import verify_snapshot
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.paths import REPOSITORY

COUNT = 1_500
PQ = "PQ4x4fs,Refine(SQfp16)"


def with_vectors(count: int, seed: int) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(seed).normal(size=(count, 16)).round(3)
    return [
        {"id": f"m{row:05d}", "title": f"seed {seed} row {row}", "vector": vector.tolist()}
        for row, vector in enumerate(vectors)
    ]


def started(program: str) -> subprocess.Popen[bytes]:
    code = f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n{textwrap.dedent(program)}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed_at_random_moments(folder: Path, times: int) -> None:
    old, new = with_vectors(COUNT, 1), with_vectors(COUNT, 2)
    options: dict[str, Any] = {"model": "none", "index": PQ, "min_recall": 0.5}
    out = folder / "x"
    build_index(write_rows(folder / "old.jsonl", old), out, **options)
    catalog = write_rows(folder / "new.jsonl", new)
    program = f"""
        from indexer import build_index
        build_index({str(catalog)!r}, {str(out)!r}, model="none", index={PQ!r}, min_recall=0.5)
    """
    begun = time.perf_counter()
    assert started(program).wait() == 0
    whole_s = time.perf_counter() - begun
    moments = random.Random(7)
    for _ in range(times):
        before = snapshot.read_current_id(out)
        build = started(program)
        time.sleep(moments.uniform(0.3, 1.05) * whole_s)
        build.send_signal(signal.SIGKILL)
        build.wait()
        index = Index.open(out)
        if build.returncode == -signal.SIGKILL and index.id == before:
            assert len(index.recommend(history=["m00001"], k=5)) == 5
        manifest = snapshot.read_manifest(index.path)
        assert snapshot.find_damaged_files(index.path, manifest) == []
        index.close()
    last = build_index(catalog, out, **options)
    assert last.items == COUNT
    assert not [*(out / "snapshots").glob(".*")]
    names = {path.name for path in (out / "snapshots").iterdir()}
    assert names == {*snapshot.list_ids(out)}


def test_a_build_killed_at_six_moments_never_harms_the_live_snapshot(tmp_path: Path) -> None:
    killed_at_random_moments(tmp_path, 6)


@pytest.mark.slow
def test_a_build_killed_at_fifty_moments_never_harms_the_live_snapshot(tmp_path: Path) -> None:
    killed_at_random_moments(tmp_path, 50)


@pytest.mark.slow
@pytest.mark.model
def test_five_kills_with_the_real_model_lose_nothing_that_was_encoded(tmp_path: Path) -> None:
    words = ["sea", "rain", "war", "love", "ghost", "jazz", "robot", "garden", "river", "winter"]
    rows = [
        {"id": f"m{row:04d}", "title": f"{words[row % 10]} {words[row // 10 % 10]} {row}"}
        for row in range(1_600)  # five kills come before the last of them is encoded
    ]
    model, out = "all-MiniLM-L6-v2", tmp_path / "x"
    old = write_rows(tmp_path / "old.jsonl", rows[:2])
    build_index(old, out, model=model)
    catalog = write_rows(tmp_path / "new.jsonl", rows)
    program = f"""
        from indexer import build_index
        from indexer.build import raw_vectors
        raw_vectors._CHUNK_TEXTS = 8
        build_index({str(catalog)!r}, {str(out)!r}, model={model!r})
    """
    first, moments, saved = snapshot.read_current_id(out), random.Random(3), 0
    for kill in range(5):
        build = started(program)
        journal = _waited_for_more(out, saved, build)
        time.sleep(moments.uniform(0, 0.3))
        build.kill()
        assert build.wait() == -signal.SIGKILL, f"the build had ended before kill {kill}"
        saved = journal.stat().st_size // (16 + 2 * 384)
        index = Index.open(out)
        assert (index.id, len(index)) == (first, 2)
        index.close()
    summary = build_index(catalog, out, model=model)
    assert (summary.items, summary.encoded) == (1_600, 1_598 - saved)
    assert verify_snapshot(out) == []


def _waited_for_more(out: Path, saved: int, build: "subprocess.Popen[bytes]") -> Path:
    """The journal, once a build has put more vectors into it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and build.poll() is None:
        for journal in (out / "encoded").glob("*.bin"):
            if journal.stat().st_size > saved * (16 + 2 * 384):
                return journal
        time.sleep(0.01)
    raise AssertionError("the build encoded nothing more")


def test_texts_encoded_before_a_kill_are_not_encoded_again(tmp_path: Path) -> None:
    rows = [{"id": f"m{row:04d}", "title": f"title {row}"} for row in range(600)]
    catalog, out = write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x"
    program = f"""
        import os, time
        from indexer import build_index
        from indexer.build import raw_vectors
        from tests.fakes import WordEncoder
        raw_vectors._CHUNK_TEXTS = 50
        class Slow(WordEncoder):
            def encode_items(self, texts, progress=None):
                time.sleep(0.05)
                return super().encode_items(texts, progress)
        build_index({str(catalog)!r}, {str(out)!r}, encoder=Slow())
    """
    build = started(program)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any((out / "encoded").glob("*.bin")):
        time.sleep(0.01)
    time.sleep(0.1)
    build.kill()
    assert build.wait() == -signal.SIGKILL
    (journal,) = (out / "encoded").glob("*.bin")
    saved = journal.stat().st_size // (16 + 2 * 64)
    assert 50 <= saved < 600
    summary = build_index(catalog, out, encoder=WordEncoder())
    assert (summary.encoded, summary.reused) == (600 - saved, saved)


def test_every_file_and_folder_is_flushed_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115  # no Path here
        real_fsync(descriptor)

    def rename(path: Path, target: Path) -> Path:
        if path.name.startswith(".building-"):
            below = {str(part) for part in [path, *path.rglob("*")]}
            assert below <= {*flushed}, below - {*flushed}
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    catalog = write_rows(tmp_path / "i.jsonl", [{"id": "a", "title": "a"}])
    build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    names = [Path(name).name for name in flushed]
    journal = next(place for place, name in enumerate(names) if name.endswith(".bin"))
    assert journal < names.index("manifest.json")
    assert names[-3] == "snapshots"  # the entry of the new snapshot,
    assert names[-2].startswith(".CURRENT-")  # then what CURRENT will say,
    assert names[-1] == "x"  # then its name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("count", [9_000, 12_000, 20_000])
def test_a_full_disk_is_told_in_a_sentence_and_leaves_the_old_snapshot(
    tmp_path: Path, small_disk: Path, count: int
) -> None:
    old = write_rows(tmp_path / "old.jsonl", with_vectors(20, 1))
    first = build_index(old, small_disk / "x", model="none")
    catalog = write_rows(tmp_path / "new.jsonl", with_vectors(count, 2))
    with pytest.raises(SnapshotError, match=r"no space is left in .*disk/x; free some"):
        build_index(catalog, small_disk / "x", model="none")
    index = Index.open(small_disk / "x")
    assert index.id == first.snapshot
    assert len(index.recommend(history=["m00001"], k=5)) == 5
    index.close()
    assert not [*(small_disk / "x" / "snapshots").glob(".*")]
    again = build_index(old, small_disk / "x", model="none")
    assert again.items == 20


def test_read_only_storage_is_served_and_a_build_in_it_is_told_in_a_sentence(
    tmp_path: Path, small_disk: Path
) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", with_vectors(20, 1))
    build_index(catalog, small_disk / "x", model="none")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    index = Index.open(small_disk / "x")
    assert len(index.recommend(history=["m00001"], k=5)) == 5
    index.close()
    with pytest.raises(SnapshotError, match=r"disk/x cannot be written .*choose another --out"):
        build_index(catalog, small_disk / "x", model="none")
