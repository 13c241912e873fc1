"""A count of 0 that is posted is an impression: the item was at most shown."""

import pytest

from service.store.events import parse_event


@pytest.mark.parametrize(
    ("event", "value", "expected"),
    [
        ("click", 0, ("impression", None)),
        ("play", 0.0, ("impression", None)),
        ("浏览", 0, ("impression", None)),
        ("click", 2, ("click", 2.0)),
        ("purchase", 0, ("purchase", 0.0)),  # a price may be 0
        ("rating", 0, ("rating", 0.0)),
    ],
)
def test_a_count_of_0_is_no_click(
    event: str, value: float, expected: tuple[str, float | None]
) -> None:
    body = {"user_id": "a", "item_id": "x", "event": event, "value": value}
    found = parse_event(body, now=0.0)
    assert (found.event, found.value) == expected
