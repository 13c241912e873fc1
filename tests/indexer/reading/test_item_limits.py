"""An item is bounded in every direction in which it costs memory or time."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import CatalogError
from indexer.reading import Item, Rejection, Row, describe_excess, to_item
from indexer.release import build_index

HUGE = {"k" * 400_000: {f"f{number}": 1 for number in range(58_000)}}


def read(**fields: Any) -> Item | Rejection:
    return to_item(Row("a.jsonl", 3, {"id": "m1", "title": "A", **fields}))


def nest(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {f"f{number}": number for number in range(990)},
        {"deep": nest(16)},
        {"k" * 256: 1},
        {"a" * 256: {"b" * 256: {"c" * 256: {"d" * 253: 1}}}},
        {"cast": ["name"] * 10_000},
        {"description": "x" * 1_000_000},
        {"parts": [{"name": "wheel", "count": 2}] * 3_000},
    ],
)
def test_an_item_within_the_limits_is_read(fields: dict[str, Any]) -> None:
    assert isinstance(read(**fields), Item)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({f"f{number}": number for number in range(1_001)}, "more than 1000 fields"),
        ({"facts": {f"f{number}": {} for number in range(1_001)}}, "more than 1000 fields"),
        ({"deep": nest(17)}, "deep is nested more than 16 levels deep"),
        ({"deep": [[nest(15)]]}, "deep is nested more than 16 levels deep"),
        ({"k" * 257: 1}, "a field name of 257 characters"),
        ({"facts": {"k" * 257: 1}}, "a field name of 257 characters"),
        ({"parts": [{"k" * 257: 1}]}, "a field name of 257 characters"),
        ({"a" * 256: {"b" * 256: {"c" * 256: {"d" * 254: 1}}}}, "1025 characters together"),
        ({"cast": ["name"] * 10_001}, "more than 10000 values in lists"),
        ({"lists": [["name"] * 100] * 100}, "more than 10000 values in lists"),
        ({"tags": "|".join("word" for _ in range(10_001))}, "more than 10000 values in lists"),
        ({"description": "x" * 1_050_000}, "larger than 1048576 bytes"),
        ({"description": "雨" * 350_000}, "larger than 1048576 bytes"),
        ({"note": {"a": "x" * 525_000, "b": "y" * 525_000}}, "larger than 1048576 bytes"),
        ({"p" * 250: [{"q" * 250: 1}] * 4_000}, "larger than 1048576 bytes"),
        (HUGE, "a field name of 400000 characters"),
    ],
)
def test_an_item_beyond_a_limit_is_rejected_with_the_reason(
    fields: dict[str, Any], reason: str
) -> None:
    found = read(**fields)
    assert isinstance(found, Rejection)
    assert reason in found.reason
    assert len(found.reason) < 200
    assert (found.source, found.line) == ("a.jsonl", 3)


def test_the_size_of_an_item_is_measured_in_little_memory() -> None:
    tracemalloc.start()
    assert describe_excess(HUGE)
    assert describe_excess({"a": HUGE})
    assert describe_excess({"k" * 200: {"l" * 200: {str(n): {} for n in range(58_000)}}})
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


def test_a_file_with_such_a_row_is_built_without_it(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": f"m{number}", "title": f"T {number}", "vector": [1.0, number]} for number in range(5)
    ]
    lines = [json.dumps(row) for row in [*rows, {**rows[0], "id": "huge", **HUGE}]]
    catalog = tmp_path / "items.jsonl"
    catalog.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(CatalogError, match=r"jsonl:6: has a field name of 400000 characters"):
        build_index(catalog, tmp_path / "index", model="none")
    build_index(catalog, tmp_path / "index", model="none", max_rejected=0.5)
    (rejected,) = (tmp_path / "index" / "snapshots").glob("*/rejected.jsonl")
    report = json.loads(rejected.read_text(encoding="utf-8"))
    assert report["line"] == 6
    assert len(json.dumps(report)) < 2_000
