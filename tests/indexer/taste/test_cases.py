"""Hold-out cases never contain events at the time of the target or after it."""

import numpy as np
import pytest

from indexer.taste.cases import compute_repeat_share, split_windows
from indexer.taste.events import build_events
from tests.indexer.taste.worlds import habits, ids, interaction, noise


@pytest.mark.parametrize("seed", [0, 1])
def test_a_history_is_what_the_user_did_strictly_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Few distinct times, so that many rows are simultaneous.
    rows = [
        interaction(f"u{rng.integers(8)}", f"i{rng.integers(20)}", float(rng.integers(40)))
        for _ in range(400)
    ]
    events = build_events(rows, ids(20))
    for window in split_windows(events, repeats=True, count=3, seed=0):
        cases = window.cases
        seen = {(row.user_id, row.item_id, row.at) for row in rows}
        assert len(cases) > 0
        for case in range(len(cases)):
            history = cases.history.row[cases.entry_case == case].tolist()
            options = [
                [
                    int(r.item_id[1:])
                    for r in sorted(rows, key=lambda r: (r.at or 0, int(r.item_id[1:])))
                    if r.user_id == user and (r.at or 0) < (at or 0)
                ]
                for user, item, at in seen
                if item == f"i{cases.target[case]}"
            ]
            assert history in options


def test_training_events_are_older_than_every_target() -> None:
    rows = noise(500)
    events = build_events(rows, ids(60))
    times = sorted(float(row.at or 0) for row in rows)
    for number, window in enumerate(split_windows(events, repeats=True, count=3, seed=0)):
        assert len(window.train) == pytest.approx(len(times) * (0.9 - 0.1 * number), abs=2)


def test_without_times_each_users_last_events_are_held_out() -> None:
    rows = [interaction(user, f"i{item}") for user in "abc" for item in range(5)]
    events = build_events(rows, ids(5))
    first, second = split_windows(events, repeats=False, count=2, seed=0)
    assert first.cases.target.tolist() == [4, 4, 4]
    assert second.cases.target.tolist() == [3, 3, 3]
    assert first.cases.history.row[:4].tolist() == [0, 1, 2, 3]
    assert first.cases.history.age[:4].tolist() == [3, 2, 1, 0]
    assert len(first.train) == 12
    assert first.cases.cold.tolist() == [True] * 3


def test_a_target_in_its_history_is_a_case_only_where_items_repeat() -> None:
    rows = [interaction("a", "i0"), interaction("a", "i1"), interaction("a", "i0")]
    events = build_events(rows, ids(2))
    assert len(split_windows(events, repeats=True, count=1, seed=0)) == 1
    assert split_windows(events, repeats=False, count=1, seed=0) == []
    assert compute_repeat_share(events) == pytest.approx(1 / 3)


def test_habits_are_recognised() -> None:
    assert compute_repeat_share(build_events(habits(), ids(80))) > 0.5
