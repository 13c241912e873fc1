"""A rebuild does again only what has changed, and says what it must do again."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from typing_extensions import override

from indexer import CatalogError, EncoderUnavailableError, Index, build_index, snapshot
from indexer.ann import recall
from indexer.build.parent_snapshot import ParentSnapshot
from indexer.language.encoder_identity import compute_model_stamp
from indexer.language.vector_cache import VectorCache, hash_text
from indexer.reading.item import Item
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
    live = snapshot.read_current_id(catalog.parent / "x")
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
def test_another_option_is_a_change(catalog: Path, chosen: dict[str, Any]) -> None:
    assert not rebuilt(catalog, **chosen).unchanged
    assert len(snapshot.list_ids(catalog.parent / "x")) == 2


def no_rows(*_: Any, **__: Any) -> Iterator[Item]:
    raise AssertionError("the catalogue is read though its file has not changed")


def no_model(name: str | None = None) -> Any:
    raise AssertionError(f"the model {name} is loaded though it is known")


def test_a_file_that_has_not_changed_is_not_even_read(
    catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.build.collector.read_catalog", no_rows)
    summary = rebuilt(catalog)
    assert (summary.unchanged, summary.items, summary.encoded) == (True, 40, 0)
    with pytest.raises(AssertionError):
        rebuilt(catalog, max_rejected=0.5)
    with pytest.raises(AssertionError):
        rebuilt(catalog, changes=[Item("new", {"id": "new", "title": "new"}, None)])


def test_a_model_of_the_live_snapshot_is_not_loaded_if_nothing_has_changed(
    tmp_path: Path, plain_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(shutil.copytree(plain_bert, tmp_path / "bert"))
    catalog = write_rows(tmp_path / "i.jsonl", titled(6))
    build_index(catalog, tmp_path / "x", model=model)
    probe = snapshot.read_manifest(snapshot.find_snapshot(tmp_path / "x")).probe
    monkeypatch.setattr("indexer.language.encoder_identity.load_encoder", no_model)
    monkeypatch.setattr("indexer.build.encoder_selection.load_encoder", no_model)
    write_rows(catalog, [*reversed(titled(6))])  # another file, the same items
    assert build_index(catalog, tmp_path / "x", model=model, since="last").unchanged
    monkeypatch.undo()
    write_rows(catalog, [{"id": "m000", "title": "changed"}, *titled(6)[1:]])
    summary = build_index(catalog, tmp_path / "x", model=model, since="last")
    assert (summary.encoded, summary.reused) == (1, 5)
    manifest = snapshot.read_manifest(snapshot.find_snapshot(tmp_path / "x"))
    assert manifest.probe == probe
    Index.open(tmp_path / "x").search("changed")  # its model is the one that is loaded


def test_a_file_of_the_model_that_changes_makes_another_stamp(
    tmp_path: Path, plain_bert: Path
) -> None:
    folder = shutil.copytree(plain_bert, tmp_path / "bert")
    before = compute_model_stamp(str(folder))
    assert before == compute_model_stamp(str(folder)) != ""
    os.utime(folder / "config.json", ns=(1, 1))
    assert compute_model_stamp(str(folder)) != before
    assert compute_model_stamp("some/model-of-the-hub") == ""


def test_a_model_that_is_not_what_its_stamp_says_is_refused(
    tmp_path: Path, plain_bert: Path
) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", titled(3))
    build_index(catalog, tmp_path / "x", model=str(plain_bert))
    manifest_file = snapshot.find_snapshot(tmp_path / "x") / "manifest.json"
    manifest = json.loads(manifest_file.read_text())
    manifest["encoder"]["weights"] = "of another model"
    manifest_file.write_text(json.dumps(manifest))
    with pytest.raises(EncoderUnavailableError, match=r"is not what it was.*--force-full"):
        build_index(catalog, tmp_path / "x", model=str(plain_bert))
    assert build_index(catalog, tmp_path / "x", model=str(plain_bert), force_full=True).items == 3


def with_vectors(count: int, changed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, 16)).round(3)
    vectors[:changed] = rng.normal(size=(changed, 16)).round(3)
    return [
        {"id": f"m{row:04d}", "title": f"t {row}", "vector": vector.tolist()}
        for row, vector in enumerate(vectors)
    ]


@pytest.mark.parametrize(("changed", "measured"), [(15, 2), (400, None)])
def test_after_few_changes_measuring_sets_out_from_the_effort_that_was_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: int, measured: int | None
) -> None:
    options: dict[str, Any] = {"model": "none", "index": "PQ4x4fs,Refine(SQfp16)"}
    catalog = write_rows(tmp_path / "i.jsonl", with_vectors(2_000, 0))
    build_index(catalog, tmp_path / "x", **options)
    first = snapshot.read_manifest(snapshot.find_snapshot(tmp_path / "x")).index
    asked: list[object] = []
    real = recall.measure_recall

    def counted(index: Any, items: Any, truth: Any) -> float:
        asked.append(truth.query_set.name)
        return real(index, items, truth)

    monkeypatch.setattr("indexer.ann.measurement.measure_recall", counted)
    write_rows(catalog, with_vectors(2_000, changed))
    build_index(catalog, tmp_path / "x", **options)
    second = snapshot.read_manifest(snapshot.find_snapshot(tmp_path / "x")).index
    assert min(second["recall_by_weights"].values()) >= 0.99
    # Each set of queries is searched by the codes alone, and with the leading rows beside them.
    steps = max(Counter(asked).values())
    if measured is None:
        assert steps > 2
    else:
        assert (steps, second["effort"]) == (measured, first["effort"])
        assert second["gather_share"] == first["gather_share"]


@pytest.mark.parametrize("seed", range(3))
def test_the_changed_share_counts_new_and_gone_vectors(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    catalog = write_rows(tmp_path / "i.jsonl", with_vectors(200, 0))
    build_index(catalog, tmp_path / "x", model="none")
    parent = ParentSnapshot(tmp_path / "x")
    raw = np.load(parent.folder / "raw.npy")
    assert parent.compute_changed_share(rng.permutation(raw)) == 0
    assert parent.compute_changed_share(raw[:150]) == pytest.approx(50 / 200)
    more = np.concatenate([raw, raw[:50] * np.float16(0.5)])
    assert parent.compute_changed_share(more) == pytest.approx(50 / 250)
    assert parent.compute_changed_share(raw[:, :8]) == 1


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
    (snapshot.find_snapshot(catalog.parent / "x") / "index.faiss").unlink()
    assert not rebuilt(catalog).unchanged
    Index.open(catalog.parent / "x").close()


def test_another_model_is_said_before_the_first_text_is_encoded(catalog: Path) -> None:
    notices: list[str] = []

    class Listening(WordEncoder):
        @override
        def encode_items(self, texts: Any, progress: Any = None) -> Any:
            notices_before.append([*notices])
            return super().encode_items(texts, progress)

    notices_before: list[list[str]] = []
    rebuilt(catalog, encoder=Listening(name="letters"), notice=notices.append)
    assert notices == ["every text is encoded again: the model changed (words to letters)"]
    assert notices_before[0] == notices


def test_another_text_template_is_said(catalog: Path) -> None:
    notices: list[str] = []
    encoder = WordEncoder()
    version = encoder.fingerprint.text_version
    encoder.fingerprint = replace(encoder.fingerprint, text_version=version + 1)
    summary = rebuilt(catalog, encoder=encoder, notice=notices.append)
    assert summary.encoded == 40
    assert notices == [
        f"every text is encoded again: the text template changed "
        f"(version {version} to {version + 1})"
    ]


def test_force_is_said_and_an_ordinary_rebuild_says_nothing(catalog: Path) -> None:
    notices: list[str] = []
    rebuilt(catalog, since=None, notice=notices.append)
    assert notices == []
    rebuilt(catalog, force_full=True, notice=notices.append)
    assert notices == ["every text is encoded again: --force-full was given"]


def test_since_anything_but_last_is_refused(catalog: Path) -> None:
    with pytest.raises(CatalogError, match="unknown since 'first'"):
        rebuilt(catalog, since="first")


def test_vectors_of_a_snapshot_are_found_though_first_halves_of_hashes_are_equal(
    tmp_path: Path,
) -> None:
    names = [bytes(8) + bytes([row]) * 8 for row in range(5)] + [hash_text("k", "x")]
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


PQ = "PQ8x4fs,Refine(SQfp16)"


def drawn(count: int, seed: int = 1) -> list[dict[str, Any]]:
    vectors = np.random.default_rng(seed).normal(size=(count, 16)).round(3)
    return [
        {"id": f"m{row:05d}", "title": f"t {row}", "vector": vector.tolist()}
        for row, vector in enumerate(vectors)
    ]


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    made = write_rows(tmp_path / "i.jsonl", drawn(2_000))
    build_index(made, tmp_path / "x", model="none", index=PQ, min_recall=0.9)
    return made


def again(catalog: Path) -> dict[str, Any]:
    out = catalog.parent / "x"
    build_index(catalog, out, model="none", index=PQ, min_recall=0.9, since="last")
    return snapshot.read_manifest(snapshot.find_snapshot(out)).index


def codebook(out: Path) -> Any:
    """What the codes of the live index stand for."""
    index = faiss.read_index(str(snapshot.find_snapshot(out) / "index.faiss"))
    refined: Any = faiss.downcast_index(index)
    base: Any = faiss.downcast_index(refined.base_index)
    return faiss.vector_to_array(base.pq.centroids)


def test_an_index_is_not_trained_again_for_one_row_in_a_hundred(trained: Path) -> None:
    out, rows = trained.parent / "x", drawn(2_000)
    before = codebook(out)
    first = snapshot.read_manifest(snapshot.find_snapshot(out)).index["effort"]
    for row in rows[::200]:
        row["vector"] = [-number for number in row["vector"]]
    write_rows(trained, rows[:-5])
    index_facts = again(trained)
    assert index_facts["trained_effort"] == first
    assert index_facts["recall"] >= 0.9
    np.testing.assert_array_equal(codebook(out), before)
    index = Index.open(out)
    assert len(index) == 1_995
    hit = index.similar("m00200", k=5)
    vectors = {row["id"]: np.array(row["vector"], np.float64) for row in rows[:-5]}
    unit = {name: vector / np.linalg.norm(vector) for name, vector in vectors.items()}
    cosines = {name: float(vector @ unit["m00200"]) for name, vector in unit.items()}
    nearest = sorted(cosines, key=lambda name: -cosines[name])[1:6]
    assert len({*nearest} & {found.id for found in hit}) >= 4


def test_an_index_whose_effort_no_longer_holds_is_trained_anew(trained: Path) -> None:
    file = snapshot.find_snapshot(trained.parent / "x") / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["index"]["effort"]["k_factor"] = 1.0
    file.write_text(json.dumps(manifest))
    write_rows(trained, drawn(2_000)[:-5])
    index_facts = again(trained)
    assert "trained_effort" not in index_facts
    assert index_facts["effort"]["k_factor"] > 2  # twice is where training anew begins
    assert index_facts["recall"] >= 0.9


def test_an_index_of_other_vectors_is_trained_anew(trained: Path) -> None:
    write_rows(trained, drawn(2_000, seed=2))
    assert "trained_effort" not in again(trained)


def test_a_damaged_live_index_teaches_nothing(trained: Path) -> None:
    file = snapshot.find_snapshot(trained.parent / "x") / "index.faiss"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    write_rows(trained, drawn(2_000)[:-5])
    assert "trained_effort" not in again(trained)


def test_the_background_of_an_encoder_is_measured_once(catalog: Path) -> None:
    write_rows(catalog, [*titled(40), {"id": "new", "title": "title 40"}])
    encoder = WordEncoder()
    rebuilt(catalog, encoder=encoder)
    assert encoder.encoded == 1
