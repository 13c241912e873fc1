"""Fitting learns what the events show, adds nothing to noise, and never uses later events."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import SnapshotError
from indexer.reading.interaction import Interaction
from indexer.taste import HistoryItem, ScoreTermWeights, TasteModel, build_history, fit_taste
from indexer.taste.events import build_events
from indexer.taste.fit import confirm_taste, fit_blocks, fold_weights, refit_taste
from indexer.taste.history import compute_repeat_weights
from indexer.taste.model import parse_settings_without_newest
from tests.indexer.taste.worlds import chains, habits, ids, interaction, noise, random_meaning


@pytest.fixture(scope="module")
def chain_model() -> TasteModel:
    return fit_taste(chains(), ids(60), random_meaning(60))


def adds_nothing(model: TasteModel) -> bool:
    return not (model.prior.any() or len(model.neighbours.values) or model.targets.shape[1])


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_without_evidence_the_model_is_zero_shot(rows: int) -> None:
    model = fit_taste(noise(rows) if rows else [], ids(60), random_meaning(60))
    assert adds_nothing(model)
    assert model.settings.meaning_weight == 1.0


def test_what_follows_what_is_learned(chain_model: TasteModel) -> None:
    one = np.ones(1, np.float32)
    added = chain_model.compute_score_terms(
        np.array([7]), ScoreTermWeights(one, one), include_seen=False
    ).sum_by_row()
    assert max(added, key=lambda row: added[row]) == 8
    report = chain_model.report
    assert report["learned"]["all"]["ndcg10"] > 0.5 > report["zero_shot"]["all"]["ndcg10"]


def test_habits_are_served_from_the_users_own_items() -> None:
    model = fit_taste(habits(), ids(80), random_meaning(80))
    settings = model.settings
    assert settings.repeat_weight > 0
    past = build_history([HistoryItem(3, "purchase"), HistoryItem(3, "purchase")], settings)
    decay = compute_repeat_weights(past, settings)
    weights = ScoreTermWeights(np.ones(2, np.float32), decay)
    added = model.compute_score_terms(past.row, weights, include_seen=True)
    own = added.value[added.is_repeat].sum()
    # The older of the two is one event old.
    held = 1 + np.exp(-1 / settings.repeat_reach)
    assert own == pytest.approx(settings.repeat_weight * np.sqrt(held), rel=1e-5)
    assert not model.compute_score_terms(past.row, weights, include_seen=False).is_repeat.any()


def test_the_same_seed_gives_the_same_model(chain_model: TasteModel) -> None:
    again = fit_taste(chains(), ids(60), random_meaning(60))
    assert again.settings == chain_model.settings
    np.testing.assert_array_equal(again.neighbours.values, chain_model.neighbours.values)
    np.testing.assert_array_equal(again.prior, chain_model.prior)


@pytest.mark.parametrize("world", [chains(), habits(n=60), noise(50)])
def test_a_fit_with_known_settings_is_the_fit_that_found_them(world: list[Interaction]) -> None:
    meaning = random_meaning(60)
    tuned = fit_taste(world, ids(60), meaning)
    again = refit_taste(world, ids(60), meaning, settings=tuned.settings)
    assert again.settings == tuned.settings
    for name in ("targets", "sources", "prior", "newness"):
        np.testing.assert_array_equal(getattr(again, name), getattr(tuned, name))
    np.testing.assert_array_equal(again.neighbours.rows, tuned.neighbours.rows)
    np.testing.assert_array_equal(again.neighbours.values, tuned.neighbours.values)


def test_a_planted_leak_cannot_be_exploited() -> None:
    # Pairs of random items, each met by one user in one moment: whoever looks at rows of the same
    # or a later moment answers perfectly; whoever does not can only guess.
    rng = np.random.default_rng(0)
    rows = []
    for moment in range(600):
        for item in rng.choice(60, 2, replace=False):
            rows.append(interaction(f"u{moment % 50}", f"i{item}", float(moment)))
    model = fit_taste(rows, ids(60), random_meaning(60))
    by_chance = sum(1 / np.log2(1 + rank) for rank in range(1, 11)) / 60
    assert model.report["neighbours_only"]["all"]["ndcg10"] < 2 * by_chance


def test_only_an_arrival_has_a_prior_before_anybody_picks_it() -> None:
    rows = [row for row in chains() if row.item_id not in {"i58", "i59"}]
    settings = fit_taste(rows, ids(60), random_meaning(60)).settings
    opened = replace(settings, prior_weight=0.5)
    newest = max(row.at for row in rows if row.at is not None)
    arrivals = np.r_[np.full(58, np.nan), 0.0, newest + 1]  # i58 came long ago
    blocks = fit_blocks(build_events(rows, ids(60), arrivals=arrivals), random_meaning(60))
    model = fold_weights(blocks, opened, {})
    assert model.prior[58] == pytest.approx(0, abs=1e-4)
    assert model.prior[:58].min() < model.prior[59] < model.prior[:58].max()
    assert model.prior[59] == model.newness[59] == pytest.approx(model.arrival_prior)
    assert not model.newness[:58].any()


def test_a_saved_model_reads_back_as_it_was(chain_model: TasteModel, tmp_path: Path) -> None:
    chain_model.save(tmp_path)
    loaded = TasteModel.load(tmp_path)
    assert loaded.settings == chain_model.settings
    assert loaded.report == chain_model.report
    assert loaded.arrival_prior == chain_model.arrival_prior
    for name in ("targets", "sources", "prior"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(chain_model, name))
    np.testing.assert_array_equal(
        loaded.neighbours.to_matrix().toarray(), chain_model.neighbours.to_matrix().toarray()
    )


@pytest.mark.parametrize("name", ["taste.safetensors", "taste.json"])
def test_a_truncated_file_is_refused(chain_model: TasteModel, tmp_path: Path, name: str) -> None:
    chain_model.save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(SnapshotError, match="taste model"):
        TasteModel.load(tmp_path)


@pytest.mark.slow
def test_settings_without_the_newest_events_do_not_depend_on_them() -> None:
    rows = sorted(chains(users=700), key=lambda row: row.at or 0.0)
    newest = rows[-len(rows) // 10 :]
    rng = np.random.default_rng(0)
    mixed = [replace(row, item_id=f"i{rng.integers(60)}") for row in newest]
    plain = fit_taste(rows, ids(60), random_meaning(60))
    other = fit_taste([*rows[: -len(newest)], *mixed], ids(60), random_meaning(60))
    assert plain.report["learned"] != other.report["learned"]
    settings = parse_settings_without_newest(plain.report)
    assert settings == parse_settings_without_newest(other.report)
    assert settings is not None
    assert settings.neighbour_weight > 0


def test_few_events_are_not_tuned_without_the_newest(chain_model: TasteModel) -> None:
    assert parse_settings_without_newest(chain_model.report) is None


def test_settings_are_confirmed_by_the_events_themselves_or_nothing_is_learned(
    chain_model: TasteModel,
) -> None:
    settings = chain_model.settings
    confirmed = confirm_taste(chains(), ids(60), random_meaning(60), settings=settings)
    assert confirmed.settings == settings
    assert len(confirmed.neighbours.values) > 0
    for rows in ([], chains()[:50], noise(1_000)):
        assert adds_nothing(confirm_taste(rows, ids(60), random_meaning(60), settings=settings))
