"""JSON that is nested deep is rows, bad rows or one sentence; what it takes does not grow."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import CatalogError
from indexer.reading import Item, Rejection, read_catalog
from indexer.reading.json_depth import MAX_JSON_DEPTH, DepthGuard

_READ = """
import sys
from indexer.errors import CatalogError
from indexer.reading import read_catalog
try:
    print(len(list(read_catalog([sys.argv[1]]))))
except CatalogError as error:
    print(error)
"""
_MEMORY_BYTES = 4 << 30  # of addresses; the depth of a file must not take more
_ALARM_S = 60


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000 + "]" * 100_000,
        "[" * 100_000,
        '[{"id": 1, "title": "t", "a": ' + "[" * 100_000 + "]" * 100_000 + "}]",
        '{"items": [\n{"id": 1, "a": ' + '{"a": ' * 100_000 + "1" + "}" * 100_000 + "}]}",
        '{\n"id": 1, "a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_brackets_without_end_are_one_sentence(tmp_path: Path, content: str) -> None:
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
    assert f"nested more than {MAX_JSON_DEPTH} levels deep; write it flatter" in done.stdout


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


values = st.recursive(
    st.none() | st.text(alphabet='a"\\[]{}é'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='"\\[]{}k'), inner),
)


def _measure_depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_measure_depth, value), default=0) if isinstance(value, list) else 0


@contextmanager
def _expect_refusal(*, is_expected: bool) -> Iterator[None]:
    if is_expected:
        with pytest.raises(CatalogError, match="nested more than"):
            yield
    else:
        yield


@given(value=values, outer=st.integers(90, 105), size=st.integers(1, 9))
def test_depth_is_counted_outside_strings_wherever_the_text_is_cut(
    value: Any, outer: int, size: int
) -> None:
    text = (json.dumps("[" * 200) + "[" * outer + json.dumps(value) + "]" * outer).encode()
    guard = DepthGuard("a", BytesIO(text))
    with _expect_refusal(is_expected=outer + _measure_depth(value) > MAX_JSON_DEPTH):
        assert b"".join(iter(lambda: guard.read(size), b"")) == text
