"""Vectors of texts outlive the service; nobody without the text and the secret can read them."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import Vectors
from indexer.errors import TextBudgetError
from indexer.language import TextEncoder, limit_new_tokens, use_query_store
from indexer.language.model_loading import Prompts
from service.edge.problems import Problem
from service.store.text_vectors import KeptTextEncoder, TextVectorFile, TextVectors
from tests.fakes import WordEncoder, WordModel

SECRET = "a secret of the tests"
TEXTS = [f"a wish of mine {number}" for number in range(20)]
HEADER_BYTES = 60
ENCODER = WordEncoder(dim=32)


def open_file(path: Path, *, secret: str = SECRET, max_bytes: int = 10**6) -> TextVectorFile:
    return TextVectorFile(path, secret, max_bytes=max_bytes)


def keep(file: TextVectorFile, vectors: dict[str, Vectors]) -> None:
    file.begin().add("model", vectors)


def encode(texts: list[str]) -> dict[str, Vectors]:
    return dict(zip(texts, ENCODER.encode_queries(texts), strict=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that holds the vectors of `TEXTS`."""
    path = tmp_path / "live.sqlite-vectors"
    keep(open_file(path), encode(TEXTS))
    return path


def test_vectors_are_found_again_exactly_as_they_were(path: Path) -> None:
    found = open_file(path).find("model", [*TEXTS, "another"])
    assert list(found) == TEXTS
    for text, vector in encode(TEXTS).items():
        np.testing.assert_array_equal(found[text], vector)
        assert found[text].dtype == np.float32


def test_another_model_or_secret_finds_nothing_and_a_model_begins_anew(path: Path) -> None:
    assert open_file(path).find("other model", TEXTS) == {}
    assert open_file(path, secret="another secret of the tests").find("model", TEXTS) == {}
    file = open_file(path)
    file.begin().add("other model", encode(TEXTS[:3]))
    assert list(file.find("other model", TEXTS)) == TEXTS[:3]
    assert file.find("model", TEXTS) == {}


def test_the_file_tells_neither_texts_nor_vectors(path: Path) -> None:
    data = path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    for text, vector in encode(TEXTS).items():
        assert text.encode() not in data
        assert vector.tobytes()[:8] not in data
    start = len(data) - 20 * (24 + 128)
    numbers = np.frombuffer(data[start:], np.uint8).reshape(20, -1)[:, 24:]
    vectors = np.frombuffer(numbers.tobytes(), "<f4").reshape(20, -1).astype(np.float64)
    with np.errstate(all="ignore"):
        is_unit = np.abs(np.linalg.norm(np.nan_to_num(vectors), axis=1) - 1) < 0.1
    assert not is_unit.any()


def test_processes_share_a_file(path: Path) -> None:
    first, second = open_file(path), open_file(path)
    assert len(first.find("model", TEXTS)) == 20
    keep(second, encode(["new"]))
    assert list(first.find("model", ["new"])) == ["new"]
    size = path.stat().st_size
    keep(first, encode(["new", *TEXTS]))  # nothing of it is new
    assert path.stat().st_size == size


def test_what_is_cleared_is_gone_for_every_process(path: Path) -> None:
    first, second = open_file(path), open_file(path)
    assert len(second.find("model", TEXTS)) == 20
    first.clear()
    assert path.stat().st_size == HEADER_BYTES
    assert second.find("model", TEXTS) == {}
    keep(second, encode(["new"]))
    assert list(first.find("model", [*TEXTS, "new"])) == ["new"]
    first.clear()
    second.clear()


@pytest.mark.parametrize("is_there", [True, False])
def test_vectors_of_texts_that_were_read_before_all_were_cleared_are_not_kept_after(
    path: Path, *, is_there: bool
) -> None:
    if not is_there:
        path.unlink()
    here, there = open_file(path), open_file(path)
    before_here, before_there = here.begin(), there.begin()
    assert before_here == here.begin()
    there.clear()
    before_here.add("model", encode(["late"]))
    before_there.add("model", encode(["late"]))
    assert open_file(path).find("model", ["late", *TEXTS]) == {}
    assert path.stat().st_size == HEADER_BYTES
    assert before_here != here.begin()
    here.begin().add("model", encode(["new"]))
    before_there.add("model", encode(["late"]))
    assert list(there.find("model", ["late", "new", *TEXTS])) == ["new"]


def test_a_file_begun_anew_for_its_size_or_model_takes_the_rest_of_a_call(path: Path) -> None:
    file = open_file(path, max_bytes=path.stat().st_size)
    vectors = file.begin()
    vectors.add("model", encode(["first"]))
    vectors.add("model", encode(["second"]))
    assert list(file.find("model", ["first", "second"])) == ["first", "second"]
    vectors.add("other model", encode(["third"]))
    vectors.add("other model", encode(["fourth"]))
    assert list(file.find("other model", ["third", "fourth"])) == ["third", "fourth"]


def test_processes_that_clear_and_add_at_the_same_time_keep_nothing_from_before(
    path: Path,
) -> None:
    """Each thread has a file of its own, as a process has."""
    vectors = encode(TEXTS)
    before = [open_file(path, max_bytes=5_000).begin() for _ in range(3)]
    is_cleared = threading.Barrier(4)

    def add(old: TextVectors) -> None:
        is_cleared.wait(60)
        for text, vector in vectors.items():
            old.add("another model", {text: vector})  # which begins the file anew

    def clear() -> None:
        is_cleared.wait(60)
        open_file(path).clear()

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(clear), *(pool.submit(add, old) for old in before)]
        for one in done:
            one.result()
    assert path.stat().st_size == HEADER_BYTES
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_would_grow_too_large_is_begun_anew(path: Path) -> None:
    file = open_file(path, max_bytes=path.stat().st_size)
    keep(file, encode(["new"]))
    assert list(file.find("model", [*TEXTS, "new"])) == ["new"]


@pytest.mark.parametrize("place", [0, 7, 8, 20, 40, 58, 70, 200, -1])
def test_a_damaged_byte_costs_vectors_and_gives_no_wrong_one(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    expected = encode(TEXTS)
    found = open_file(path).find("model", TEXTS)
    assert len(found) < 20
    for text, vector in found.items():
        np.testing.assert_array_equal(vector, expected[text])
    file = open_file(path)
    keep(file, expected)
    for text, vector in file.find("model", TEXTS).items():
        np.testing.assert_array_equal(vector, expected[text])


@pytest.mark.parametrize("kept", [0, 10, 59, 60, 61, 200])
def test_a_file_cut_off_anywhere_is_used_again(path: Path, kept: int) -> None:
    os.truncate(path, kept)
    file = open_file(path)
    assert len(file.find("model", TEXTS)) < 2
    keep(file, encode(TEXTS))
    assert list(open_file(path).find("model", TEXTS)) == TEXTS


def test_a_folder_that_cannot_be_written_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = open_file(tmp_path / "missing" / "live.sqlite-vectors")
    for _ in range(2):
        keep(file, encode(TEXTS))
        assert file.find("model", TEXTS) == {}
    assert len(caplog.records) == 1
    file.clear()


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    (tmp_path / "live.sqlite-vectors").mkdir()
    with pytest.raises(Problem, match="repeat the call") as raised:
        open_file(tmp_path / "live.sqlite-vectors").clear()
    assert raised.value.status_code == 503


def build_encoder() -> tuple[TextEncoder, WordModel]:
    model = WordModel()
    return TextEncoder(model, "words", Prompts("", "")), model


def test_an_encoder_encodes_dear_texts_once_for_all_processes(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite-vectors"
    first, first_model = build_encoder()
    KeptTextEncoder(first, open_file(path).begin())(TEXTS)
    assert sorted(first_model.query_texts) == sorted(TEXTS)
    second, second_model = build_encoder()
    with limit_new_tokens(20), use_query_store(open_file(path).begin()):
        np.testing.assert_array_equal(second.encode_queries(TEXTS), first.encode_queries(TEXTS))
    with use_query_store(open_file(path).begin()):  # as a batch does
        second.encode_queries([*TEXTS, "new"])
    assert second_model.query_texts == ["new"]
    assert list(open_file(path).find(second.query_key, ["new"])) == ["new"]
    third, third_model = build_encoder()
    with limit_new_tokens(20), pytest.raises(TextBudgetError):
        third.encode_queries(TEXTS)  # without a file
    third_model.query_arithmetic = "another"
    with (
        limit_new_tokens(20),
        use_query_store(open_file(path).begin()),
        pytest.raises(TextBudgetError),
    ):
        third.encode_queries(TEXTS)


def test_cheap_texts_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite-vectors"
    encoder, _ = build_encoder()
    with limit_new_tokens(64), use_query_store(open_file(path).begin()):
        encoder.encode_queries(TEXTS[:2])
    assert path.stat().st_size == HEADER_BYTES


def test_a_width_that_no_model_has_is_damage_and_reads_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: HEADER_BYTES - 4] + (1 << 28).to_bytes(4, "little"))
    with path.open("ab") as file:
        file.truncate(1 << 33)  # sparse: several records of a gigabyte
    sizes: list[int] = []
    read = os.pread

    def count(descriptor: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return read(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", count)
    held = open_file(path)
    assert held.find("model", TEXTS) == {}
    keep(held, encode(TEXTS))
    assert list(held.find("model", TEXTS)) == TEXTS
    assert max(sizes) < 1 << 20
