"""`validate_only` explains how a request is read, and nothing is searched."""

from typing import Any

import pytest

from indexer import FilterError, RequestError
from tests.worlds import Built

BODY: dict[str, Any] = {
    "scenario": "music",
    "history": [{"item_id": "i0001", "event": "like"}, "nobody"],
    "interests": ["robot"],
    "context": {"weather": "rain", "time": "2026-11-24T20:30:00+08:00"},
    "filter": {"pages": {"lt": 50}},
    "boost": [{"filter": {"brand": "north"}, "weight": 0.3}],
    "pin": [{"item_id": "i0002", "rank": 3}],
    "max_per": {"brand": 2},
    "explore": 0.1,
}


def test_a_request_is_explained_without_an_answer(worded: Built) -> None:
    answer = worded.index.recommend(**BODY, validate_only=True)
    real = worded.index.recommend(**{**BODY, "max_per": {}})
    assert len(answer) == 0
    assert answer.unknown_items == ("nobody",)
    assert answer.complete["eligible"] == real.complete["eligible"]
    assert answer.complete["excluded"] == real.complete["excluded"]
    reading = answer.reading
    assert reading is not None
    assert reading["scenario"] == "music"
    assert reading["include_seen"] is True
    inputs = {(s["kind"], s.get("field", s.get("text"))): s for s in reading["signals"]}
    assert inputs["context", "weather"]["words"] == "rainy weather"
    assert inputs["context", "time"]["words"] == "Tuesday in the evening, working day, autumn"
    assert inputs["context", "weather"]["weight"] == 0.4
    assert inputs["interest", "robot"]["role"] == "profile"
    passing = [item for item in worded.world.items.values() if item["pages"] < 50]
    assert reading["filter"]["items"] == len(passing)
    assert reading["filter"]["share"] == pytest.approx(len(passing) / 300, abs=1e-6)
    north = [i for i in worded.world.items.values() if i.get("brand") == "north"]
    assert reading["terms"] == [
        {"kind": "boost", "index": 0, "items": len(north), "lowest": pytest.approx(0.3),
         "highest": pytest.approx(0.3)},
    ]  # fmt: skip
    assert reading["arrangement"]["max_per"] == {"brand": 2}
    assert reading["arrangement"]["pin"] == [{"item_id": "i0002", "rank": 3}]


def test_an_explanation_encodes_nothing(worded: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(texts: Any) -> Any:
        raise AssertionError(texts)

    monkeypatch.setattr(worded.index, "encode_queries", refuse)
    assert worded.index.recommend(**BODY, validate_only=True).reading is not None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"filter": {"pagess": 1}}, "pagess"),
        ({"max_per": {"brnd": 1}}, "brnd"),
        ({"boost": [{"filter": {"x": 1}, "weight": 1}]}, "boost"),
        ({"scenario": "x"}, "unknown scenario"),
    ],
)
def test_what_would_be_refused_is_refused(
    worded: Built, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises((FilterError, RequestError), match=message):
        worded.index.recommend(**{**BODY, **wrong}, validate_only=True)
