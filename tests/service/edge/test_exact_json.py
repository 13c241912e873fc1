"""JSON of requests: whole numbers of any length, and how deep values are nested."""

import json

import pytest
from fastapi.testclient import TestClient

from service.edge import parse_json
from tests.service.conftest import problem

LONG = 2**70


def nest(depth: int, inner: str) -> str:
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize("inner", ["1", str(LONG)])
@pytest.mark.parametrize("depth", [65, 1_000, 1_024, 5_000])
def test_what_is_nested_too_deep_is_no_value_with_a_long_number_or_without(
    depth: int, inner: str
) -> None:
    with pytest.raises(ValueError, match=r"nested more than 64 deep|depth limit"):
        parse_json(nest(depth, inner).encode())


def test_a_deep_body_or_filter_with_a_long_number_is_a_bad_request(client: TestClient) -> None:
    deep = f'{{"vector": {nest(1_010, str(LONG))}}}'
    answer = client.post(
        "/v1/recommend", content=deep, headers={"Content-Type": "application/json"}
    )
    assert "the body is nested more than 64 deep; flatten it" in problem(answer, 400)
    answer = client.get("/v1/items", params={"filter": deep})
    assert "filter is nested more than 64 deep; flatten it" in problem(answer, 422)


def test_whole_numbers_of_any_length_are_exact() -> None:
    text = f'[{LONG}, -{LONG}, {2**63}, 1.5, {{"n": {LONG}}}, "\\"{LONG}\\""]'
    assert parse_json(text.encode()) == [LONG, -LONG, 2**63, 1.5, {"n": LONG}, f'"{LONG}"']


@pytest.mark.parametrize(
    "value",
    ["1234567890123456789", '\\" 1234567890123456789', 0.0012345678901234567, 1e-300, 12345678],
)
def test_digits_that_are_no_whole_number_cost_no_second_reading(
    value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"user_id": value, str(value): [value, value]}).encode()
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("read again"))
    assert parse_json(text) == {"user_id": value, str(value): [value, value]}
