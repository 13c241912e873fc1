"""A tuned last layer: learns what is picked after what, is kept only if it helps, and is served."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import EncoderUnavailableError, Index, build_index
from indexer.doctor import verify
from indexer.encoder import load_encoder
from indexer.errors import CatalogError
from indexer.taste.sequels import Sequels
from indexer.tuned_layer import save_layer, tune_layer
from tests.oracle import write_rows

GROUPS = "abcdefghijklmnopqrst"  # a and b belong together, c and d, and so on
OF_EACH = 60


def title(group: int, number: int) -> str:
    """The group thrice, and two letters that tell its items apart."""
    own = GROUPS[group]
    return f"{own} {own} {own} {'uvwxyz'[number % 6]} {'jklmnopqrs'[number // 6]}"


def write_world(folder: Path, *, follows: bool) -> tuple[Path, Path]:
    """Users who pick once from the first group of a pair and then from the second; or by chance."""
    rng = np.random.default_rng(0)
    rows = [
        {"id": f"{GROUPS[group]}{number}", "title": title(group, number)}
        for group in range(len(GROUPS))
        for number in range(OF_EACH)
    ]
    lines = ["user_id,item_id,event,timestamp"]
    for moment in range(6_000):
        user, turn = divmod(moment, 2)
        group = 2 * (user % (len(GROUPS) // 2)) + turn if follows else int(rng.integers(20))
        item = f"{GROUPS[group]}{rng.integers(OF_EACH)}"
        lines.append(f"u{user},{item},purchase,{1_000_000 + moment}")
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    return write_rows(folder / "items.jsonl", rows), folder / "events.csv"


def built(folder: Path, model: Path, world: tuple[Path, Path], **chosen: Any) -> Index:
    build_index(
        world[0], folder / "index", model=model, interactions=str(world[1]), force=True, **chosen
    )
    return Index.open(folder / "index")


def told_of_encoder(index: Index) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((index.path / "report.json").read_text())
    found: dict[str, Any] = report["learned"]["encoder"]
    return found


@pytest.fixture(scope="module")
def tuned(
    plain_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Index, tuple[Path, Path], list[str]]:
    folder = tmp_path_factory.mktemp("tuned")
    world = write_world(folder, follows=True)
    said: list[str] = []
    index = built(folder, plain_bert, world, tune_encoder=True, notice=said.append)
    return index, world, said


def test_what_is_picked_together_comes_near(plain_bert: Path, tmp_path: Path) -> None:
    texts = [title(group, number) for group in range(4) for number in range(10)]
    rng = np.random.default_rng(3)
    start = 20 * rng.integers(2, size=800)  # a or c, then b or d
    past = np.stack([start + rng.integers(10, size=800) for _ in range(3)], axis=1)
    target = start + 10 + rng.integers(10, size=800)
    sequels = Sequels(past.astype(np.int32), target.astype(np.int32))
    seen: list[tuple[int, int]] = []
    layer = tune_layer(
        str(plain_bert), texts, sequels, seed=0, told=lambda done, total: seen.append((done, total))
    )
    save_layer(layer, tmp_path / "layer.safetensors")

    def contrast(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> float:
        """How much nearer a is to b than to d."""
        a, b, d = vectors[:10].mean(axis=0), vectors[10:20].mean(axis=0), vectors[30:].mean(axis=0)
        return float(a @ b - a @ d)

    before = load_encoder(str(plain_bert))
    after = load_encoder(str(plain_bert), layer=tmp_path / "layer.safetensors")
    assert contrast(after.encode_items(texts)) > contrast(before.encode_items(texts)) + 0.1
    assert after.fingerprint != before.fingerprint
    assert seen[-1] == (len(seen), len(seen))


def test_a_layer_that_helps_is_kept_and_served(
    tuned: tuple[Index, tuple[Path, Path], list[str]], plain_bert: Path
) -> None:
    index, _, said = tuned
    told = told_of_encoder(index)
    assert told["kept"]
    assert told["difference"] > told["two_standard_errors"] > 0
    assert any("the tuned encoder is kept" in sentence for sentence in said)
    assert index.manifest.encoder != load_encoder(str(plain_bert)).fingerprint
    asked = index.recommend(query="g g g", k=100, weights={"prior": 0.0})  # the model alone
    found = Counter(hit.id[0] for hit in asked)
    assert found["g"] == OF_EACH
    assert found["h"] > 20  # it would be 5 by chance
    assert verify(index.path.parents[1]) == []


def test_since_last_goes_on_with_the_tuned_layer(
    tuned: tuple[Index, tuple[Path, Path], list[str]], plain_bert: Path
) -> None:
    index, world, _ = tuned
    root = index.path.parents[1]
    chosen: dict[str, Any] = {"model": plain_bert, "interactions": str(world[1])}
    assert build_index(world[0], root, since="last", **chosen).unchanged
    more = world[0].parent / "more.jsonl"
    row = {"id": "new", "title": "g g g z z z"}
    more.write_text(world[0].read_text() + json.dumps(row) + "\n")
    summary = build_index(more, root, since="last", force=True, **chosen)
    assert (summary.unchanged, summary.encoded) == (False, 1)
    again = Index.open(root)
    assert again.manifest.encoder == index.manifest.encoder
    assert {hit.id[0] for hit in again.similar("new", k=30)} <= {"g", "h"}
    said: list[str] = []
    plain = build_index(more, root, force=True, notice=said.append, **chosen)
    assert plain.encoded == 1  # what the model said before it was tuned was not forgotten
    assert any("the tuned layer of tiny-bert is given up" in sentence for sentence in said)
    assert Index.open(root).manifest.encoder == load_encoder(str(plain_bert)).fingerprint


def test_a_layer_that_does_not_help_leaves_no_trace(plain_bert: Path, tmp_path: Path) -> None:
    world = write_world(tmp_path, follows=False)
    said: list[str] = []
    index = built(tmp_path, plain_bert, world, tune_encoder=True, notice=said.append)
    told = told_of_encoder(index)
    assert not told["kept"]
    assert told["difference"] <= told["two_standard_errors"]
    assert any("is not kept" in sentence for sentence in said)
    assert index.manifest.encoder == load_encoder(str(plain_bert)).fingerprint
    assert not (index.path / "encoder.safetensors").exists()
    assert not (index.path / "tuned").exists()
    expected = load_encoder(str(plain_bert)).encode_items(["u v"])
    np.testing.assert_allclose(index.encoder.encode_items(["u v"]), expected, atol=1e-6)


def test_too_few_picks_are_said_to_be_too_few(plain_bert: Path, tmp_path: Path) -> None:
    items, events = write_world(tmp_path, follows=True)
    few = "\n".join(events.read_text().splitlines()[:200])
    events.write_text(few + "\n")
    index = built(tmp_path, plain_bert, (items, events), tune_encoder=True)
    assert "too few, it takes 1000" in told_of_encoder(index)["reason"]


def test_a_model_that_is_not_built_like_bert_is_refused(
    plain_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.bert.modeling_bert import BertEncoder

    whole: Any = BertEncoder.forward

    def twice(self: Any, states: Any, *rest: Any, **named: Any) -> Any:
        out = whole(self, states, *rest, **named)
        out.last_hidden_state = out.last_hidden_state.roll(1, dims=2)  # more after the last layer
        return out

    monkeypatch.setattr(BertEncoder, "forward", twice)
    sequels = Sequels(np.zeros((1, 3), np.int32), np.ones(1, np.int32))
    with pytest.raises(EncoderUnavailableError, match="'tiny-bert' cannot be tuned"):
        tune_layer(str(plain_bert), ["a", "b"], sequels, seed=0, told=lambda *_: None)


def test_a_layer_of_another_model_is_refused_by_name(plain_bert: Path, tmp_path: Path) -> None:
    save_layer({"0.nothing.weight": np.zeros(3, np.float32)}, tmp_path / "layer.safetensors")
    with pytest.raises(EncoderUnavailableError, match=r"tiny-bert: it has no 0\."):
        load_encoder(str(plain_bert), layer=tmp_path / "layer.safetensors")
    (tmp_path / "layer.safetensors").write_bytes(b"no tensors")
    with pytest.raises(EncoderUnavailableError, match="no tuned layer of tiny-bert"):
        load_encoder(str(plain_bert), layer=tmp_path / "layer.safetensors")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"since": "last", "interactions": "e.csv"}, "give one of them"),
        ({}, "give interactions"),
        ({"model": "none", "interactions": "e.csv"}, "name or directory of a language model"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_read(
    chosen: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match=said):
        build_index(tmp_path / "none.jsonl", tmp_path / "index", tune_encoder=True, **chosen)
