"""What was picked after what, by hand."""

import numpy as np
import pytest

from indexer.language.sequels import NextItemExamples
from indexer.reading.interactions import Interaction
from indexer.taste.events import build_events
from indexer.taste.next_item_examples import build_next_item_examples
from tests.indexer.taste.worlds import ids, interaction, noise


def told(
    rows: list[Interaction], items: int, *, newest_left_out: float = 0.0, **chosen: int
) -> list[tuple[list[int], int]]:
    events = build_events(rows, ids(items))
    found = build_next_item_examples(events, holdout_share=newest_left_out, **chosen)
    return list(zip(found.history.tolist(), found.target.tolist(), strict=True))


def test_each_pick_has_the_latest_of_earlier_moments_before_it() -> None:
    rows = [interaction("u", f"i{item}", moment) for item, moment in enumerate([1.0, 2, 2, 3, 4])]
    rows.append(interaction("v", "i5", 9.0))
    assert told(rows, 6) == [
        ([0, -1, -1], 1),
        ([0, -1, -1], 2),
        ([2, 1, 0], 3),
        ([3, 2, 1], 4),
    ]


def test_what_is_disliked_is_neither_asked_nor_past() -> None:
    rows = [interaction("u", "i0", 1.0), interaction("u", "i1", 2.0, event="dislike")]
    rows.append(interaction("u", "i2", 3.0))
    assert told(rows, 3) == [([0, -1, -1], 2)]


def test_the_newest_share_is_left_out() -> None:
    rows = [interaction("u", f"i{n}", float(n)) for n in range(10)]
    targets = [target for _, target in told(rows, 10, newest_left_out=0.4)]
    assert targets == [1, 2, 3, 4, 5]


def test_only_the_most_met_items_are_learned_from() -> None:
    rows = [
        interaction(user, item, float(moment))
        for user in ("u", "v")
        for moment, item in enumerate(["i0", "i1", "i2" if user == "u" else "i3", "i0"])
    ]
    assert told(rows, 4, most_items=2) == [
        ([0, -1, -1], 1),
        ([-1, 1, 0], 0),
        ([0, -1, -1], 1),
        ([-1, 1, 0], 0),
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_may_be_changed_and_changed_back(seed: int) -> None:
    found = build_next_item_examples(
        build_events(noise(200, n=40, seed=seed), ids(40)), holdout_share=0.2
    )
    rows = found.collect_rows()
    small = found.renumber(rows)
    assert small.target.max() < len(rows)
    np.testing.assert_array_equal(rows[small.target], found.target)
    np.testing.assert_array_equal(
        np.where(small.history < 0, -1, rows[small.history]), found.history
    )


def test_no_events_are_no_sequels() -> None:
    found = build_next_item_examples(build_events([], ids(3)), holdout_share=0.4)
    assert len(found) == 0
    assert isinstance(found, NextItemExamples)
