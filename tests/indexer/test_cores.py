"""How many threads may be used is what OpenMP's variable says, else the cores there are."""

import os

import pytest

from indexer.cores import count_threads, map_in_threads


@pytest.mark.parametrize(
    ("told", "threads"),
    [("3", 3), (" 2 ", 2), ("4,2", 4), ("0", 1), ("", None), ("many", None), (None, None)],
)
def test_threads(told: str | None, threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if told is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert count_threads() == (threads or len(os.sched_getaffinity(0)))


def test_a_process_bound_to_one_core_uses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert count_threads() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_results_come_in_the_order_of_the_arguments() -> None:
    assert map_in_threads(lambda number: number * number, range(50)) == [n * n for n in range(50)]


def test_an_error_in_a_thread_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        map_in_threads(lambda number: 1 / number, [1, 0])
