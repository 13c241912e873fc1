"""Next-item examples, compared with hand-worked ones."""

import numpy as np
import pytest

from indexer.language.next_item_examples import NextItemExamples
from indexer.reading.interaction import Interaction
from indexer.taste.encoder_examples import build_next_item_examples
from indexer.taste.events import build_events
from tests.indexer.taste.worlds import ids, interaction, noise


def list_examples(
    rows: list[Interaction], items: int, *, holdout_share: float = 0.0, **options: int
) -> list[tuple[list[int], int]]:
    events = build_events(rows, ids(items))
    examples = build_next_item_examples(events, holdout_share=holdout_share, **options)
    return list(zip(examples.history.tolist(), examples.target.tolist(), strict=True))


def test_each_liked_item_has_the_latest_earlier_ones_as_history() -> None:
    rows = [interaction("u", f"i{item}", at) for item, at in enumerate([1.0, 2, 2, 3, 4])]
    rows.append(interaction("v", "i5", 9.0))
    assert list_examples(rows, 6) == [
        ([0, -1, -1], 1),
        ([0, -1, -1], 2),
        ([2, 1, 0], 3),
        ([3, 2, 1], 4),
    ]


def test_a_disliked_item_is_neither_target_nor_history() -> None:
    rows = [interaction("u", "i0", 1.0), interaction("u", "i1", 2.0, event="dislike")]
    rows.append(interaction("u", "i2", 3.0))
    assert list_examples(rows, 3) == [([0, -1, -1], 2)]


def test_the_newest_share_is_left_out() -> None:
    rows = [interaction("u", f"i{n}", float(n)) for n in range(10)]
    targets = [target for _, target in list_examples(rows, 10, holdout_share=0.4)]
    assert targets == [1, 2, 3, 4, 5]


def test_only_the_most_frequent_items_are_used() -> None:
    rows = [
        interaction(user, item, float(at))
        for user in ("u", "v")
        for at, item in enumerate(["i0", "i1", "i2" if user == "u" else "i3", "i0"])
    ]
    assert list_examples(rows, 4, max_items=2) == [
        ([0, -1, -1], 1),
        ([-1, 1, 0], 0),
        ([0, -1, -1], 1),
        ([-1, 1, 0], 0),
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_renumbered_rows_can_be_mapped_back(seed: int) -> None:
    examples = build_next_item_examples(
        build_events(noise(200, n=40, seed=seed), ids(40)), holdout_share=0.2
    )
    rows = examples.collect_rows()
    renumbered = examples.renumber(rows)
    assert renumbered.target.max() < len(rows)
    np.testing.assert_array_equal(rows[renumbered.target], examples.target)
    np.testing.assert_array_equal(
        np.where(renumbered.history < 0, -1, rows[renumbered.history]), examples.history
    )


def test_no_events_give_no_examples() -> None:
    examples = build_next_item_examples(build_events([], ids(3)), holdout_share=0.4)
    assert len(examples) == 0
    assert isinstance(examples, NextItemExamples)
