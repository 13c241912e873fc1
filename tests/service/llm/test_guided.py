"""service/local_llm/guided.py: whatever a model generates, the JSON fits the schema."""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from service.local_llm.guided import write_guided

WORDS = ['"', '"}', "sea", " and", "\n", "\\", "7", ".", "-", "]", ",", "", '" he said "', "你好"]


class Babbler:
    """A `Writer` that generates random tokens and makes random choices."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._next = 0

    def append_text(self, text: str) -> None:
        pass

    def read(self, ids: Sequence[int]) -> None:
        self._next = self._random.randrange(len(WORDS))

    def find_best(self) -> tuple[int, str]:
        return self._next, WORDS[self._next]

    def prefers(self, one: str, other: str) -> bool:
        return self._random.random() < 0.5

    def choose(self, options: Sequence[str]) -> int:
        return self._random.randrange(len(options))


SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "whole": {"type": "integer"},
        "sure": {"type": "boolean"},
        "nothing": {"type": "null"},
        "kind": {"type": "string", "enum": ["a", 'b"c', "中"]},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "order": {
            "type": "array",
            "items": {"type": "integer", "enum": [1, 2, 12]},
            "minItems": 3,
            "maxItems": 3,
        },
        "rows": {
            "type": "array",
            "items": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
        "empty": {"type": "object", "properties": {}},
    },
}


@pytest.mark.parametrize("seed", range(200))
def test_what_comes_out_fits_the_schema(seed: int) -> None:
    answer: dict[str, Any] = json.loads("".join(write_guided(Babbler(seed), SCHEMA)))
    assert list(answer) == list(SCHEMA["properties"])
    assert isinstance(answer["text"], str)
    assert isinstance(answer["number"], int | float)
    assert isinstance(answer["whole"], int | float)
    assert isinstance(answer["sure"], bool)
    assert answer["nothing"] is None
    assert answer["kind"] in ("a", 'b"c', "中")
    assert sorted(answer["order"]) == [1, 2, 12]
    assert all(set(row) == {"x"} for row in answer["rows"])
    assert answer["empty"] == {}
