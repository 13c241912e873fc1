"""Each value of a JSON file is found by its brackets, and a damaged one costs itself alone."""

import io
import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from indexer.errors import CatalogError
from indexer.reading import Item, Rejection, read_catalog
from indexer.reading.json_values import BrokenJsonError, JsonValues, LongValueError

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='"\\{}[],: a\n水'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


class _Trickle(io.BytesIO):
    """A file that gives few bytes at a time, whatever is asked for."""

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        del size
        return super().read(3)


@given(st.lists(values, max_size=5), st.sampled_from([None, 1]))
def test_the_values_of_a_list_are_those_that_a_decoder_finds(
    entries: list[Any], indent: int | None
) -> None:
    text = json.dumps(entries, indent=indent).encode()
    for file in (io.BytesIO(text), _Trickle(text)):
        found = list(JsonValues(file).take_list())
        assert [orjson.loads(value) for value in found if isinstance(value, bytes)] == entries


@pytest.mark.parametrize("text", [b"", b"[", b"[1", b"[1 2]", b"[,]", b'["a]', b"[{]", b"{}"])
def test_a_damaged_list_is_told(text: bytes) -> None:
    with pytest.raises(BrokenJsonError):
        list(JsonValues(io.BytesIO(text)).take_list())


@pytest.mark.parametrize(
    "long", [b'{"a": "' + b'\\"' * 60 + b'"}', b'{"a": [' + b"1, " * 60 + b"1]}", b"9" * 200]
)
def test_a_value_that_is_too_long_costs_itself(
    monkeypatch: pytest.MonkeyPatch, long: bytes
) -> None:
    monkeypatch.setattr("indexer.reading.json_values.MAX_VALUE_BYTES", 64)
    monkeypatch.setattr("indexer.reading.json_values._CHUNK_BYTES", 16)
    first, second, third = JsonValues(io.BytesIO(b"[1," + long + b', {"b": 2}]')).take_list()
    assert (first, third) == (b"1", b'{"b": 2}')
    assert isinstance(second, LongValueError)
    assert second.start == long[: len(second.start)]


_BAD = [
    '{"id": "deep", "title": "x", "tags": ' + "[" * 6_000 + "]" * 6_000 + "}",
    '{"id": "large", "title": "x", "price": ' + "9" * 400 + "}",
    '{"id": "half", "title": "x\\ud800"}',
    '{"id": "half", "title": "x\\ud800", "price": NaN}',
    '{"id": "no comma" "title": "x"}',
]
_LAYOUTS: dict[str, Callable[[Sequence[str]], str]] = {
    "an array": lambda rows: "[" + ", ".join(rows) + "]",
    "an array over lines": lambda rows: "[\n" + ",\n".join(rows) + "\n]",
    "a wrapped array": lambda rows: '{"products": [' + ", ".join(rows) + "]}",
    "lines": "\n".join,
    "lines with commas": lambda rows: ",\n".join(rows) + ",\n",
    "objects over lines": lambda rows: "\n".join(row.replace("{", "{\n", 1) for row in rows),
}


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize("bad", _BAD)
def test_one_bad_object_costs_that_row_only_in_any_layout(
    tmp_path: Path, layout: str, bad: str
) -> None:
    good = ['{"id": "a", "title": "A", "price": NaN}', '{"id": "b", "title": "B, \\"]} NaN"}']
    path = tmp_path / "a.json"
    path.write_text(_LAYOUTS[layout]([good[0], bad, good[1]]))
    first, second, third = read_catalog([str(path)])
    assert isinstance(first, Item)
    assert isinstance(second, Rejection)
    assert isinstance(third, Item)
    assert "price" not in first.fields
    assert third.fields["title"] == 'B, "]} NaN'


@pytest.mark.parametrize("text", ['{"LONG": 1, "items": [ROW]}', '{"LONG": [ROW], "total": 1}'])
def test_a_name_that_is_too_long_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("indexer.reading.json_values.MAX_VALUE_BYTES", 64)
    monkeypatch.setattr("indexer.reading.json_values._CHUNK_BYTES", 16)
    path = tmp_path / "a.json"
    path.write_text(text.replace("LONG", "n" * 200).replace("ROW", '{"id": "a", "title": "A"}'))
    (item,) = read_catalog([str(path)])
    assert isinstance(item, Item)
    assert item.id == "a"


@pytest.mark.parametrize("behind", ['{"\\x": 1}', "5", '"text"', "[1]", '{"items": 5}', "}"])
def test_what_is_no_page_behind_a_page_is_told(tmp_path: Path, behind: str) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"items": [{"id": "a", "title": "A"}]}\n' + behind + "\n")
    with pytest.raises(CatalogError, match="is not JSON after its 1 first objects"):
        list(islice(read_catalog([str(path)]), 5))
