"""A rebuild does again only what has changed, and says what it must do again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from indexer import CatalogError, Index, build_index, snapshot
from indexer.vector_cache import VectorCache, text_hash
from tests.fakes import WordEncoder
from tests.oracle import write_rows


def titled(count: int) -> list[dict[str, Any]]:
    return [{"id": f"m{row:03d}", "title": f"title {row}"} for row in range(count)]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    made = write_rows(tmp_path / "i.jsonl", titled(40))
    build_index(made, tmp_path / "x", encoder=WordEncoder())
    return made


def rebuilt(catalog: Path, **chosen: Any) -> Any:
    options: dict[str, Any] = {"since": "last", "encoder": WordEncoder(), **chosen}
    return build_index(catalog, catalog.parent / "x", **options)


def test_if_nothing_has_changed_nothing_is_published(catalog: Path) -> None:
    live = snapshot.current_id(catalog.parent / "x")
    encoder = WordEncoder()
    summary = rebuilt(catalog, encoder=encoder)
    assert (summary.snapshot, summary.unchanged, encoder.encoded) == (live, True, 0)
    write_rows(catalog, [*reversed(titled(40))])
    assert rebuilt(catalog).unchanged  # the order of rows is no change
    assert snapshot.list_ids(catalog.parent / "x") == [live]
    assert not [*(catalog.parent / "x" / "snapshots").glob(".*")]


@pytest.mark.parametrize(
    "chosen",
    [
        {"since": None},
        {"force_full": True},
        {"encoder": WordEncoder(name="letters")},
        {"index": "hnsw"},
        {"min_recall": 0.5},
        {"rating_scale": (0.0, 10.0)},
        {"applied_seq": 7},
    ],
)
def test_another_wish_is_a_change(catalog: Path, chosen: dict[str, Any]) -> None:
    assert not rebuilt(catalog, **chosen).unchanged
    assert len(snapshot.list_ids(catalog.parent / "x")) == 2


def test_one_changed_one_new_and_one_deleted_row(catalog: Path) -> None:
    rows = titled(40)
    rows[3]["title"] = "changed"
    del rows[5]
    write_rows(catalog, [*rows, {"id": "new", "title": "new"}])
    summary = rebuilt(catalog)
    assert (summary.items, summary.encoded, summary.reused, summary.unchanged) == (40, 2, 38, False)
    index = Index.open(catalog.parent / "x")
    assert index.get("m005") is None
    assert index.get("m003") == {"id": "m003", "title": "changed"}


def test_a_field_outside_the_text_is_a_change_but_encodes_nothing(catalog: Path) -> None:
    rows = titled(40)
    rows[3]["imdb_id"] = "tt1"
    write_rows(catalog, rows)
    summary = rebuilt(catalog)
    assert (summary.encoded, summary.unchanged) == (0, False)


def test_a_damaged_snapshot_is_a_change(catalog: Path) -> None:
    (snapshot.snapshot_path(catalog.parent / "x") / "index.faiss").unlink()
    assert not rebuilt(catalog).unchanged
    Index.open(catalog.parent / "x").close()


def test_another_model_is_said_before_the_first_text_is_encoded(catalog: Path) -> None:
    said: list[str] = []

    class Listening(WordEncoder):
        @override
        def encode_items(self, texts: Any, progress: Any = None) -> Any:
            heard.append([*said])
            return super().encode_items(texts, progress)

    heard: list[list[str]] = []
    rebuilt(catalog, encoder=Listening(name="letters"), notice=said.append)
    assert said == ["every text is encoded again: the model changed (words to letters)"]
    assert heard[0] == said


def test_another_text_template_is_said(catalog: Path) -> None:
    said: list[str] = []
    encoder = WordEncoder()
    version = encoder.fingerprint.text_version
    encoder.fingerprint = replace(encoder.fingerprint, text_version=version + 1)
    summary = rebuilt(catalog, encoder=encoder, notice=said.append)
    assert summary.encoded == 40
    assert said == [
        f"every text is encoded again: the text template changed "
        f"(version {version} to {version + 1})"
    ]


def test_force_is_said_and_an_ordinary_rebuild_says_nothing(catalog: Path) -> None:
    said: list[str] = []
    rebuilt(catalog, since=None, notice=said.append)
    assert said == []
    rebuilt(catalog, force_full=True, notice=said.append)
    assert said == ["every text is encoded again: --force-full was given"]


def test_since_anything_but_last_is_refused(catalog: Path) -> None:
    with pytest.raises(CatalogError, match="unknown since 'first'"):
        rebuilt(catalog, since="first")


def test_vectors_of_a_snapshot_are_found_though_first_halves_of_hashes_are_equal(
    tmp_path: Path,
) -> None:
    names = [bytes(8) + bytes([row]) * 8 for row in range(5)] + [text_hash("k", "x")]
    order = np.random.default_rng(0).permutation(6)
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float16)
    np.save(tmp_path / "hashes.npy", np.array([names[row] for row in order], "V16"))
    np.save(tmp_path / "raw.npy", vectors[order])
    cache = VectorCache(tmp_path / "none.bin", 4)
    cache.add_snapshot(tmp_path)
    for row, name in enumerate(names):
        np.testing.assert_array_equal(cache.get(name), vectors[row])
    assert cache.get(bytes(8) + b"\x09" * 8) is None
    assert cache.get(b"\xff" * 16) is None
