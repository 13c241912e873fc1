"""A snapshot whose files are each whole, but do not belong together."""

import json
from pathlib import Path

import numpy as np
import pytest

from indexer import build_index, snapshot
from indexer.ann import VectorIndex
from indexer.release.verification import verify_snapshot
from tests.oracle import write_rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    vectors = np.random.default_rng(0).normal(size=(60, 7)).round(3)
    rows = [
        {"id": f"m{row:02d}", "title": f"t{row}", "vector": vector.tolist()}
        for row, vector in enumerate(vectors)
    ]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none")
    return tmp_path / "x"


def _sealed(root: Path) -> None:
    """Let the manifest agree with the files as they are now."""
    folder = snapshot.find_snapshot(root)
    raw = json.loads((folder / "manifest.json").read_text("utf-8"))
    raw["files"] = snapshot.collect_file_facts(folder)
    (folder / "manifest.json").write_text(json.dumps(raw), "utf-8")


def test_a_sound_snapshot_of_ready_made_vectors_has_no_findings(root: Path) -> None:
    assert verify_snapshot(root) == []


def test_vectors_in_another_order_than_the_index_are_found(root: Path) -> None:
    file = snapshot.find_snapshot(root) / "raw.npy"
    np.save(file, np.load(file)[::-1])
    _sealed(root)
    findings = verify_snapshot(root)
    assert findings[0].startswith("row 0 of index.faiss is not that of raw.npy (cosine ")
    assert len(findings) >= 30


def test_fewer_vectors_than_rows_are_found(root: Path) -> None:
    file = snapshot.find_snapshot(root) / "raw.npy"
    np.save(file, np.load(file)[:50])
    _sealed(root)
    assert verify_snapshot(root) == ["raw.npy holds 50 rows, index.faiss 60; rebuild"]


def test_an_index_of_other_items_is_found(root: Path) -> None:
    file = snapshot.find_snapshot(root) / "index.faiss"
    vectors = VectorIndex.open(file).read_vectors(range(60))
    VectorIndex.build(vectors[:50]).save(file)
    _sealed(root)
    (finding,) = verify_snapshot(root)
    assert "mixed" in finding
    assert "index.faiss 50" in finding


def test_a_path_may_hold_what_means_something_in_a_url(root: Path) -> None:
    odd = root.with_name("50% off? #1 目录")
    root.rename(odd)
    assert verify_snapshot(odd) == []


@pytest.mark.parametrize("start", [0, 100])
def test_a_catalogue_that_sqlite_cannot_read_is_a_finding_and_no_traceback(
    root: Path, start: int
) -> None:
    file = snapshot.find_snapshot(root) / "catalog.sqlite"
    content = file.read_bytes()
    file.write_bytes(content[:start] + b"\xa5" * (len(content) - start))
    _sealed(root)
    findings = verify_snapshot(root)
    assert findings[0].startswith("catalog.sqlite is damaged (")
    assert findings[0].endswith("roll back or rebuild")
