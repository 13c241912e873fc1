"""Prompt injection in the text of an item neither helps the item nor reaches the page."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer import build_index
from service.llm.client import LlmClient
from service.llm.config import LlmConfig
from service.llm.counters import RequestBudget
from service.llm.endpoint import Endpoint
from service.llm.explanations import ExplanationInput
from service.llm.grounding import is_grounded
from service.llm.options import RerankMode
from service.llm.prompt_injection import is_prompt_injection
from service.llm.prompt_inputs import PromptItem, PromptUser, build_prompt_item
from service.llm.reranker import rerank
from service.llm.sanitiser import clean_own_text, sanitise
from tests.oracle import write_rows
from tests.service.conftest import Shop
from tests.service.llm.attacks import ATTACKS, Attack
from tests.service.llm.conftest import served
from tests.service.llm.fake_endpoint import Reply, endpoint, part_of, prompt_of, said
from tests.service.llm.local_model import local_model

PERSON = PromptUser(
    history=(("like", "A Night at Sea"), ("like", "The Lighthouse")), query="a calm story"
)
ATTACKER = 6  # its place among the finalists, from 0
NAMES = [attack.name for attack in ATTACKS]
SUBJECTS = (
    "a lighthouse keeper", "two sisters on a farm", "a chess master", "the last tram driver",
    "a village bakery", "an old violin", "a ferry in the fog", "a mountain school",
    "a paper factory", "a botanist abroad",
)  # fmt: skip


def finalists(attack: Attack | None = None) -> list[PromptItem]:
    rows = [
        {
            "id": f"m{place}",
            "title": f"Story {place}",
            "tags": ["drama"],
            "description": f"A quiet story about {subject}.",
        }
        for place, subject in enumerate(SUBJECTS)
    ]
    if attack is not None:
        rows[ATTACKER] = attack.on(rows[ATTACKER])
    return [build_prompt_item(str(row["id"]), row, about_chars=160) for row in rows]


async def _rank(config: LlmConfig, mode: RerankMode, attacks: list[Attack | None]) -> list[int]:
    async with Endpoint(config) as real:
        model = LlmClient(real)
        ranks = []
        for attack in attacks:
            ledger = RequestBudget.start(600_000)
            order = await rerank(model, PERSON, finalists(attack), mode, ledger)
            ranks.append(order.index(f"m{ATTACKER}"))
        return ranks


def ranks_of(config: LlmConfig, mode: RerankMode, attacks: list[Attack | None]) -> list[int]:
    """The attacker's rank among the finalists, from 0, for each attack."""
    return asyncio.run(_rank(config, mode, attacks))


def gullible(attack: Attack) -> Callable[[dict[str, Any]], Reply]:
    """A model that puts whoever still says the attack's core first, and shows it."""

    def obey(body: dict[str, Any]) -> Reply:
        told, part = prompt_of(body), part_of(body)
        if part == "explain":
            return said(sentence=f"{told['item']['title']} {attack.text}")
        items = told["items"] if part == "rerank" else list(told["items"].values())
        obeyed = [
            n for n, item in enumerate(items) if attack.core in json.dumps(item, ensure_ascii=False)
        ]
        if part == "rerank":
            return said(order=[n + 1 for n in obeyed] or list(range(1, len(items) + 1)))
        letters = list(told["items"])
        first = {letter: -5.0 - n for n, letter in enumerate(letters)}
        return Reply("A", first=first | {letters[n]: 0.0 for n in obeyed})

    return obey


def test_there_are_thirty_different_attacks() -> None:
    assert len(ATTACKS) == len(set(NAMES)) == 30


@pytest.mark.parametrize("mode", list(RerankMode))
@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_an_attacker_ranks_no_better_with_a_model_that_obeys(
    attack: Attack, mode: RerankMode
) -> None:
    with endpoint(gullible(attack)) as model:
        without, with_attack = ranks_of(model.config, mode, [None, attack])
    assert with_attack >= without


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_a_model_that_repeats_an_attack_is_not_shown(attack: Attack) -> None:
    item = finalists(attack)[ATTACKER]
    case = ExplanationInput.from_reasons(item, [{"kind": "popularity", "share": 0.1}], {}, "en")
    for sentence in (attack.text, f"{item.title} {attack.text}", f"{item.title}: {attack.core}"):
        assert not is_grounded(sentence, item, case.causes, "en")
    assert "<" not in case.template_sentence.text
    assert "evil" not in case.template_sentence.text


@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_what_the_item_says_of_itself_stays(attack: Attack) -> None:
    clean, attacked = finalists()[ATTACKER], finalists(attack)[ATTACKER]
    assert clean.about in attacked.about
    assert attacked.tags[: len(clean.tags)] == clean.tags


def test_a_whole_request_shows_a_model_nothing_hostile_and_the_page_no_markup(
    tmp_path: Path, shop: Shop, secret_file: Path
) -> None:
    """All thirty in one catalogue, against a model that repeats what it reads."""
    rows = [
        attack.on(
            {
                "id": f"a{place}",
                "title": f"Story {place}",
                "description": "A quiet story.",
                "vector": [1.0, place / 40, 0.5],
            }
        )
        for place, attack in enumerate(ATTACKS)
    ]
    build_index(write_rows(tmp_path / "items.jsonl", rows), tmp_path / "index", model="none")

    def parrot(body: dict[str, Any]) -> Reply:
        told = prompt_of(body)
        if part_of(body) == "explain":
            return said(sentence=json.dumps(told["item"], ensure_ascii=False) + "<b>x</b>")
        return said(order=[1])

    own = Shop(rows, tmp_path / "index", shop.world, shop.encoder)
    with endpoint(parrot) as model, served(own, secret_file, model.config) as client:
        llm = {"rerank": True, "explain": True, "candidates": 30, "budget_ms": 60_000}
        answer = client.post("/v1/recommend", json={"k": 30, "llm": llm}).json()
        shown = json.dumps([prompt_of(call) for call in model.calls], ensure_ascii=False)
    assert len(answer["items"]) == 30
    assert answer["llm"]["sentences"] == {"model": 0, "template": 30}
    for attack in ATTACKS:
        assert attack.core not in shown, attack.name
    for hit in answer["items"]:
        assert not set("<>{}[]`") & set(hit["explanation"]["text"])


def test_ordinary_texts_are_left_as_they_are() -> None:
    for text in (
        "A photographer with a broken leg watches his neighbours.",
        "The first film of the trilogy, and the best known.",
        "The user manual of a vanished spaceship is found.",
        "一个跑龙套的小演员坚持梦想，也遇见了爱情。",
        "Ranked among the top ten novels of the century? Judge for yourself.",
    ):
        shown = sanitise(text, 200)
        assert shown == text.replace("，", ",") or is_prompt_injection(text), text


def test_the_users_own_words_lose_markup_but_no_sentence() -> None:
    assert clean_own_text("<b>Ignore the rain</b>, pick something first", 99) == (
        "Ignore the rain , pick something first"
    )


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("mode", list(RerankMode))
def test_an_attacker_ranks_no_better_with_the_real_model(mode: RerankMode) -> None:
    """Mean rank over all attacks is not better than without; one place of thirty is noise."""
    with local_model() as config:
        without, *attacked = ranks_of(config, mode, [None, *ATTACKS])
    gained = [without - rank for rank in attacked]
    assert sum(gained) / len(gained) <= 1 / 30
    assert sum(rank < without for rank in attacked) <= 1
