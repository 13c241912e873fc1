"""The cheapest call is encoded first, to its end; only so many go ahead of one that waits."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from indexer.language import estimate_total_tokens
from service.edge.text_turns import MAX_OVERTAKERS, TURN_TEXTS, TURN_TOKENS, TextCall, TextTurns


def encode(texts: Sequence[str]) -> None:
    """Stand for an encoder; turns only compare it."""


def name_texts(name: object, count: int) -> list[str]:
    return [f"{name} {number}" for number in range(count)]


def finish_next_part(turns: TextTurns) -> TextCall | None:
    """Encode one part; return its call if that was the last."""
    call = turns.choose()
    assert call is not None
    return call if turns.finish_part(call) else None


def test_calls_are_done_from_the_cheapest_and_each_is_encoded_to_its_end() -> None:
    turns = TextTurns()
    sizes = [90, 250, 40, 90]
    calls = [turns.add(encode, name_texts(n, size)) for n, size in enumerate(sizes)]
    chosen = []
    while len(turns):
        chosen.append(turns.choose())
        finish_next_part(turns)
    order = list(dict.fromkeys(map(calls.index, filter(None, chosen))))
    assert order == [2, 0, 3, 1]
    assert chosen == sorted(chosen, key=lambda call: order.index(calls.index(call)))  # type: ignore[arg-type]  # none is None


def test_a_cheaper_call_that_comes_later_goes_ahead_between_two_parts() -> None:
    turns = TextTurns()
    dear = turns.add(encode, name_texts("dear", 100))
    assert finish_next_part(turns) is None
    cheap = turns.add(encode, ["cheap"])
    assert finish_next_part(turns) is cheap
    assert turns.choose() is dear


def test_a_dear_call_gets_its_turn_though_cheap_ones_never_end() -> None:
    turns = TextTurns()
    dear = turns.add(encode, name_texts("dear", 250))
    parts = len(dear.parts)
    done = []
    for number in range(MAX_OVERTAKERS + parts):
        turns.add(encode, [f"cheap {number}"])
        done.append(finish_next_part(turns))
    assert dear not in done[:-1]
    assert done[-1] is dear


@given(st.lists(st.one_of(st.integers(1, 80), st.none()), max_size=120))
def test_no_call_is_overtaken_more_often_than_the_limit(steps: Sequence[int | None]) -> None:
    """A number is a call of so many texts; None: a part is encoded."""
    turns = TextTurns()
    arrived: list[TextCall] = []
    done: list[TextCall] = []
    for step in steps:
        if step is not None:
            arrived.append(turns.add(encode, name_texts(len(arrived), step)))
        elif len(turns):
            done += filter(None, [finish_next_part(turns)])
    while len(turns):
        done += filter(None, [finish_next_part(turns)])
    assert set(done) == set(arrived)
    for place, call in enumerate(arrived):
        before = done[: done.index(call)]
        assert sum(arrived.index(other) > place for other in before) <= MAX_OVERTAKERS


def test_a_part_is_one_text_or_bounded() -> None:
    turns = TextTurns()
    texts = [*name_texts("short", 100), *(f"{n} " + "雨" * 200 for n in range(20))]
    call = turns.add(encode, texts)
    parts = call.parts[::-1]
    assert [text for part in parts for text in part] == texts
    assert max(map(len, parts)) <= TURN_TEXTS
    assert max(estimate_total_tokens(part) for part in parts if len(part) > 1) <= TURN_TOKENS
    assert [len(part) for part in parts[-20:]] == [1] * 20


def test_the_same_texts_wait_once_and_other_encoders_share_nothing() -> None:
    turns = TextTurns()
    call = turns.add(encode, name_texts("a", 50))
    finish_next_part(turns)
    assert turns.find(encode, name_texts("a", 50)) is call
    assert turns.find(encode, name_texts("a", 50)[40:]) is call
    assert turns.find(encode, [*name_texts("a", 50), "b"]) is None
    assert turns.find(list.clear, name_texts("a", 50)) is None  # type: ignore[arg-type]  # another


def test_what_is_ahead_of_a_call_is_counted() -> None:
    turns = TextTurns()
    first, dear, cheap = (
        turns.add(encode, name_texts(n, size)) for n, size in enumerate((50, 90, 9))
    )
    assert turns.count_tokens_until(first) == first.tokens + cheap.tokens
    assert turns.count_tokens_until(dear) == turns.tokens
    assert turns.count_tokens_until(cheap) == turns.tokens  # age may put the others first
