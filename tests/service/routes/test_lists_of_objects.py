"""One element of a list of objects, and of a list within it, by file and over HTTP alike."""

from pathlib import Path
from typing import Any

import pytest

from indexer import build_index
from tests.oracle import write_rows
from tests.service.conftest import running

ROWS: list[dict[str, Any]] = [
    {"id": "red-small", "variants": [{"color": "red", "sizes": [{"name": "S", "left": 3}]},
                                     {"color": "blue", "sizes": [{"name": "L", "left": 2}]}]},
    {"id": "red-large", "variants": [{"color": "red", "sizes": [{"name": "S", "left": 0},
                                                                {"name": "L", "left": 4}]}]},
    {"id": "sold-out", "variants": [{"color": "red", "sizes": [{"name": "L", "left": 0},
                                                               {"name": "S", "left": 9}]}]},
    {"id": "plain"},
]  # fmt: skip
QUESTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"variants": {"elem": {"color": "red", "sizes.name": "L"}}}, ["red-large", "sold-out"]),
    ({"variants": {"elem": {"color": "red", "sizes": {"elem": {"name": "L", "left": {"gt": 0}}}}}},
     ["red-large"]),
    ({"variants": {"elem": {"color": "blue"}}}, ["red-small"]),
    ({"variants.color": "red", "variants.sizes.name": "L"}, ["red-large", "red-small", "sold-out"]),
    ({"not": {"variants": {"elem": {"color": "red"}}}}, ["plain"]),
]  # fmt: skip


@pytest.mark.parametrize("door", ["file", "live"])
def test_a_filter_asks_for_one_element_of_a_list_and_of_a_list_within(
    tmp_path: Path, door: str
) -> None:
    rows = [{"title": f"Shirt {row['id']}", "vector": [1.0, 0.5], **row} for row in ROWS]
    built = rows if door == "file" else [{"id": "x", "title": "X", "vector": [0.0, 1.0], "n": 1}]
    build_index(write_rows(tmp_path / "items.jsonl", built), tmp_path / "index", model="none")
    with running(tmp_path, "--index", tmp_path / "index") as (client, _):
        if door == "live":
            for row in rows:
                answer = client.put(f"/v1/items/{row['id']}", json=row)
                assert answer.status_code in (200, 201), answer.text
        for condition, expected in QUESTIONS:
            every = {"and": [condition, {"not": {"id": "x"}}]}
            answer = client.post("/v1/recommend", json={"filter": every, "k": 100})
            assert answer.status_code == 200, answer.text
            found = sorted(hit["id"] for hit in answer.json()["items"])
            assert found == expected, condition
        flat = {"variants.sizes": {"elem": {"name": "L"}}}
        for condition in (flat, {"or": [{"id": "plain"}, {"not": flat}]}):
            answer = client.post("/v1/recommend", json={"filter": condition})
            assert answer.status_code == 422, answer.text
            assert answer.json()["detail"] == (
                "'variants.sizes' is a list within each element of 'variants'; write "
                '{"variants": {"elem": {"sizes": {"elem": …}}}}'
            )
        detail = client.post(
            "/v1/recommend", json={"filter": {"title": {"elem": {"a": 1}}}}
        ).json()["detail"]
        assert "'elem' needs a field with a list of objects" in detail
