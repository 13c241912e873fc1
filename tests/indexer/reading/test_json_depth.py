"""JSON that is nested deep is rows, bad rows or one sentence; what it takes does not grow."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.reading import Item, Rejection, read_catalog

_READ = """
import sys
from indexer.errors import CatalogError
from indexer.reading import read_catalog
try:
    for row in read_catalog([sys.argv[1]]):
        print(row.reason)
except CatalogError as error:
    print(error)
"""
_MEMORY_BYTES = 4 << 30  # of addresses; the depth of a file must not take more
_ALARM_S = 60


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[" * 100_000 + "]" * 100_000, "is nested too deep"),
        ("[" * 100_000, "is not JSON"),
        (
            '[{"id": 1, "title": "t", "a": ' + "[" * 100_000 + "]" * 100_000 + "}]",
            "is nested too deep",
        ),
        (
            '{"items": [\n{"id": 1, "a": ' + '{"a": ' * 100_000 + "1" + "}" * 100_000 + "}]}",
            "is nested too deep",
        ),
        ('{\n"id": 1, "a": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deep"),
    ],
)
def test_brackets_without_end_are_one_sentence_or_a_bad_row_each(
    tmp_path: Path, content: str, told: str
) -> None:
    path = tmp_path / "deep.json"
    path.write_text(content)
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path)],
        capture_output=True,
        text=True,
        timeout=_ALARM_S,
        preexec_fn=_limit_memory,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert told in done.stdout
    assert len(done.stdout) < 1_000


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("depth", [60, 95, 254, 300, 500, 900])
def test_a_row_that_is_a_deep_list_is_rejected_and_the_next_is_read(
    tmp_path: Path, name: str, depth: int
) -> None:
    path = tmp_path / name
    path.write_text('{"id": 1, "title": "t"}\n' + "[" * depth + "]" * depth + "\n")
    item, rejection = read_catalog([str(path)])
    assert isinstance(item, Item)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "is JSON, but not an object with fields"


@pytest.mark.parametrize("depth", [60, 99])
def test_a_deep_entry_of_an_array_is_rejected(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"id": 1, "title": "t"},\n' + "[" * depth + "]" * depth + "]")
    item, rejection = read_catalog([str(path)])
    assert isinstance(item, Item)
    assert isinstance(rejection, Rejection)
