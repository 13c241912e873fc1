"""Peers against their formulas, and against worlds where it is known who must win."""

import numpy as np
import pytest

from indexer.evaluation.cases import Cases, build_cases
from indexer.evaluation.interaction_log import Part, build_log
from indexer.evaluation.peers import sasrec
from indexer.evaluation.peers.ials import Ials
from indexer.evaluation.peers.item_item import Ease, ItemKnn
from indexer.evaluation.peers.popularity import POPULAR, POPULAR_RECENT, OwnItems
from indexer.evaluation.peers.protocol import (
    ALL_EVENTS,
    NO_DECAY,
    POSITIVE_EVENTS,
    Peer,
    TrainingData,
    collect_entries,
)
from indexer.evaluation.peers.sasrec import WINDOW_LENGTH, SasRec, cut_windows
from indexer.evaluation.peers.text_mean import TEXT_MEAN, TEXT_TUNED
from indexer.evaluation.tuning import ask_peer, tune
from indexer.metrics import compute_ndcg10
from indexer.reading.interaction import Interaction
from tests.indexer.taste.worlds import chains, habits, ids, interaction, random_meaning

N = 60


def training_of(rows: list[Interaction], n: int = N, *, repeats: bool = False) -> TrainingData:
    log = build_log(rows, ids(n))
    vectors = random_meaning(n)
    return TrainingData(log, log.select_fit_rows(Part.VALID), vectors, repeats, seed=0)


def valid_of(training: TrainingData) -> Cases:
    return build_cases(training.log, Part.VALID, repeats=training.repeats)


@pytest.fixture(scope="module")
def chained() -> TrainingData:
    return training_of(chains())


def ndcg(peer: Peer, training: TrainingData) -> float:
    cases = valid_of(training)
    return tune(peer, training, cases, np.zeros(training.n_items, np.float32))[1]


def test_histories_are_read_in_order_and_decay_with_their_place() -> None:
    rows = [
        interaction("a", f"i{n}", float(n), event="dislike" if n == 1 else "like")
        for n in range(10)
    ]
    log = build_log(rows, ids(N))
    cases = build_cases(log, Part.TEST, repeats=False)
    every = collect_entries(cases, use=ALL_EVENTS, decay=2.0)
    assert [log.item_ids[item] for item in every.item] == [f"i{n}" for n in range(9)]
    np.testing.assert_allclose(every.weight, np.exp(-np.arange(8, -1, -1) / 2), rtol=1e-6)
    liked = collect_entries(cases, use=POSITIVE_EVENTS, decay=NO_DECAY)
    assert len(liked.item) == 8
    assert liked.weight.tolist() == [1.0] * 8


def test_popularity_counts_and_recent_popularity_forgets(chained: TrainingData) -> None:
    rows = chained.select_rows(POSITIVE_EVENTS)
    counts = np.bincount(chained.log.item[rows], minlength=N)
    knobs = {"use": POSITIVE_EVENTS, "half_life": NO_DECAY}
    np.testing.assert_array_equal(POPULAR.fit(chained, knobs).counts, counts)
    recent = POPULAR_RECENT.fit(chained, {**knobs, "half_life": 0.1}).counts
    by_hand = np.zeros(N)
    for age, row in enumerate(rows[::-1]):
        by_hand[chained.log.item[row]] += 0.5 ** ((age + 1 - 1) / len(rows) / 0.1)
    np.testing.assert_allclose(recent, by_hand, rtol=0.01)


def test_ease_is_its_closed_form(chained: TrainingData) -> None:
    fitted = Ease(repeats=False).fit(chained, {"use": ALL_EVENTS, "ridge": 7.0})
    met = chained.build_user_item_matrix(ALL_EVENTS).toarray().astype(np.float64)
    inverse = np.linalg.inv(met.T @ met + 7.0 * np.eye(N))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(
        fitted.weights, expected[np.ix_(fitted.dense, fitted.dense)], atol=1e-4
    )


def test_item_knn_is_the_shrunk_cosine_of_users(chained: TrainingData) -> None:
    knobs = {"use": ALL_EVENTS, "shrink": 5.0, "nearest": N}
    fitted = ItemKnn(repeats=False).fit(chained, knobs)
    met = chained.build_user_item_matrix(ALL_EVENTS).toarray().astype(np.float64)
    size = np.sqrt(met.sum(axis=0) + 5.0)
    expected = met.T @ met / np.outer(size, size)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(fitted.weights.toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("aggregate", ["sum", "max"])
def test_item_item_scores_are_the_sum_or_the_best_over_the_history(
    chained: TrainingData, aggregate: str
) -> None:
    cases = valid_of(chained).take_slice(slice(0, 20))
    knobs = {"use": ALL_EVENTS, "decay": 3.0, "aggregate": aggregate, "own": 0.0}
    for peer in (ItemKnn(repeats=False), Ease(repeats=False)):
        fit = {"use": ALL_EVENTS, "ridge": 7.0, "shrink": 5.0, "nearest": N}
        fitted = peer.fit(chained, fit)
        held = fitted.weights
        whole = held if isinstance(held, np.ndarray) else held.toarray()
        assert whole.shape == (N, N)  # every item has been met, so that places are rows
        scores = fitted.score(cases, knobs)
        for case, history in enumerate(cases.histories):
            items = chained.log.item[history]
            weight = np.exp(-np.arange(len(items))[::-1] / 3.0)
            rows = whole[items] * weight[:, None]
            expected = (
                np.zeros(N) if not len(rows) else rows.sum(0) if aggregate == "sum" else rows.max(0)
            )
            np.testing.assert_allclose(scores[case], expected, atol=1e-5)


@pytest.mark.parametrize("peer", [ItemKnn(repeats=False), Ease(repeats=False), Ials()])
def test_what_goes_together_is_learned(chained: TrainingData, peer: Peer) -> None:
    if peer.name == "ials":
        pytest.importorskip("implicit", reason='pip install "zhiyin[evaluate]"')
    assert ndcg(peer, chained) > 1.5 * ndcg(POPULAR, chained)


def test_own_items_win_where_everybody_has_habits() -> None:
    training = training_of(habits(n=80), 80, repeats=True)
    assert training.log.has_repeats
    assert ndcg(OwnItems(), training) > 2 * ndcg(POPULAR, training)


def test_text_peers_read_meaning_and_nothing_of_the_log() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat(np.arange(6), 10)
    vectors = random_meaning(6)[kinds] + 0.3 * random_meaning(N, seed=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = []
    for user in range(100):
        own = rng.permutation(np.flatnonzero(kinds == user % 6))[:6]
        rows += [
            interaction(f"u{user}", f"i{item}", float(rng.integers(1_000_000))) for item in own
        ]
    log = build_log(rows, ids(N))
    of_row = np.array([int(item_id[1:]) for item_id in log.item_ids])
    vectors = vectors[of_row].astype(np.float32)
    training = TrainingData(log, log.select_fit_rows(Part.VALID), vectors, repeats=False, seed=0)
    for peer in (TEXT_MEAN, TEXT_TUNED):
        assert ndcg(peer, training) > 2 * ndcg(POPULAR, training)


def test_what_a_peer_scores_equally_is_ordered_by_the_fallback(chained: TrainingData) -> None:
    cases = valid_of(chained)
    fitted = OwnItems().fit(chained, {})
    nothing = fitted.__class__(np.zeros(N, np.float32))
    popular = POPULAR.fit(chained, {"use": ALL_EVENTS, "half_life": NO_DECAY}).counts
    fallback = popular / popular.max()
    found = ask_peer(nothing, {"decay": 10.0, "popular": 0.0}, cases, fallback)
    alone = ask_peer(
        POPULAR.fit(chained, {"use": ALL_EVENTS, "half_life": NO_DECAY}), {}, cases, 0 * fallback
    )
    np.testing.assert_allclose(
        compute_ndcg10(found.ranks).mean(), compute_ndcg10(alone.ranks).mean()
    )


def test_a_users_items_are_cut_into_pieces_that_predict_each_item_once() -> None:
    length = WINDOW_LENGTH + 20
    rows = [interaction("a", f"i{n}", float(n)) for n in range(length)]
    rows += [interaction("b", f"i{n}", 1e6 + n) for n in range(length)]  # the parts not fitted on
    training = training_of(rows, length)
    pieces = cut_windows(training, ALL_EVENTS)
    predicted = [item for piece in pieces.tolist() for item in piece[1:] if item < length]
    used = training.select_rows(ALL_EVENTS)
    firsts = 2 if len(set(training.log.user[used].tolist())) == 2 else 1
    assert len(predicted) == len(used) - firsts
    assert len(set(predicted[: length - 1])) == len(predicted[: length - 1])


@pytest.mark.slow
def test_the_sequence_model_learns_what_follows_what(chained: TrainingData) -> None:
    knobs = {"use": POSITIVE_EVENTS, "dropout": 0.0, "epochs": 12}
    cases, nothing = valid_of(chained), np.zeros(N, np.float32)
    found = ask_peer(SasRec().fit(chained, knobs), knobs, cases, nothing)
    assert compute_ndcg10(found.ranks).mean() > 3 * ndcg(POPULAR, chained)


@pytest.mark.slow
def test_the_seed_decides_what_the_sequence_model_becomes(chained: TrainingData) -> None:
    cases, knobs = valid_of(chained), {"use": POSITIVE_EVENTS, "dropout": 0.5, "epochs": 1}
    first, again = (SasRec().fit(chained, knobs).score(cases, knobs) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.slow
def test_the_sequence_model_stops_where_more_epochs_bring_nothing(
    chained: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sasrec, "MIN_EPOCHS", 3)
    monkeypatch.setattr(sasrec, "PATIENCE", 4)
    figures = iter([0.1, 0.3, *[0.2] * 20])
    knobs = {"use": POSITIVE_EVENTS, "dropout": 0.5}
    found, best = SasRec().converge(chained, knobs, lambda *_: next(figures))
    assert (found["epochs"], best) == (2, 0.3)
