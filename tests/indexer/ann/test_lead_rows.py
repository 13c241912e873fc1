"""The rows that lead in popularity: which they are, and that a search of few lists finds them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.ann import AllowedRows, VectorIndex
from indexer.ann.lead_rows import LEAD_COUNT, LeadRows, build_lead_facts
from indexer.arrays import Rows, Vectors
from tests.indexer.ann.worlds import LAYOUT, build, clustered

COUNT = 9_000
NO_ROWS: Rows = np.empty(0, np.int64)
ONE_LIST = {"k_factor": 3.0, "nprobe": 1, "ef": 32}
EVERYTHING = AllowedRows.all_of(COUNT)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 8))
def test_leading_rows_are_larger_than_every_other(values: list[int], count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexer.ann.lead_rows.LEAD_COUNT", count)
        rows = build_lead_facts(np.array(values, np.float32), 3)["rows"]
    others = [value for row, value in enumerate(values) if row not in rows]
    assert len(rows) <= count
    assert others
    assert all(values[row] > max(others) for row in rows)
    missed = sorted(values, reverse=True)[: count + 1]
    assert len(rows) == sum(value > missed[-1] for value in values)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Items of which one in thirty is popular, some of them much, whatever they are about."""
    vectors = clustered(COUNT)
    rng = np.random.default_rng(4)
    picked = rng.random(COUNT) < 1 / 30
    vectors[:, LAYOUT.prior_column] = np.where(picked, 0.1 + 0.3 * rng.random(COUNT), 0.1)
    return vectors


@pytest.fixture(scope="module")
def built(
    vectors: Vectors, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, VectorIndex, dict[str, object]]:
    folder = tmp_path_factory.mktemp("lead")
    index, facts = build(folder, vectors, "ivf")
    return folder / "index.faiss", index, facts


def ask(vectors: Vectors, prior_weight: float) -> Vectors:
    """Queries of one item each, which weigh popularity as given."""
    queries = vectors[::300].copy()
    queries[:, LAYOUT.prior_column] = prior_weight
    return queries


def measure(index: VectorIndex, vectors: Vectors, queries: Vectors, allowed: AllowedRows) -> float:
    """Share of the ten best allowed rows, by all products, that are found."""
    found = 0
    rows = allowed.list_rows()
    for query in queries:
        near = index.find_near(query[None], 10, allowed)
        assert allowed.contain(near.rows).all()
        assert (np.diff(near.rows) > 0).all()
        np.testing.assert_allclose(near.products[0], vectors[near.rows] @ query, atol=2e-2)
        found += np.isin(rows[np.argsort(-(vectors[rows] @ query))[:10]], near.rows).sum()
    return found / (10 * len(queries))


def test_popular_items_are_found_whose_lists_are_not_visited(
    built: tuple[Path, VectorIndex, dict[str, object]], vectors: Vectors
) -> None:
    path, _, facts = built
    without = VectorIndex.open(path, {"effort": ONE_LIST, "usual_effort": ONE_LIST})
    few_lists = {"effort": ONE_LIST, "usual_effort": ONE_LIST, "lead": facts["lead"]}
    with_lead = VectorIndex.open(path, few_lists)
    for weight in (3.0, 10.0, 30.0):
        queries = ask(vectors, weight)
        assert measure(with_lead, vectors, queries, EVERYTHING) > 0.98
        assert measure(without, vectors, queries, EVERYTHING) < 0.7


def test_a_build_needs_no_effort_for_popularity(
    built: tuple[Path, VectorIndex, dict[str, object]], vectors: Vectors
) -> None:
    _, index, facts = built
    effort = facts["lead_effort"]
    assert isinstance(effort, dict)
    assert effort["nprobe"] < index.list_count
    for weight in (0.0, 1.0, 2.0, 10.0):
        assert measure(index, vectors, ask(vectors, weight), EVERYTHING) >= 0.98


def test_who_has_seen_what_is_popular_finds_the_rest_as_well(
    built: tuple[Path, VectorIndex, dict[str, object]], vectors: Vectors
) -> None:
    _, index, facts = built
    lead = facts["lead"]
    assert isinstance(lead, dict)
    rest = EVERYTHING.drop(np.array(lead["rows"]))
    for weight in (1.0, 3.0, 10.0):
        assert measure(index, vectors, ask(vectors, weight), rest) >= 0.97
    for weight in (-3.0, -10.0):
        assert measure(index, vectors, ask(vectors, weight), EVERYTHING) >= 0.97


def test_what_is_not_allowed_is_not_found_however_popular(
    built: tuple[Path, VectorIndex, dict[str, object]], vectors: Vectors
) -> None:
    _, index, _ = built
    most_popular: Rows = np.argsort(-vectors[:, LAYOUT.prior_column])[: LEAD_COUNT // 5]
    mask = np.random.default_rng(2).random(COUNT) < 0.8
    for allowed in (EVERYTHING.drop(most_popular), AllowedRows.from_mask(mask).drop(most_popular)):
        assert measure(index, vectors, ask(vectors, 10.0), allowed) >= 0.95


def test_a_query_that_does_not_weigh_popularity_reads_nothing() -> None:
    def read(rows: Rows) -> Vectors:
        raise AssertionError(rows)

    lead = LeadRows(1, np.array([3, 5]), read)
    for query in ([1.0, 0.0], [1.0, -2.0]):
        rows, products = lead.score(np.array([query], np.float32), lambda rows: rows > 0, NO_ROWS)
        assert len(rows) == 0
        assert products.shape == (1, 0)
