"""A build says before it encodes how much there is to do, and about how long it takes."""

import re
from pathlib import Path

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.build import raw_vectors
from indexer.durations import describe_duration
from tests.fakes import WordEncoder
from tests.oracle import write_rows

ROWS = [{"id": f"m{n:03}", "title": f"word{n % 7} thing{n}"} for n in range(600)]


def built(folder: Path, rows: list[dict[str, str]], *, told: bool) -> tuple[Index, list[str]]:
    encoder, notices = WordEncoder(dim=16), list[str]()
    notice = notices.append if told else None
    build_index(write_rows(folder / "i.jsonl", rows), folder / "x", encoder=encoder, notice=notice)
    return Index.open(folder / "x", encoder=encoder), notices


def test_texts_model_time_and_speed_are_told_once(tmp_path: Path) -> None:
    _, notices = built(tmp_path, ROWS, told=True)
    (sentence,) = notices
    pattern = r"600 texts to encode with \S+: about \d+ s at [\d,]+ texts a second"
    assert re.fullmatch(pattern, sentence)


def test_what_is_left_goes_by_the_size_of_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("indexer.build.raw_vectors.time.perf_counter", lambda: now[0])
    notices: list[str] = []
    sizes = np.array([900] * 10 + [100] * 90)  # half of all bytes are in the first ten texts
    report = raw_vectors._announce_duration(
        lambda *_: None, notices.append, "100 texts", np.cumsum(sizes)
    )
    now[0] = 1.0
    report("encode", 5, 100)
    assert notices == []  # too early to tell
    now[0] = 30.0
    report("encode", 10, 100)
    report("encode", 100, 100)
    assert notices == ["100 texts: about 30 s at 2 texts a second"]


def test_what_is_known_already_is_told_apart(tmp_path: Path) -> None:
    built(tmp_path, ROWS, told=False)
    more = [*ROWS, *({"id": f"n{n:03}", "title": f"new{n}"} for n in range(520))]
    _, (sentence,) = built(tmp_path, more, told=True)
    assert sentence.startswith("520 texts to encode with ")
    assert ", 600 known already: about " in sentence


def test_a_few_texts_are_not_announced(tmp_path: Path) -> None:
    assert built(tmp_path, ROWS[:100], told=True)[1] == []


def test_listening_changes_no_vector(tmp_path: Path) -> None:
    (tmp_path / "told").mkdir()
    (tmp_path / "silent").mkdir()
    ids = [row["id"] for row in ROWS]
    one, _ = built(tmp_path / "told", ROWS, told=True)
    other, _ = built(tmp_path / "silent", ROWS, told=False)
    np.testing.assert_array_equal(one.vectors(ids), other.vectors(ids))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (89, "89 s"), (240, "4 min"), (5_399, "90 min"), (9_000, "2.5 h")],
)
def test_durations_are_told_as_a_person_would(seconds: float, words: str) -> None:
    assert describe_duration(seconds) == words
