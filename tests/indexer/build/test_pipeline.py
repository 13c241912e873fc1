"""A catalogue to a published snapshot: what is counted, refused, reused, and never half done."""

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from indexer import CatalogError, Index, SnapshotError, build_index, snapshot
from indexer.arrays import Vectors
from indexer.build import folder as build_folder
from indexer.build import raw_vectors
from indexer.language.encoder import Progress
from indexer.language.vector_cache import VectorCache, hash_text
from indexer.snapshot import find_snapshot, read_manifest
from tests.fakes import WordEncoder
from tests.oracle import World, stored, write_rows
from tests.paths import REPOSITORY


class PowerCutError(Exception):
    """Whatever may end a build."""


class DyingEncoder(WordEncoder):
    """Encodes so many texts and then dies."""

    def __init__(self, lifetime: int) -> None:
        super().__init__()
        self.lifetime = lifetime

    @override
    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        if self.encoded + len(texts) > self.lifetime:
            raise PowerCutError
        return super().encode_items(texts, progress)


class NosyEncoder(WordEncoder):
    """Looks, while a build encodes, whether another one may begin."""

    def __init__(self, catalog: Path, out: Path) -> None:
        super().__init__()
        self.catalog, self.out = catalog, out
        self.refusal = ""

    @override
    def encode_items(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        if not self.refusal:
            with pytest.raises(SnapshotError) as caught:
                build_index(self.catalog, self.out, encoder=WordEncoder())
            self.refusal = str(caught.value)
        return super().encode_items(texts, progress)


def titled(count: int, word: str = "title") -> list[dict[str, Any]]:
    return [{"id": f"m{number:03d}", "title": f"{word} {number}"} for number in range(count)]


def rejected_of(out: Path) -> list[dict[str, Any]]:
    text = (snapshot.find_snapshot(out) / "rejected.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def items_of(out: Path) -> dict[str, Mapping[str, Any]]:
    return {item["id"]: item for _, item in Index.open(out).page(limit=10_000)}


def test_the_last_duplicate_wins_and_is_counted(tmp_path: Path) -> None:
    first = write_rows(
        tmp_path / "one.jsonl",
        [{"id": "a", "title": "old"}, {"id": "b", "title": "b"}, {"id": "a", "title": "newer"}],
    )
    second = write_rows(tmp_path / "two.jsonl", [{"id": "a", "title": "newest", "n": 1}])
    encoder = WordEncoder()
    summary = build_index([first, second], tmp_path / "x", encoder=encoder)
    assert (summary.items, summary.duplicates, summary.rejected) == (2, 2, 0)
    assert items_of(tmp_path / "x")["a"] == {"id": "a", "title": "newest", "n": 1}
    assert encoder.encode_items(["newest"]) @ _raw(tmp_path / "x")[0] == pytest.approx(1, abs=1e-3)


def _raw(out: Path) -> Vectors:
    raw: Vectors = np.load(snapshot.find_snapshot(out) / "raw.npy").astype(np.float32)
    return raw


def test_a_duplicate_far_from_the_first_wins_as_well(tmp_path: Path) -> None:
    rows = [*titled(2_500), {"id": "m000", "title": "last"}, {"id": "m2499", "title": "kept"}]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=WordEncoder(dim=8))
    items = items_of(tmp_path / "x")
    assert len(items) == 2_500
    assert items["m000"]["title"] == "last"


def test_bad_rows_are_reported_with_file_line_and_reason(tmp_path: Path) -> None:
    lines = ['{"id": "a", "title": "a"}', "{broken", '{"title": "no id"}', '{"id": "b"}', "7"]
    (tmp_path / "i.jsonl").write_text("\n".join([*lines, '{"id": "c", "title": "c"}']))
    summary = build_index(
        tmp_path / "i.jsonl", tmp_path / "x", encoder=WordEncoder(), max_rejected=0.7
    )
    assert (summary.items, summary.rejected) == (2, 4)
    rejections = rejected_of(tmp_path / "x")
    assert [rejection["line"] for rejection in rejections] == [2, 3, 4, 5]
    assert all(Path(rejection["source"]).name == "i.jsonl" for rejection in rejections)
    assert all(rejection["reason"] for rejection in rejections)


def test_fields_that_cannot_be_read_are_left_out_counted_and_told(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "title": "a", "price": "from 15.99"},
        {"id": "b", "title": "b", "price": "¥15.99", "location": "上海"},
        {"id": "c", "title": "c", "price": 3, "created_at": "05/04/2024"},
        {"id": "d", "price": "ask"},
    ]
    told: list[str] = []
    path = write_rows(tmp_path / "i.jsonl", rows)
    summary = build_index(
        path, tmp_path / "x", encoder=WordEncoder(), max_rejected=0.3, notice=told.append
    )
    assert (summary.items, summary.rejected) == (3, 1)
    assert items_of(tmp_path / "x") == {
        "a": {"id": "a", "title": "a"},
        "b": {"id": "b", "title": "b", "price": 15.99, "currency": "¥", "place": "上海"},
        "c": {"id": "c", "title": "c", "price": 3},
    }
    assert [line for line in told if "first" in line] == [
        f"price: 1 of 3 unreadable, first {path}:1 'from 15.99'",
        f"location: 1 of 1 place names, kept as 'place', first {path}:2 '上海'",
        f"created_at: 1 of 1 unreadable, first {path}:3 '05/04/2024'",
    ]
    reported = json.loads(summary.to_json())["findings"]
    assert [(kind["field"], kind["count"], kind["of"]) for kind in reported] == [
        ("price", 1, 3), ("location", 1, 1), ("created_at", 1, 1),
    ]  # fmt: skip
    lines = rejected_of(tmp_path / "x")
    assert [(line["line"], line.get("field")) for line in lines] == [
        (1, "price"), (2, "location"), (3, "created_at"), (4, None),
    ]  # fmt: skip
    with pytest.raises(CatalogError, match=r"first: .*i\.jsonl:4: has no text"):
        build_index(path, tmp_path / "y", encoder=WordEncoder())


@pytest.mark.parametrize(("bad", "allowed"), [(1, 0.01), (1, 0.5), (3, 0.03)])
def test_so_many_bad_rows_are_allowed(tmp_path: Path, bad: int, allowed: float) -> None:
    rows = [*titled(100 - bad), *[{"id": f"bad{number}"} for number in range(bad)]]
    summary = build_index(
        write_rows(tmp_path / "i.jsonl", rows),
        tmp_path / "x",
        encoder=WordEncoder(),
        max_rejected=allowed,
    )
    assert summary.rejected == bad


def test_more_bad_rows_fail_the_build_and_publish_nothing(tmp_path: Path) -> None:
    rows = [*titled(98), {"id": "bad"}, {"id": "worse"}]
    catalog = write_rows(tmp_path / "i.jsonl", rows)
    with pytest.raises(CatalogError) as caught:
        build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    message = str(caught.value)
    for part in ("2 of 100 rows", "i.jsonl:99:", "1.00%", "--max-rejected"):
        assert part in message
    assert list((tmp_path / "x" / "snapshots").iterdir()) == []
    with pytest.raises(SnapshotError):
        Index.open(tmp_path / "x")


def test_a_catalogue_without_a_usable_row_fails_the_build(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no usable row \(first: .*i\.jsonl:1:"):
        build_index(
            write_rows(tmp_path / "i.jsonl", [{"id": "a"}]),
            tmp_path / "x",
            encoder=WordEncoder(),
            max_rejected=1.0,
        )


def test_of_bad_rows_the_commonest_reason_is_given(tmp_path: Path) -> None:
    rows = [{"id": "a"}, {"title": "no id"}, {"title": "none"}]
    with pytest.raises(CatalogError) as caught:
        build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=WordEncoder())
    assert "i.jsonl:2: id is missing); nothing was published; mend the rows" in str(caught.value)


def test_a_catalogue_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nothing\.jsonl"):
        build_index(tmp_path / "nothing.jsonl", tmp_path / "x", encoder=WordEncoder())


def test_unchanged_texts_are_never_encoded_again(tmp_path: Path) -> None:
    rows = titled(30)
    catalog = write_rows(tmp_path / "i.jsonl", rows)
    build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    before = _raw(tmp_path / "x")
    rows[3]["title"] = "changed"
    rows[4]["imdb_id"] = "not in the text"
    write_rows(catalog, [*reversed(rows), {"id": "new", "title": "new"}])
    encoder = WordEncoder()
    summary = build_index(catalog, tmp_path / "x", encoder=encoder)
    assert (summary.encoded, summary.reused) == (2, 29)
    assert encoder.encoded == 2  # the background and the probe are known
    after = _raw(tmp_path / "x")
    unchanged = [row for row in range(30) if row != 3]
    np.testing.assert_array_equal(after[unchanged], before[unchanged])


def test_equal_texts_are_encoded_once(tmp_path: Path) -> None:
    rows = [{"id": str(number), "title": f"title {number % 3}"} for number in range(12)]
    summary = build_index(
        write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=WordEncoder()
    )
    assert (summary.encoded, summary.reused) == (3, 9)


def test_another_model_or_force_encodes_all_anew(tmp_path: Path) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", titled(10))
    build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    other = build_index(catalog, tmp_path / "x", encoder=WordEncoder(name="letters"))
    forced = build_index(
        catalog, tmp_path / "x", encoder=WordEncoder(name="letters"), force_full=True
    )
    again = build_index(catalog, tmp_path / "x", encoder=WordEncoder(name="letters"))
    assert [summary.encoded for summary in (other, forced, again)] == [10, 10, 0]


def test_a_killed_build_leaves_the_old_snapshot_live_and_its_vectors_reusable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_vectors, "_CHUNK_TEXTS", 10)
    old = build_index(
        write_rows(tmp_path / "o.jsonl", titled(3, "old")), tmp_path / "x", encoder=WordEncoder()
    )
    catalog = write_rows(tmp_path / "i.jsonl", titled(45, "new"))
    with pytest.raises(PowerCutError):
        build_index(catalog, tmp_path / "x", encoder=DyingEncoder(lifetime=35))
    assert Index.open(tmp_path / "x").id == old.snapshot
    assert [path.name for path in (tmp_path / "x" / "snapshots").iterdir()] == [old.snapshot]
    summary = build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    assert (summary.encoded, summary.reused) == (15, 30)
    straight = build_index(catalog, tmp_path / "y", encoder=WordEncoder())
    assert straight.encoded == 45
    np.testing.assert_array_equal(_raw(tmp_path / "x"), _raw(tmp_path / "y"))
    assert list((tmp_path / "x" / "encoded").iterdir()) == []


def test_a_torn_record_in_the_journal_is_dropped(tmp_path: Path) -> None:
    vectors = WordEncoder(dim=16).encode_items(["a", "b", "c"])
    names = [hash_text("key", text) for text in "abc"]
    VectorCache(tmp_path / "key.bin", 16).append(names, vectors)
    content = (tmp_path / "key.bin").read_bytes()
    (tmp_path / "key.bin").write_bytes(content[:-5])
    torn = VectorCache(tmp_path / "key.bin", 16)
    assert [torn.get(name) is not None for name in names] == [True, True, False]
    torn.append(names[2:], vectors[2:])
    whole = VectorCache(tmp_path / "key.bin", 16)
    assert len(whole) == 3
    for name, vector in zip(names, vectors, strict=True):
        np.testing.assert_array_equal(whole.get(name), vector.astype(np.float16))


def test_a_record_of_zeros_in_the_journal_is_no_vector(tmp_path: Path) -> None:
    """A file that grew before its pages were written reads as zeros after a power cut."""
    (tmp_path / "key.bin").write_bytes(bytes(16 + 2 * 16))
    assert len(VectorCache(tmp_path / "key.bin", 16)) == 0


@pytest.mark.parametrize("name", ["manifest.json", "raw.npy", "hashes.npy", "index.faiss"])
def test_a_damaged_snapshot_can_be_rebuilt_and_gives_nothing_wrong_away(
    tmp_path: Path, name: str
) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", titled(20))
    build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    right = _raw(tmp_path / "x")
    file = snapshot.find_snapshot(tmp_path / "x") / name
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    summary = build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    assert summary.encoded == (0 if name == "index.faiss" else 20)
    np.testing.assert_array_equal(_raw(tmp_path / "x"), right)


def test_a_build_killed_by_the_system_leaves_no_lock_and_no_rubbish(tmp_path: Path) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", titled(20))
    program = f"""
        import os, signal, sys
        sys.path.insert(0, {str(REPOSITORY)!r})
        from indexer import build_index
        from tests.fakes import WordEncoder
        class Dies(WordEncoder):
            def encode_items(self, texts, progress=None):
                os.kill(os.getpid(), signal.SIGKILL)
        build_index({str(catalog)!r}, {str(tmp_path / "x")!r}, encoder=Dies())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any((tmp_path / "x" / "snapshots").glob(".building-*"))
    summary = build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    assert os.listdir(tmp_path / "x" / "snapshots") == [summary.snapshot]  # noqa: PTH208  # names


def test_a_second_builder_at_once_is_refused_in_a_sentence(tmp_path: Path) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", titled(5))
    encoder = NosyEncoder(catalog, tmp_path / "x")
    build_index(catalog, tmp_path / "x", encoder=encoder)
    assert encoder.refusal == (
        f"another build is running in {tmp_path / 'x'}; wait for it or choose another --out"
    )


def _hold_the_lock(out: Path, ready: Any, over: Any) -> None:
    with build_folder.lock_directory(out):
        ready.set()
        over.wait(30)


def test_a_builder_in_another_process_is_respected_and_its_lock_dies_with_it(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("spawn")
    ready, over = context.Event(), context.Event()
    other = context.Process(target=_hold_the_lock, args=(tmp_path / "x", ready, over))
    other.start()
    assert ready.wait(60)
    catalog = write_rows(tmp_path / "i.jsonl", titled(3))
    with pytest.raises(SnapshotError, match="another build is running"):
        build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    other.kill()
    other.join()
    build_index(catalog, tmp_path / "x", encoder=WordEncoder())


def test_an_out_that_cannot_be_a_directory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a file")
    with pytest.raises(SnapshotError, match=r"x cannot be written .*choose another --out"):
        build_index(
            write_rows(tmp_path / "i.jsonl", titled(3)), tmp_path / "x", encoder=WordEncoder()
        )


def test_a_read_only_out_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir(mode=0o555)
    if os.access(tmp_path / "x", os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(SnapshotError, match="cannot be written"):
        build_index(
            write_rows(tmp_path / "i.jsonl", titled(3)), tmp_path / "x", encoder=WordEncoder()
        )


def test_a_new_snapshot_is_live_and_a_reader_keeps_the_one_it_has(tmp_path: Path) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", titled(5, "old"))
    first = build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    reader = Index.open(tmp_path / "x")
    write_rows(catalog, titled(7, "new"))
    second = build_index(catalog, tmp_path / "x", encoder=WordEncoder())
    assert (reader.id, len(reader)) == (first.snapshot, 5)
    shown = {str(hit.item["title"]) for hit in reader.recommend(k=7)}
    assert shown == {f"old {number}" for number in range(5)}
    live = Index.open(tmp_path / "x")
    assert (live.id, len(live)) == (second.snapshot, 7)
    assert live.manifest.parent == first.snapshot
    assert len(Index.open(tmp_path / "x", snapshot_id=first.snapshot)) == 5


def test_the_same_catalogue_gives_the_same_files(tmp_path: Path) -> None:
    rows = [{**row, "rating": 1 + place % 5} for place, row in enumerate(titled(50))]
    folders = []
    for name in ("x", "y"):
        catalog = write_rows(tmp_path / f"{name}.jsonl", rows)
        build_index(catalog, tmp_path / name, encoder=WordEncoder())
        folders.append(snapshot.find_snapshot(tmp_path / name))
        rows.reverse()
    for file in ("raw.npy", "hashes.npy", "index.faiss", "space.safetensors", "columns/rows.npy"):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()


def test_ready_made_vectors_need_no_model_and_are_compared_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = {
        f"m{number:03d}": rng.normal(size=6) * 10.0 ** rng.integers(-3, 4) for number in range(50)
    }
    rows = [{"id": i, "title": i, "vector": vector.tolist()} for i, vector in vectors.items()]
    summary = build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none")
    assert (summary.encoded, summary.reused) == (0, 0)
    np.testing.assert_array_equal(
        _raw(tmp_path / "x"), stored(np.stack([vectors[i] for i in sorted(vectors)])).astype("f4")
    )
    truth = World(rows, vectors).answer({"history": ["m001", "m002"]})
    index = Index.open(tmp_path / "x")
    assert index.manifest.encoder is None
    assert [hit.id for hit in index.recommend(history=["m001", "m002"], k=50)] == truth.ids
    assert "vector" not in index.recommend(k=1)[0].item


@pytest.mark.parametrize("vector", [[1e-30, 2e-30], [1e30, 2e30], [1e-42, 2e-42]])
def test_a_tiny_or_huge_vector_keeps_its_direction(tmp_path: Path, vector: list[float]) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "title": "a", "vector": vector},
        {"id": "b", "title": "b", "vector": [1, 0]},
    ]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none")
    np.testing.assert_allclose(
        Index.open(tmp_path / "x").vectors(["a"]), [[0.4472, 0.8944]], atol=1e-3
    )


def test_vectors_of_two_sizes_or_none_are_rejected_rows(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "title": "a", "vector": [1, 0, 0]},
        {"id": "b", "title": "b", "vector": [1, 0]},
        {"id": "c", "title": "c"},
        {"id": "d", "title": "d", "vector": [0, 0, 0]},
    ]
    summary = build_index(
        write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model="none", max_rejected=0.9
    )
    assert (summary.items, summary.rejected) == (1, 3)
    reasons = [rejection["reason"] for rejection in rejected_of(tmp_path / "x")]
    assert "has 2 numbers, expected 3" in reasons[0]
    assert "--model none" in reasons[1]


def test_ready_made_and_encoded_vectors_may_stand_side_by_side(tmp_path: Path) -> None:
    encoder = WordEncoder(dim=8)
    given = encoder.encode_items(["sea rain"])[0].tolist()
    rows: list[dict[str, Any]] = [
        {"id": "given", "title": "unlike", "vector": given},
        {"id": "encoded", "title": "sea rain"},
        {"id": "short", "title": "x", "vector": [1, 2]},
    ]
    summary = build_index(
        write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=encoder, max_rejected=0.5
    )
    assert (summary.items, summary.encoded, summary.rejected) == (2, 1, 1)
    one, other = Index.open(tmp_path / "x").vectors(["given", "encoded"])
    assert float(one @ other) > 0.999


def test_ratings_beyond_any_scale_do_not_break_a_build(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "title": "a", "rating": 1e30},
        {"id": "b", "title": "b", "rating": -3},
        {"id": "c", "title": "c"},
    ]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=WordEncoder())
    answer = Index.open(tmp_path / "x").recommend()
    gains = {
        hit.id: sum(reason["share"] for reason in hit.reasons if reason["kind"] == "popularity")
        for hit in answer
    }
    assert gains == pytest.approx({"a": 0.05, "c": 0.0, "b": -0.05}, abs=1e-6)


def test_an_unknown_index_kind_or_option_is_refused(tmp_path: Path) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", titled(3))
    with pytest.raises(CatalogError, match=r"unknown index 'hsnw'"):
        build_index(catalog, tmp_path / "x", encoder=WordEncoder(), index="hsnw")


def test_fields_may_be_mapped_and_files_zipped(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "i.csv.gz", "wt", encoding="utf-8") as file:
        file.write("movieId,name of it,genres\n7,Heat,crime|drama\n8,Big,comedy\n")
    build_index(
        tmp_path / "i.csv.gz",
        tmp_path / "x",
        encoder=WordEncoder(),
        fields={"id": "movieId", "title": "name of it", "tags": "genres"},
    )
    assert items_of(tmp_path / "x") == {
        "7": {"id": "7", "title": "Heat", "tags": ["crime", "drama"]},
        "8": {"id": "8", "title": "Big", "tags": ["comedy"]},
    }


@pytest.mark.parametrize(
    ("titles", "language"),
    [(["雨天", "悬疑片", "sea"], "zh"), (["sea", "rain", "雨天"], "en")],
)
def test_the_language_is_that_of_most_titles(
    tmp_path: Path, titles: list[str], language: str
) -> None:
    rows = [{"id": title, "title": title} for title in titles]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", encoder=WordEncoder())
    assert Index.open(tmp_path / "x").manifest.language == language


def test_progress_is_reported_up_to_the_end(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    build_index(
        write_rows(tmp_path / "i.jsonl", titled(12)),
        tmp_path / "x",
        encoder=WordEncoder(),
        report=lambda *step: steps.append(step),
    )
    assert list(dict.fromkeys(stage for stage, _, _ in steps)) == [
        "read", "store", "encode", "index",
    ]  # fmt: skip
    for stage in ("read", "store", "encode", "index"):
        assert [(done, total) for name, done, total in steps if name == stage][-1] == (12, 12)


def test_a_summary_is_one_line_of_json(tmp_path: Path) -> None:
    summary = build_index(
        write_rows(tmp_path / "i.jsonl", titled(4)), tmp_path / "x", encoder=WordEncoder()
    )
    fields = json.loads(summary.to_json())
    assert "\n" not in summary.to_json()
    assert fields["snapshot"] == snapshot.read_current_id(tmp_path / "x")
    assert (fields["items"], fields["encoded"], fields["recall"]) == (4, 4, 1.0)


def test_importing_the_package_is_quick() -> None:
    """Neither the language model nor the index library is loaded before it is needed."""
    program = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(REPOSITORY)!r})
        import indexer
        heavy = {{"torch", "faiss", "transformers", "sentence_transformers", "pyarrow", "pandas"}}
        print(sorted(heavy & sys.modules.keys()))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"max_rejected": 1.5}, "max_rejected is 1.5; give a share from 0 to 1"),
        ({"max_rejected": float("nan")}, "max_rejected is nan"),
        ({"min_recall": 0}, "min_recall is 0; give a share"),
        ({"rating_scale": (3, 3)}, r"rating_scale is \(3, 3\); give the lowest and a higher"),
        ({"rating_scale": (0, float("inf"))}, "rating_scale is"),
        ({"rating_scale": (1, 2, 3)}, "rating_scale is"),
        ({"since": "first"}, "unknown since 'first'"),
    ],
)
def test_an_option_out_of_its_range_is_refused_before_anything_is_read(
    tmp_path: Path, chosen: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CatalogError, match=sentence):
        build_index("nowhere.jsonl", tmp_path / "x", **chosen)
    assert not (tmp_path / "x").exists()


def test_an_unknown_option_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no option 'min_recal'; did you mean 'min_recall'"):
        build_index(
            "nowhere.jsonl",
            tmp_path / "x",
            min_recal=0.9,  # type: ignore[call-arg]  # the mistake that is refused
        )


def test_a_path_may_be_given_as_one(tmp_path: Path) -> None:
    rows = [{"id": f"m{n}", "title": "t", "vector": [1.0, n / 10]} for n in range(4)]
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,event\nu1,m1,like\nu1,m2,like\n")
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    assert build_index(catalog, tmp_path / "x", model="none", interactions=events).interactions == 2


def test_bad_interactions_are_reported_without_the_person(tmp_path: Path) -> None:
    catalog = write_rows(
        tmp_path / "items.jsonl",
        [{"id": f"m{n}", "title": "t", "vector": [1.0, n / 10]} for n in range(4)],
    )
    good: dict[str, Any] = {"user_id": "mia", "item_id": "m1", "event": "like"}
    bad: list[dict[str, Any]] = [
        {**good, "item_id": None}, {**good, "timestamp": "mia"}, {**good, "timestamp": 1e11}
    ]  # fmt: skip
    events = write_rows(tmp_path / "events.jsonl", [good, *bad])
    with events.open("a") as file:
        file.write('{"user_id": "mia", \n')
    build_index(catalog, tmp_path / "x", model="none", interactions=events, max_rejected=0.9)
    assert [(row["line"], row["reason"][:25]) for row in rejected_of(tmp_path / "x")] == [
        (2, "item_id is missing"),
        (3, "timestamp must be an ISO "),
        (4, "timestamp … is more than "),
        (5, "is not JSON: unexpected e"),
    ]
    assert "mia" not in str(rejected_of(tmp_path / "x"))


def test_bad_interactions_that_fail_the_build_are_named_and_kept_without_the_person(
    tmp_path: Path,
) -> None:
    catalog = write_rows(
        tmp_path / "items.jsonl", [{"id": "m1", "title": "t", "vector": [1.0, 0.5]}]
    )
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,event,timestamp\n" + "mia,m1,click,14-11-2023 late\n" * 2)
    with pytest.raises(CatalogError) as caught:
        build_index(catalog, tmp_path / "x", model="none", interactions=events)
    assert f"(first: {events}:2: timestamp must be" in str(caught.value)
    kept = tmp_path / "x" / "rejected.jsonl"
    assert str(caught.value).endswith(f"every bad row is named in {kept}")
    assert [json.loads(line)["line"] for line in kept.read_text().splitlines()] == [2, 3]
    assert "mia" not in kept.read_text()
    build_index(catalog, tmp_path / "x", model="none")
    assert not kept.exists()


def test_interactions_that_name_no_item_fail_the_build(tmp_path: Path) -> None:
    rows = [{"id": f"film-{n}", "title": "t", "vector": [1.0, n / 10]} for n in range(4)]
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,event\nu1,x1,like\nu1,x2,like\n")
    expected = (
        r'^0 of 2 interactions name an item of the catalogue \(first: "x1"; the catalogue\'s look '
        r'like "film-0"\)'
    )
    with pytest.raises(CatalogError, match=expected):
        build_index(catalog, tmp_path / "x", model="none", interactions=events)
    assert not (tmp_path / "x" / "CURRENT").exists()


def test_how_many_interactions_name_an_item_is_told_and_few_are_a_warning(tmp_path: Path) -> None:
    rows = [{"id": f"film-{n}", "title": "t", "vector": [1.0, n / 10]} for n in range(4)]
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,event\nu1,film-1,like\nu1,x1,like\nu1,x2,buy\n")
    told: list[str] = []
    summary = build_index(
        catalog, tmp_path / "x", model="none", interactions=events, notice=told.append
    )
    assert (summary.interactions, summary.interactions_matched) == (3, 1)
    words = "event words: 'buy' is purchase (1 rows)"
    few = (
        'only 1 of 3 interactions name an item of the catalogue (first: "x1"; the catalogue\'s '
        'look like "film-0"); is it the right file?'
    )
    assert summary.notes == (words, few)
    assert {words, few} <= set(told)
    assert json.loads(summary.to_json())["notes"] == [words, few]


def test_what_values_were_taken_for_is_in_the_manifest(tmp_path: Path) -> None:
    rows = [{"id": f"m{n}", "title": "t", "vector": [1.0, n / 10]} for n in range(4)]
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,plays\nu1,m1,3\nu1,m2,700\n")
    build_index(catalog, tmp_path / "x", model="none", interactions=events)
    manifest = read_manifest(find_snapshot(tmp_path / "x"))
    assert manifest.interactions == {"event": "play", "value_is": "count"}
    build_index(catalog, tmp_path / "x", model="none", interactions=events, event="view")
    manifest = read_manifest(find_snapshot(tmp_path / "x"))
    assert manifest.interactions == {"event": "view", "value_is": "count"}


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"event": "clik"}, "--event is 'clik'; did you mean 'click'"),
        ({"value_is": "stars"}, "value_is is 'stars'; give one of rating, count, money"),
    ],
)
def test_an_event_or_a_kind_of_value_that_is_none_is_refused(
    tmp_path: Path, chosen: dict[str, Any], sentence: str
) -> None:
    rows = [{"id": "m1", "title": "t", "vector": [1.0, 0.5]}]
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id\nu1,m1\n")
    with pytest.raises(CatalogError, match=sentence):
        build_index(catalog, tmp_path / "x", model="none", interactions=events, **chosen)


def test_an_event_of_ones_own_is_learned_from_if_scenarios_weigh_it(tmp_path: Path) -> None:
    rows = [{"id": f"m{n}", "title": "t", "vector": [1.0, n / 10]} for n in range(4)]
    catalog = write_rows(tmp_path / "items.jsonl", rows)
    events = tmp_path / "events.csv"
    events.write_text("user_id,item_id,event\nu1,m1,trailer\nu1,m2,trailer\n")
    with pytest.raises(CatalogError, match=r"event is 'trailer'; .*scenarios\.toml"):
        build_index(catalog, tmp_path / "x", model="none", interactions=events)
    (tmp_path / "x" / "scenarios.toml").write_text("[cinema]\nevent_weights = { trailer = 0.3 }\n")
    summary = build_index(catalog, tmp_path / "x", model="none", interactions=events)
    assert summary.interactions_matched == 2
    report = json.loads((find_snapshot(tmp_path / "x") / "report.json").read_text())
    assert report["learned"]["events"] == 2


def test_interactions_that_are_not_there_are_named_before_anything_is_encoded(
    tmp_path: Path,
) -> None:
    catalog = write_rows(tmp_path / "i.jsonl", [{"id": "1", "title": "a"}])
    encoder = WordEncoder(dim=8)
    with pytest.raises(CatalogError, match=r"none\.csv does not exist; check the path"):
        build_index(
            catalog, tmp_path / "x", encoder=encoder, interactions=str(tmp_path / "none.csv")
        )
