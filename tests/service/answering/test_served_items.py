"""Which items were shown: none is forgotten, none that was not shown looks so, in few bytes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answering.served_items import MAX_IN_ORDER, ServedItems, hash_ids


def looks_shown(served: ServedItems, ids: list[str]) -> set[str]:
    """The ids that look shown, found as in a catalogue that holds just them."""
    hashes = hash_ids(ids)
    order = np.argsort(hashes)
    return {ids[order[row]] for row in served.find_rows(hashes[order])}


def again(served: ServedItems) -> ServedItems:
    return ServedItems.from_bytes(served.to_bytes())


@given(
    length=st.integers(0, 1000),
    sizes=st.lists(st.integers(1, 300), min_size=1),
    knows_rest=st.booleans(),
)
def test_page_by_page_a_list_is_told_exactly_from_what_is_left(
    *, length: int, sizes: list[int], knows_rest: bool
) -> None:
    ids = [f"{length}/{number}" for number in range(length)]
    served, offset = ServedItems(), 0
    for size in sizes:
        shown, rest = ids[offset : offset + size], ids[offset + size :]
        served = again(served.add(shown, others=rest if knows_rest else None))
        offset += len(shown)
        assert looks_shown(served, ids) == set(ids[:offset])
        if not rest:
            break


def test_few_are_kept_in_the_order_they_were_shown() -> None:
    ids = [f"i{number}" for number in range(MAX_IN_ORDER)]
    served = again(ServedItems().add(ids[:9], others=None))
    served = again(served.add(ids[9:], others=None))
    assert served.prefixes.tolist() == hash_ids(ids).tolist()


@pytest.mark.parametrize("step", [10, 50, 333])
@pytest.mark.parametrize("name", ["n{}", "{}" + "长" * 200])
def test_a_list_of_a_thousand_takes_at_most_600_bytes_whatever_its_ids_are(
    step: int, name: str
) -> None:
    ids = [name.format(number) for number in range(1000)]
    served = ServedItems()
    for offset in range(0, 1000, step):
        rest = ids[offset + step :]
        served = again(served.add(ids[offset : offset + step], others=rest))
        assert len(served.to_bytes()) <= 600
        assert looks_shown(served, ids) == set(ids[: offset + step])


def test_bytes_are_near_the_entropy_of_the_set() -> None:
    """Rice codes of n of 2**40 values take log2(2**40 / n) + 1.5 bits each, and a header."""
    ids = [f"i{number}" for number in range(5000)]
    served = ServedItems().add(ids, others=None)
    per_item = (len(served.to_bytes()) - 9) * 8 / 5000
    assert per_item == pytest.approx(40 - math.log2(5000) + 1.5, abs=0.5)
    assert looks_shown(again(served), [*ids, "another"]) == set(ids)
