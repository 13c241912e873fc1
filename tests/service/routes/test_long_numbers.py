"""Whole numbers of any length are exact, or refused with a sentence, over HTTP as in files."""

import json
from pathlib import Path
from typing import Any

from indexer import build_index
from tests.oracle import write_rows
from tests.service.conftest import Serve, Shop, ids_for, problem

LONG = 2**64 + 1


def put_items(client: Any, rows: list[dict[str, Any]]) -> None:
    assert client.post("/v1/items", json={"items": rows}).status_code == 200


def test_caps_and_filters_tell_neighbours_apart_whether_items_are_live_or_built(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    numbers = {"a": 2**53, "b": 2**53 + 1, "c": 2**53 + 1, "d": 2**63 + 1, "e": 2**63}
    rows = [{"id": i, "title": f"thing {i}", "barcode": n} for i, n in numbers.items()]
    capped = {"max_per": {"barcode": 1}, "k": 500, "filter": {"barcode": {"exists": True}}}
    with serve(own_shop) as client:
        put_items(client, rows)
        assert sorted(ids_for(client, **capped)) in (["a", "b", "d", "e"], ["a", "c", "d", "e"])
        assert ids_for(client, filter={"barcode": 2**63 + 1}) == ["d"]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    build_index(file, own_shop.root, encoder=own_shop.encoder, force=True)
    with serve(own_shop) as client:
        assert sorted(ids_for(client, **capped)) in (["a", "b", "d", "e"], ["a", "c", "d", "e"])
        assert ids_for(client, filter={"barcode": 2**63 + 1}) == ["d"]
        put_items(client, [{"id": "f", "title": "thing f", "barcode": 2**53 + 1}])
        assert len(ids_for(client, **capped)) == 4  # the live one has the number of two others


def test_a_number_of_more_than_64_bits_is_text_by_every_door_and_refused_in_a_filter(
    own_shop: Shop, serve: Serve, tmp_path: Path
) -> None:
    row = {"id": "a", "title": "thing a", "barcode": LONG, "debt": -(2**63) - 1}
    expected = {"barcode": str(LONG), "debt": str(-(2**63) - 1)}
    with serve(own_shop) as client:
        notes = client.put("/v1/items/a", json=row).json()["notes"]
        told = "has more than 64 bits and is kept as text"
        assert notes == [f"barcode {told}", f"debt {told}"]
        put_items(client, [{**row, "id": "b"}])
        for item_id in ("a", "b"):
            item = client.get(f"/v1/items/{item_id}").json()
            assert {name: item[name] for name in expected} == expected
        assert sorted(ids_for(client, filter={"barcode": str(LONG)})) == ["a", "b"]
    file = write_rows(tmp_path / "rows.jsonl", [row, {"id": "z", "title": "Z", "n": 2.0**64}])
    build_index(file, own_shop.root, encoder=own_shop.encoder, force=True)
    with serve(own_shop) as client:
        item = client.get("/v1/items/a").json()
        assert {name: item[name] for name in expected} == expected
        condition = {"n": {"lte": LONG}}
        for answer in (
            client.post("/v1/recommend", json={"filter": condition}),
            client.get("/v1/items", params={"filter": json.dumps(condition)}),
        ):
            detail = problem(answer, 422)
            assert f"'n' is compared with {LONG}, which has more than 64 bits" in detail
        assert ids_for(client, filter={"n": 2.0**64}) == ["z"]


def test_attributes_of_a_user_with_such_a_number_are_refused(own_shop: Shop, serve: Serve) -> None:
    with serve(own_shop) as client:
        detail = problem(client.put("/v1/users/mia", json={"attributes": {"card": LONG}}), 422)
        assert "attributes hold a whole number of more than 64 bits; write it in quotes" in detail
        assert client.put("/v1/users/mia", json={"card": 2**64 - 1}).status_code == 200


def test_a_number_of_thousands_of_digits_is_refused_as_a_sentence(
    own_shop: Shop, serve: Serve
) -> None:
    with serve(own_shop) as client:
        answer = client.put(
            "/v1/items/a",
            content=f'{{"title": "thing", "n": 1{"0" * 5_000}}}',
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in (400, 422)
        assert "Traceback" not in answer.text
