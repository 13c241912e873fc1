"""Verdicts on answers made by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.release.gate import (
    GuardrailMetrics,
    check_guardrails,
    compare_with_peers,
    judge_release,
)

USERS = np.arange(200)
EVERY = {"all": np.ones(200, bool), "cold": np.arange(200) < 50, "new_user": np.arange(200) < 10}
FINE = GuardrailMetrics(recall=1.0, interaction_count=1_000, ndcg10=0.2)


def ranks(*values: float) -> NDArray[np.float64]:
    return np.resize(np.array(values, float), 200)


def test_equal_answers_pass() -> None:
    verdict = judge_release(ranks(1, 5, math.inf), ranks(1, 5, math.inf), USERS, EVERY)
    assert verdict.reasons == ()
    assert verdict.comparison_by_slice["all"]["ratio"] == 1.0


def test_better_answers_pass() -> None:
    assert judge_release(ranks(1), ranks(3), USERS, EVERY).reasons == ()


def test_clearly_worse_answers_are_refused_with_the_figure() -> None:
    (reason, *_) = judge_release(ranks(3), ranks(1), USERS, EVERY).reasons
    assert "all users is 0.50" in reason


def test_worse_for_new_items_only_is_refused_too() -> None:
    new = ranks(1)
    new[:50] = 5
    live = ranks(2)
    live[:50] = 1
    slices = {"all": EVERY["all"], "new_item": EVERY["cold"]}
    (reason,) = judge_release(new, live, USERS, slices).reasons
    assert "arrived lately" in reason
    # What nobody had met, but had been there all along, may be shown to fewer.
    assert judge_release(new, live, USERS, EVERY).reasons == ()


def test_a_slice_that_a_simple_method_does_clearly_better_is_named_with_the_best() -> None:
    slices = {**EVERY, "new_user": np.arange(200) < 60}
    new, popular, nearest = ranks(1), ranks(5), ranks(5)
    new[:60], popular[:60], nearest[:60] = 4, 2, 1
    peers = {"popular": popular, "nearest": nearest}
    (warning,) = compare_with_peers(new, peers, USERS, slices)
    # A rank of 4 is worth 1/log2(5) of what the first is.
    assert "new users the simple method nearest" in warning
    assert "0.43" in warning
    assert "60 cases" in warning
    assert compare_with_peers(new, peers, USERS, EVERY) == []  # ten cases prove nothing


def test_a_handful_of_cases_proves_nothing() -> None:
    new, live = ranks(1), ranks(1)
    new[:10] = math.inf  # the ten new users
    assert all(
        "new users" not in reason for reason in judge_release(new, live, USERS, EVERY).reasons
    )


def test_noise_is_not_worse() -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        new, live = (rng.integers(1, 20, 200).astype(float) for _ in range(2))
        refused += bool(judge_release(new, live, USERS, EVERY).reasons)
    assert refused <= 4


def test_a_live_snapshot_that_finds_nothing_cannot_be_better() -> None:
    assert judge_release(ranks(math.inf), ranks(math.inf), USERS, EVERY).reasons == ()


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (GuardrailMetrics(0.9, 1_000, 0.2), "index finds 0.900"),
        (GuardrailMetrics(1.0, 400, 0.2), "learned from 400"),
        (GuardrailMetrics(1.0, 1_000, 0.09), "does not know"),
    ],
)
def test_what_no_comparison_shows_raises_an_alarm(new: GuardrailMetrics, words: str) -> None:
    (reason,) = check_guardrails(new, FINE, min_recall=0.99)
    assert words in reason


def test_a_small_change_raises_none() -> None:
    near = GuardrailMetrics(recall=0.995, interaction_count=900, ndcg10=0.15)
    assert check_guardrails(near, FINE, min_recall=0.99) == []
    assert check_guardrails(FINE, GuardrailMetrics(1.0, 0, None), min_recall=0.99) == []


def test_an_index_as_good_as_was_asked_for_raises_no_alarm() -> None:
    assert check_guardrails(GuardrailMetrics(0.985, 1_000, 0.2), FINE, min_recall=0.98) == []
