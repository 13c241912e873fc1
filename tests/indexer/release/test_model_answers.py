"""A model answers a holdout as its published snapshot answers requests, only all of it at once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.evaluation import Part, ask_index, build_cases, build_log
from indexer.reading import Interaction
from indexer.release.holdout import Holdout, split_holdout
from indexer.release.live_baseline import _collect_catalogue_stats
from indexer.release.model_answers import ModelCatalogue, _build_cases, _find_rows
from indexer.release.snapshot_files import open_model_catalogue
from indexer.taste import TasteModel
from indexer.taste.event_scale import DISLIKED, LIKED
from tests.indexer.evaluation.worlds import write_world
from tests.indexer.taste.worlds import chains

ITEMS = 60
ROWS = sorted(chains(), key=lambda row: row.at or 0.0)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("answered")
    catalogue, events = write_world(folder, ROWS, ITEMS)
    lines = [json.loads(line) for line in catalogue.read_text().splitlines()]
    for row in lines[:3]:
        row["available"] = False
    catalogue.write_text("".join(json.dumps(row) + "\n" for row in lines))
    build_index(catalogue, folder / "index", model="none", interactions=str(events), examine=False)
    return Index.open(folder / "index")


def learned(index: Index) -> TasteModel:
    assert index.taste is not None
    return index.taste


def open_catalogue(index: Index) -> ModelCatalogue:
    return open_model_catalogue(index.path, _collect_catalogue_stats(index))


def hold_out(index: Index) -> Holdout:
    """Picks with histories of at most two items, which are one interest or two."""
    holdout = split_holdout(ROWS, index.ids(range(index.count)), learned_until=None, own_weights={})
    assert holdout is not None
    lengths = np.array([len(history) for history in holdout.cases.histories])
    return holdout.take(np.flatnonzero((lengths == 1) | (lengths == 0)))


def test_the_answers_are_those_of_the_snapshot(index: Index) -> None:
    holdout = hold_out(index)
    assert len(holdout.cases) > 30
    targets = [holdout.cases.log.item_ids[item] for item in holdout.cases.target]
    expected = ask_index(index, list(holdout.cases.build_requests()), targets)
    found = open_catalogue(index).answer(learned(index), holdout)
    np.testing.assert_array_equal(found.ranks, expected.ranks)
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-3)
    np.testing.assert_array_equal(found.hit, expected.hit)
    assert [own[:3] for own in found.top10] == [own[:3] for own in expected.top10]


def test_what_is_unavailable_is_never_recommended(index: Index) -> None:
    answers = open_catalogue(index).answer(learned(index), hold_out(index))
    assert not {"i0", "i1", "i2"} & {item_id for own in answers.top10 for item_id in own}


def test_an_item_that_the_catalogue_lacks_is_not_found(index: Index) -> None:
    catalogue, holdout = open_catalogue(index), hold_out(index)
    target = holdout.cases.log.item_ids[holdout.cases.target[0]]
    ids = ["other" if item_id == target else item_id for item_id in catalogue.ids]
    answers = replace(catalogue, ids=ids).answer(learned(index), holdout)
    assert answers.ranks[0] == np.inf
    assert not answers.hit[0].any()


def test_a_catalogue_of_few_items_has_short_lists(tmp_path: Path) -> None:
    rows = [replace(row, item_id=f"i{int(row.item_id[1:]) % 6}") for row in ROWS]
    catalogue, events = write_world(tmp_path, rows, 6)
    build_index(catalogue, tmp_path / "x", model="none", interactions=str(events), examine=False)
    small = Index.open(tmp_path / "x")
    holdout = split_holdout(rows, small.ids(range(6)), learned_until=None, own_weights={})
    assert holdout is not None
    answers = open_catalogue(small).answer(learned(small), holdout)
    assert answers.scores.shape == answers.hit.shape == (len(holdout.cases), 10)
    assert np.isnan(answers.scores[:, 6:]).all()
    assert max(map(len, answers.top10)) <= 6


def test_a_history_has_nothing_that_was_taken_back(index: Index) -> None:
    told = [("i5", "purchase"), ("i7", "click"), ("i5", "refund"), ("i6", "click")]
    rows = [
        Interaction("u", item, event, None, float(at), None, {})
        for at, (item, event) in enumerate(told)
    ]
    ids = index.ids(range(index.count))
    log = build_log(rows, ids)
    log = replace(log, part=np.array([Part.FIT] * 3 + [Part.TEST]))
    cases = build_cases(log, Part.TEST, repeats=False)
    held_out = _build_cases(cases, _find_rows(log.item_ids, ids), learned(index))
    assert [ids[row] for row in held_out.history.row] == ["i7", "i5"]
    assert held_out.history.liking.tolist() == [LIKED, DISLIKED]
