"""What a refund and its kin take back: one rule for histories and for training."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from indexer.event_kinds import UNDONE_EVENTS
from indexer.query.inputs import build_history_inputs
from indexer.request.body import HistoryEntry
from indexer.request.scenarios import Scenario
from indexer.taste.event_scale import mark_undone

PLAIN = Scenario("plain", half_life_events=1.0, recent_vectors=2)
UNDOING_NAMES = sorted({*UNDONE_EVENTS, *UNDONE_EVENTS.values(), "view"})


class CountedText(str):
    """A text that counts how often one is compared."""

    compared = 0

    @override
    def __eq__(self, other: object) -> bool:
        CountedText.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_taking_back_looks_at_each_entry_a_few_times_however_long_the_history_is() -> None:
    count = 1_000
    refunds = [HistoryEntry(item_id=CountedText(f"r{n}"), event="refund") for n in range(count)]
    clicks = [HistoryEntry(item_id=CountedText(f"c{n}"), event="click") for n in range(count)]
    CountedText.compared = 0
    inputs = build_history_inputs(
        clicks + refunds, scenario=PLAIN, now=0.0, rating_scale=(1.0, 5.0)
    )
    assert len(inputs) == 2 * count
    assert CountedText.compared < 20 * count


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(UNDOING_NAMES)), max_size=30))
def test_histories_and_training_take_back_what_the_definition_says(
    told: list[tuple[str, str]],
) -> None:
    """By definition: each that takes back removes the last of its kind before it, of its item."""
    standing: list[int] = []
    for place, (item, event) in enumerate(told):
        taken = UNDONE_EVENTS.get(event)
        same = [n for n in standing if told[n] == (item, taken)]
        standing = [n for n in standing if n not in same[-1:]] + [place]
    history = [HistoryEntry(item_id=item, event=event) for item, event in told]
    inputs = build_history_inputs(history, scenario=PLAIN, now=0.0, rating_scale=(1.0, 5.0))
    kept = {id(one.entry) for one in inputs}
    opinions = {"like", "dislike"}  # which drop others besides: looked at where there are none
    if opinions.isdisjoint(event for _, event in told):
        assert [n for n, entry in enumerate(history) if id(entry) in kept] == standing
    pair = np.array([ord(item) for item, _ in told], np.int64)
    marked = mark_undone([event for _, event in told], pair)
    assert np.flatnonzero(~marked).tolist() == standing
