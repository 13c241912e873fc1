"""Many requests at once are answered as each alone."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.answer.recommend import recommend, recommend_many
from indexer.arrays import Vectors
from indexer.request.body import parse_request
from tests.indexer.ranking.test_ranking_options import ranked_bodies
from tests.worlds import Built


@settings(max_examples=25)
@given(many=st.lists(ranked_bodies, max_size=8))
def test_a_batch_is_each_request_alone(worded: Built, many: list[dict[str, Any]]) -> None:
    requests = [parse_request(body) for body in many]
    together = recommend_many(worded.index, requests, now=0.0)
    for answer, request in zip(together, requests, strict=True):
        alone = recommend(worded.index, request, now=0.0)
        assert [hit.id for hit in answer] == [hit.id for hit in alone]
        scores = [hit.score for hit in alone]
        assert [hit.score for hit in answer] == pytest.approx(scores, abs=1e-5)
        assert answer.complete == alone.complete
        assert answer.following == alone.following


def test_texts_are_encoded_once_and_together(
    worded: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    encode = worded.index.encode_queries

    def encode_and_record(texts: Sequence[str]) -> Vectors:
        calls.append(list(texts))
        return encode(texts)

    monkeypatch.setattr(worded.index, "encode_queries", encode_and_record)
    bodies: list[dict[str, Any]] = [
        {"query": "rain"},
        {"interests": ["sea", "rain"]},
        {"history": ["i0001"]},
    ]
    recommend_many(worded.index, [parse_request(body) for body in bodies], now=0.0)
    assert calls == [["rain", "sea"]]
