"""Served scores use the taste model: scores by hand, reasons that add up, data with known rules."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from tests.fakes import WordEncoder
from tests.indexer.taste.worlds import chains, random_meaning

ITEMS = 60
DIM = 16


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """After item `i` comes `i + 1`; the vectors say nothing about it."""
    folder = tmp_path_factory.mktemp("chained")
    vectors = random_meaning(ITEMS, DIM)
    with (folder / "items.jsonl").open("w") as file:
        for item in range(ITEMS):
            row = {"id": f"i{item}", "title": f"item {item}", "vector": vectors[item].tolist()}
            file.write(json.dumps(row) + "\n")
    with (folder / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event", "value", "timestamp"])
        for event in chains(400, ITEMS):
            writer.writerow([event.user_id, event.item_id, event.event, "", event.at])
    build_index(
        folder / "items.jsonl",
        folder / "index",
        model="none",
        interactions=str(folder / "events.csv"),
    )
    return Index.open(folder / "index")


def compute_by_hand(index: Index, history: list[str]) -> dict[str, float]:
    """The scores of all items, from the tensors on disk and the formulas in the docstrings."""
    from safetensors.numpy import load_file

    facts = json.loads((index.path / "taste" / "taste.json").read_text())
    settings, taste = facts["settings"], load_file(index.path / "taste" / "taste.safetensors")
    ids = index.ids(range(index.count))
    row_of = {item_id: row for row, item_id in enumerate(ids)}
    meaning = index.vectors(ids).astype(np.float64)
    rows = np.array([row_of[item_id] for item_id in history])
    age = np.arange(len(rows))[::-1]
    near = (1 + age / settings["meaning_reach"]) ** -2.0
    whole = near @ meaning[rows]
    whole /= np.linalg.norm(whole)
    vectors = [whole]
    for row in rows[-3:]:
        mixed = 0.7 * whole + 0.3 * meaning[row]
        vectors.append(mixed / np.linalg.norm(mixed))
    shrinkage = near.sum() / (near.sum() + settings["meaning_doubt"])
    weights = (1 + age / settings["taste_reach"]) ** -2.0
    picked = facts["usual_prior"]
    above = np.clip((taste["prior"][rows] - picked["mean"]) / picked["spread"], -1, 2)
    prior = 1 + settings["prior_lean"] * (weights @ above) / (weights.sum() + 2)
    scores = shrinkage * (np.array(vectors) @ meaning.T).max(axis=0) + prior * taste["prior"]
    for weight, row in zip(weights, rows, strict=True):
        for position in range(taste["starts"][row], taste["starts"][row + 1]):
            scores[taste["rows"][position]] += weight * taste["values"][position]
    return dict(zip(ids, scores.tolist(), strict=True))


def test_the_next_item_of_the_chain_is_recommended_first(chained: Index) -> None:
    firsts = [chained.recommend(history=[f"i{item}"], k=1)[0].id for item in range(ITEMS)]
    right = sum(first == f"i{(item + 1) % ITEMS}" for item, first in enumerate(firsts))
    assert right >= 0.9 * ITEMS


def test_served_scores_are_those_worked_out_by_hand(chained: Index) -> None:
    # Of one interest: the newest item is like the others, which are not balanced against it.
    nearest = [hit.id for hit in chained.similar("i21", k=4)]
    history = [*nearest[::-1], "i21"]
    assert (chained.vectors(nearest) @ chained.vectors(["i21"]).T > 0).all()
    assert chained.taste is not None
    assert chained.taste.settings.prior_lean > 0
    expected = compute_by_hand(chained, history)
    answer = chained.recommend(history=[{"item_id": i, "event": "purchase"} for i in history], k=60)
    assert len(answer) == ITEMS - len(history)
    for hit in answer:
        assert hit.score == pytest.approx(expected[hit.id], abs=2e-4)
    order = sorted((hit.id for hit in answer), key=lambda i: (-round(expected[i], 4), i))
    assert order[:5] == [hit.id for hit in answer[:5]]


def test_each_past_item_has_one_reason_and_the_reasons_add_up(chained: Index) -> None:
    answer = chained.recommend(history=["i3", "i40", "i7"], k=20)
    for hit in answer:
        assert sum(reason["share"] for reason in hit.reasons) == pytest.approx(hit.score, abs=1e-4)
        past = [reason["item_id"] for reason in hit.reasons if reason["kind"] == "history"]
        assert len(past) == len(set(past))
    top = answer[0]
    assert (top.id, top.reasons[0]["item_id"]) == ("i8", "i7")


def test_without_a_weight_on_taste_the_chain_is_forgotten(chained: Index) -> None:
    body: dict[str, Any] = {"history": ["i7"], "k": 1, "weights": {"taste": 0.0, "prior": 0.0}}
    nearest = chained.similar("i7", k=1)[0].id
    assert chained.recommend(**body)[0].id == nearest


def test_a_dislike_pushes_away_what_a_like_pulls_near(chained: Index) -> None:
    def score(event: str) -> float:
        answer = chained.recommend(history=[{"item_id": "i7", "event": event}], k=60)
        return {hit.id: hit.score for hit in answer}[chained.similar("i7", k=1)[0].id]

    assert score("dislike") < score("like")


def test_a_dislike_alone_pushes_away(chained: Index) -> None:
    near = chained.similar("i7", k=1)[0].id
    answer = chained.recommend(history=[{"item_id": "i7", "event": "dislike"}], k=60)
    (hit,) = (hit for hit in answer if hit.id == near)
    shares = [reason["share"] for reason in hit.reasons if reason["kind"] == "history"]
    assert shares
    assert sum(shares) < 0


@pytest.mark.slow
def test_a_build_that_dies_after_learning_does_not_try_again_what_it_tried(
    chained: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = chained.path.parents[2], tmp_path / "index"
    stages: list[str] = []

    def build() -> None:
        build_index(
            source / "items.jsonl",
            out,
            model="none",
            interactions=str(source / "events.csv"),
            report=lambda stage, *_: stages.append(stage),
        )

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr("indexer.build.pipeline.publish", stop)
        with pytest.raises(KeyboardInterrupt):
            build()
    tried = len((out / "tried.jsonl").read_text().splitlines()) - 1
    assert not any("before the last fit was stopped" in stage for stage in stages)
    build()
    assert f"learn: {tried} settings were tried before the last fit was stopped" in stages
    assert not (out / "tried.jsonl").exists()
    again, first = Index.open(out), chained
    history = ["i5", "i6"]
    scores = [(hit.id, hit.score) for hit in again.recommend(history=history, k=20)]
    assert scores == [(hit.id, hit.score) for hit in first.recommend(history=history, k=20)]


def test_words_about_the_moment_count_a_quarter_beside_what_was_learned(tmp_path: Path) -> None:
    moods = ["rainy", "sunny", "windy"]
    with (tmp_path / "items.jsonl").open("w") as file:
        for item in range(ITEMS):
            title = f"a {moods[item % 3]} tale of {item}"
            file.write(json.dumps({"id": f"i{item}", "title": title}) + "\n")
    with (tmp_path / "events.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event", "timestamp"])
        for event in chains(400, ITEMS):
            writer.writerow([event.user_id, event.item_id, event.event, event.at])
    shares = []
    for interactions in (None, str(tmp_path / "events.csv")):
        root = tmp_path / f"learned {interactions is not None}"
        build_index(
            tmp_path / "items.jsonl",
            root,
            encoder=WordEncoder(dim=DIM),
            interactions=interactions,
        )
        index = Index.open(root, encoder=WordEncoder(dim=DIM))
        assert (index.taste is not None) == (interactions is not None)
        hits = index.recommend(context={"weather": "rainy"}, k=ITEMS)
        found = {
            hit.id: reason["share"]
            for hit in hits
            for reason in hit.reasons
            if reason["kind"] == "context"
        }
        shares.append(found)
        assert max(found, key=lambda item_id: found[item_id]) in {f"i{n}" for n in range(0, 60, 3)}
    quarters = {name: share / 4 for name, share in shares[0].items()}
    assert shares[1] == pytest.approx(quarters, abs=1e-6)
