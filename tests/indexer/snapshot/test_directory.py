"""A published directory: what it holds, and how a damaged, mixed or foreign one is refused."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from indexer import CatalogError, Index, SnapshotError, build_index, snapshot
from indexer.ann.layout import Layout
from indexer.arrays import Vectors
from indexer.language.encoder import Progress
from indexer.language.encoder_identity import compute_model_stamp
from indexer.language.model_loading import is_path
from indexer.snapshot.manifest import Manifest
from tests.fakes import WordEncoder
from tests.oracle import write_rows

FILES = [
    "arrivals.npy",
    "catalog.sqlite",
    "columns/bits.npy",
    "columns/columns.json",
    "columns/floats.npy",
    "columns/keys.npy",
    "columns/rows.npy",
    "columns/starts.npy",
    "hashes.npy",
    "index.faiss",
    "raw.npy",
    "rejected.jsonl",
    "report.json",
    "space.safetensors",
]
ROWS = [
    {"id": f"m{number}", "title": f"word{number} sea", "tags": ["a", "b"], "rating": 3, "n": number}
    for number in range(40)
]


class Stranger(WordEncoder):
    """Another model under the same name and of the same dimension."""

    @override
    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        return super().encode_items(texts)[:, ::-1].copy()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    catalog = write_rows(root / "items.jsonl", [*ROWS, {"id": "bad"}])
    build_index(catalog, root / "index", encoder=WordEncoder(), max_rejected=0.1)
    return root / "index"


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    shutil.copytree(published, tmp_path / "index")
    return tmp_path / "index"


def folder_of(root: Path) -> Path:
    return root / "snapshots" / (root / "CURRENT").read_text().strip()


def files_below(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_layout_of_an_index_directory_is_golden(published: Path) -> None:
    assert {path.name for path in published.iterdir()} == {
        ".lock", "CURRENT", "encoded", "snapshots",
    }  # fmt: skip
    assert [*files_below(folder_of(published))] == sorted([*FILES, "manifest.json"])


def test_the_manifest_is_golden(published: Path) -> None:
    manifest = json.loads((folder_of(published) / "manifest.json").read_text("utf-8"))
    assert manifest["id"] == folder_of(published).name
    probe = WordEncoder().encode_items(
        ["A traveller reads by the window while it rains. 雨天，旅人在窗边读书。"]
    )[0]
    np.testing.assert_allclose(manifest.pop("probe"), probe, atol=1e-6)
    sums = files_below(folder_of(published))
    files = manifest.pop("files")
    assert {name: facts["sha256"] for name, facts in files.items()} == {
        name: digest for name, digest in sums.items() if name != "manifest.json"
    }
    for volatile in ("id", "created_at"):
        assert manifest.pop(volatile)
    assert len(manifest.pop("content")) == 64
    assert 0 <= manifest["index"].pop("build_s") < 60
    text_version = manifest["encoder"].pop("text_version")
    assert isinstance(text_version, int)
    golden = {
        "format_version": 1,
        "encoder": {
            "name": "words", "weights": "fake", "dim": 64, "item_prompt": "", "query_prompt": "",
            "max_tokens": 512,
        },
        "encoder_source": "words",
        "language": "en",
        "rating_scale": [1.0, 5.0],
        "layout": {"meaning": 64, "taste": 0, "prior": 1, "prior_part": 1},
        "index": {
            "kind": "flat", "factory": "Flat", "recall": 1.0, "min_recall": 0.99,
            "bytes_per_vector": 288, "search": "exact", "gather_share": 0.05,
        },
        "sources": ["items.jsonl"],
        "parent": None,
        "applied_seq": 0,
    }  # fmt: skip
    counts = {"items": 40, "rejected": 1, "duplicates": 0, "encoded": 40, "reused": 0}
    assert counts.items() <= manifest.pop("counts").items()
    # Later releases may say more; what is here keeps its name and meaning.
    assert {name: manifest.get(name) for name in golden} == golden


def test_the_raw_vectors_are_float16_rows_in_order_of_id(published: Path) -> None:
    raw = np.load(folder_of(published) / "raw.npy")
    assert (raw.dtype, raw.shape) == (np.float16, (40, 64))
    index = Index.open(published)
    assert index.ids(range(40)) == sorted(str(row["id"]) for row in ROWS)
    np.testing.assert_allclose(np.linalg.norm(raw.astype(np.float32), axis=1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("layout", "dim"),
    [(Layout(384), 392), (Layout(7), 8), (Layout(8), 16), (Layout(384, 128), 520), (Layout(1), 8)],
)
def test_an_item_vector_is_a_multiple_of_eight_wide(layout: Layout, dim: int) -> None:
    assert layout.dim == dim


def test_a_manifest_is_read_as_it_was_written(published: Path) -> None:
    manifest = snapshot.read_manifest(folder_of(published))
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_an_undamaged_snapshot_has_no_findings(published: Path) -> None:
    folder = folder_of(published)
    assert snapshot.find_damaged_files(folder, snapshot.read_manifest(folder)) == []


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(copied: Path, name: str) -> None:
    (folder_of(copied) / name).unlink()
    with pytest.raises(SnapshotError, match=rf"{name} is missing"):
        Index.open(copied)
    manifest = snapshot.read_manifest(folder_of(copied))
    assert snapshot.find_damaged_files(folder_of(copied), manifest) == [f"{name} is missing"]


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused_by_name(copied: Path, name: str) -> None:
    file = folder_of(copied) / name
    content = file.read_bytes()
    if not content:
        file.write_bytes(b"more")
        sizes = "has 4 bytes, expected 0"
    else:
        file.write_bytes(content[:-1])
        sizes = f"has {len(content) - 1} bytes, expected {len(content)}"
    with pytest.raises(SnapshotError, match=rf"{name} {sizes}"):
        Index.open(copied)
    manifest = snapshot.read_manifest(folder_of(copied))
    assert snapshot.find_damaged_files(folder_of(copied), manifest) == [f"{name} {sizes}"]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_reported_by_name(copied: Path, name: str) -> None:
    file = folder_of(copied) / name
    content = bytearray(file.read_bytes())
    if not content:
        pytest.skip("an empty file has no bit")
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    manifest = snapshot.read_manifest(folder_of(copied))
    assert snapshot.find_damaged_files(folder_of(copied), manifest) == [
        f"{name} differs from its checksum"
    ]


@pytest.mark.parametrize("name", ["catalog.sqlite", "index.faiss", "raw.npy", "hashes.npy"])
def test_a_file_of_another_build_is_refused_though_it_fits(
    copied: Path, tmp_path: Path, name: str
) -> None:
    """The same number of items and of bytes: ids would name the data of other items."""
    others = [{**row, "id": f"n{row['n']}", "title": f"ward{row['n']} sea"} for row in ROWS]
    build_index(write_rows(tmp_path / "o.jsonl", others), tmp_path / "other", encoder=WordEncoder())
    foreign = folder_of(tmp_path / "other") / name
    assert foreign.stat().st_size == (folder_of(copied) / name).stat().st_size
    shutil.copy(foreign, folder_of(copied) / name)
    with pytest.raises(SnapshotError, match=rf"{name} is damaged or of another build"):
        Index.open(copied)


def test_a_file_of_a_build_with_more_items_is_refused(copied: Path, tmp_path: Path) -> None:
    others = [{"id": f"n{number}", "title": "x"} for number in range(300)]
    build_index(write_rows(tmp_path / "o.jsonl", others), tmp_path / "other", encoder=WordEncoder())
    shutil.copy(folder_of(tmp_path / "other") / "catalog.sqlite", folder_of(copied))
    with pytest.raises(SnapshotError, match=r"catalog\.sqlite"):
        Index.open(copied)


def test_files_that_agree_with_the_manifest_but_not_with_each_other_are_refused(
    copied: Path, tmp_path: Path
) -> None:
    others = [{"id": f"n{number}", "title": "x"} for number in range(3)]
    build_index(write_rows(tmp_path / "o.jsonl", others), tmp_path / "other", encoder=WordEncoder())
    folder = folder_of(copied)
    shutil.copy(folder_of(tmp_path / "other") / "catalog.sqlite", folder)
    raw = json.loads((folder / "manifest.json").read_text("utf-8"))
    raw["files"] = snapshot.collect_file_facts(folder)
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(SnapshotError, match=r"mixed.*catalog\.sqlite 3.*index\.faiss 40"):
        Index.open(copied)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'"x"'])
def test_a_damaged_manifest_is_refused_by_name(copied: Path, content: bytes) -> None:
    (folder_of(copied) / "manifest.json").write_bytes(content)
    with pytest.raises(SnapshotError, match=r"manifest\.json.*damaged"):
        Index.open(copied)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": "1"},
        {"layout": {"sense": 3}},
        {"encoder": {"name": "x"}},
        {"probe": None},
        {"an unknown field": 1},
    ],
)
def test_a_manifest_of_another_shape_is_refused(copied: Path, change: dict[str, Any]) -> None:
    file = folder_of(copied) / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **change}), "utf-8")
    with pytest.raises(SnapshotError, match=r"manifest\.json.*damaged"):
        Index.open(copied)


def test_a_newer_format_is_refused_with_both_versions(copied: Path) -> None:
    file = folder_of(copied) / "manifest.json"
    newer = {**json.loads(file.read_text("utf-8")), "format_version": 99, "new": True}
    file.write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(SnapshotError, match=r"format 99.*reads up to 1.*newer release"):
        Index.open(copied)


@pytest.mark.parametrize("content", [b"", b"../../etc\n", b".building-1\n", b"\xff\xfe\x00"])
def test_a_damaged_current_is_refused_by_name(copied: Path, content: bytes) -> None:
    (copied / "CURRENT").write_bytes(content)
    with pytest.raises(SnapshotError, match="CURRENT"):
        Index.open(copied)


def test_a_current_that_names_nothing_is_refused_with_the_newest(copied: Path) -> None:
    name = folder_of(copied).name
    (copied / "CURRENT").write_text("gone\n")
    with pytest.raises(SnapshotError, match=rf"no snapshot 'gone'.*{name}"):
        Index.open(copied)


def test_a_directory_without_an_index_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"no file CURRENT.*zhiyin build"):
        Index.open(tmp_path)


@pytest.mark.parametrize("wrong", ["nothing", "../index", ".building-x", "a/b"])
def test_a_snapshot_that_is_not_there_is_refused(published: Path, wrong: str) -> None:
    with pytest.raises(SnapshotError, match="no snapshot"):
        Index.open(published, snapshot_id=wrong)


def test_another_encoder_of_the_same_dimension_is_refused(published: Path) -> None:
    with pytest.raises(SnapshotError, match=r"another version of words .*cosine"):
        Index.open(published, encoder=Stranger())
    with pytest.raises(SnapshotError, match=r"words \(64 dimensions\), not letters \(64\)"):
        Index.open(published, encoder=WordEncoder(name="letters"))


def test_an_encoder_of_another_dimension_is_refused_with_both_sizes(published: Path) -> None:
    with pytest.raises(SnapshotError, match=r"\(64 dimensions\), not words \(32\)"):
        Index.open(published, encoder=WordEncoder(dim=32))


def test_reading_changes_nothing_and_needs_no_writing(copied: Path) -> None:
    before = files_below(copied)
    for path in sorted(copied.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        index = Index.open(copied, encoder=WordEncoder())
        index.recommend(history=["m1"], query="sea", filter={"n": {"gte": 3}}, min_score=0.0)
        index.search("word3")
        assert index.get("m3") == {**ROWS[3], "title": "word3 sea"}
        assert files_below(copied) == before
    finally:
        for path in [copied, *copied.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_an_index_directory_may_be_copied_and_the_original_removed(
    published: Path, tmp_path: Path
) -> None:
    shutil.copytree(published, tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    shutil.rmtree(tmp_path / "first")
    here = Index.open(published, encoder=WordEncoder()).recommend(query="sea")
    there = Index.open(tmp_path / "second", encoder=WordEncoder()).recommend(query="sea")
    assert here.hits == there.hits


def test_current_is_never_half_written(tmp_path: Path) -> None:
    """A reader that looks all the time sees one id or the other, complete."""
    ids = ["a" * 60, "b" * 60]
    snapshot.make_current(tmp_path, ids[0])
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(snapshot.read_current_id(tmp_path))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for turn in range(100):
        snapshot.make_current(tmp_path, ids[turn % 2])
    done.set()
    watcher.join()
    assert seen <= {*ids}
    assert os.listdir(tmp_path) == ["CURRENT"]  # noqa: PTH208  # names are all that is wanted


def test_ids_are_listed_oldest_first_without_unfinished_ones(tmp_path: Path) -> None:
    for name in ("20260102T000000-b", "20260101T000000-a", ".building-1", "no-manifest"):
        folder = tmp_path / "snapshots" / name
        folder.mkdir(parents=True)
        if name != "no-manifest":
            (folder / "manifest.json").write_text("{}")
    assert snapshot.list_ids(tmp_path) == ["20260101T000000-a", "20260102T000000-b"]
    assert snapshot.list_ids(tmp_path / "nowhere") == []


def test_what_cannot_be_opened_leaves_no_file_open(copied: Path) -> None:
    for name in ("index.faiss", "space.safetensors"):
        file = folder_of(copied) / name
        content = file.read_bytes()
        file.write_bytes(bytes(len(content)))
        manifest = json.loads((folder_of(copied) / "manifest.json").read_text())
        manifest["files"][name].pop("sample")  # as if the damage lay between the samples
        (folder_of(copied) / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(SnapshotError, match=name):
            Index.open(copied)
        links = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
        opened = {str(entry.readlink()) for entry in links}
        assert not [path for path in opened if path.startswith(str(copied))]
        file.write_bytes(content)
    Index.open(copied).close()


@pytest.mark.parametrize("name", ["x" * 300, "é" * 200])
def test_a_name_too_long_for_a_file_is_no_snapshot_no_model_and_no_catalogue(
    published: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(SnapshotError, match="has no snapshot"):
        Index.open(published, snapshot_id=name)
    with pytest.raises(CatalogError, match="is no path"):
        build_index(f"{name}.csv", tmp_path / "x", encoder=WordEncoder())
    assert compute_model_stamp(name) == ""
    assert not is_path(name)
