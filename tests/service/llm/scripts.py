"""Answers of a scripted language model, and requests that use it."""

import json
from typing import Any

from tests.service.llm.fake_endpoint import Reply, part_of, prompt_of, said

LIKED = {"history": [{"item_id": "i0001", "event": "like"}], "k": 10}


def asking(body: dict[str, Any] | None = None, **llm: Any) -> dict[str, Any]:
    """A request whose language model has all the time it needs."""
    return {**(LIKED if body is None else body), "llm": {"budget_ms": 20_000, **llm}}


def obliging(body: dict[str, Any]) -> Reply:
    """Does every part well: the list backwards, sentences out of the facts."""
    part, told = part_of(body), prompt_of(body)
    if part == "rerank":
        return said(order=list(range(len(told["items"]), 0, -1)))
    if part == "likelihood":
        letters = list(told["items"])
        return Reply(letters[-1], first={letter: -9.0 + n for n, letter in enumerate(letters)})
    if part == "explain":
        because = told["causes"][0] if told["causes"] else "it is here"
        return said(sentence=f"{told['item']['title']}, because {because}.")
    if part == "generate":
        return said(ideal="a quiet sea and a cold lantern")
    return said(query="quiet sea", filter=[], context=[], scenario="")


def always(text: str) -> Any:
    """A script that says one thing whatever it is asked."""
    return lambda body: Reply(text)


def only(part: str, reply: Reply) -> Any:
    """Obliging but for one part."""
    return lambda body: reply if part_of(body) == part else obliging(body)


def ids(answer: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in answer["items"]]


def events(text: str) -> list[tuple[str, Any]]:
    """Server-sent events as (name, data)."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [
        (lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: ")))
        for lines in blocks
    ]
