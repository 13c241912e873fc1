"""A tuned last layer: learns what is picked after what, is kept only if it helps, and is served."""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from indexer import EncoderUnavailableError, Index, SnapshotError, build_index
from indexer.build.encoder_tuning import compare_encoders
from indexer.errors import CatalogError
from indexer.language.encoder import load_encoder
from indexer.language.next_item_examples import NextItemExamples
from indexer.language.tuned_layer import (
    EXAMPLES_PER_STEP,
    TEMPERATURE,
    TunedLayer,
    _LayerTrainer,
    tune_layer,
)
from indexer.release.verification import verify_snapshot
from indexer.taste.events import build_events
from tests.indexer.taste.worlds import ids, interaction
from tests.oracle import write_rows
from tests.paths import SCRIPTS

GROUPS = "abcdefghijklmnopqrst"  # a and b belong together, c and d, and so on
OF_EACH = 60


def title(group: int, number: int) -> str:
    """The group thrice, and two letters that tell its items apart."""
    own = GROUPS[group]
    return f"{own} {own} {own} {'uvwxyz'[number % 6]} {'jklmnopqrs'[number // 6]}"


def write_world(folder: Path, *, follows: bool) -> tuple[Path, Path]:
    """Users who pick once from the first group of a pair and then from the second; or by chance.

    As in news, picks are of what is new: when it is asked about, nobody has met it.
    """
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
        number = max(OF_EACH * moment // 6_000 - int(rng.integers(3)), 0)
        item = f"{GROUPS[group]}{number}"
        lines.append(f"u{user},{item},purchase,{1_000_000 + moment}")
    (folder / "events.csv").write_text("\n".join(lines) + "\n")
    return write_rows(folder / "items.jsonl", rows), folder / "events.csv"


def built(folder: Path, model: Path, world: tuple[Path, Path], **chosen: Any) -> Index:
    build_index(
        world[0], folder / "index", model=model, interactions=str(world[1]), force=True, **chosen
    )
    return Index.open(folder / "index")


def read_encoder_report(index: Index) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((index.path / "report.json").read_text())
    found: dict[str, Any] = report["learned"]["encoder"]
    return found


@pytest.fixture(scope="module")
def tuned(
    plain_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Index, tuple[Path, Path], list[str]]:
    folder = tmp_path_factory.mktemp("tuned")
    world = write_world(folder, follows=True)
    notices: list[str] = []
    index = built(folder, plain_bert, world, tune_encoder=True, notice=notices.append)
    return index, world, notices


def test_what_is_picked_together_comes_near(plain_bert: Path, tmp_path: Path) -> None:
    texts = [title(group, number) for group in range(4) for number in range(10)]
    rng = np.random.default_rng(3)
    start = 20 * rng.integers(2, size=800)  # a or c, then b or d
    past = np.stack([start + rng.integers(10, size=800) for _ in range(3)], axis=1)
    target = start + 10 + rng.integers(10, size=800)
    sequels = NextItemExamples(past.astype(np.int32), target.astype(np.int32))
    seen: list[tuple[int, int]] = []
    layer = tune_layer(
        str(plain_bert),
        texts,
        sequels,
        seed=0,
        progress=lambda done, total: seen.append((done, total)),
    )
    layer.save(tmp_path / "layer.safetensors")

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
    index, _, notices = tuned
    comparison = read_encoder_report(index)
    assert comparison["kept"]
    assert comparison["difference"] > comparison["two_standard_errors"] > 0
    assert any("the tuned encoder is kept" in sentence for sentence in notices)
    assert index.manifest.encoder != load_encoder(str(plain_bert)).fingerprint
    asked = index.recommend(query="g g g", k=100, weights={"prior": 0.0})  # the model alone
    found = Counter(hit.id[0] for hit in asked)
    # Nearly all: of a model with a handful of Chinese letters, the direction that is taken out
    # as the difference of languages says something else too.
    assert found["g"] >= 0.95 * OF_EACH
    assert found["h"] > 20  # it would be 5 by chance
    assert verify_snapshot(index.path.parents[1]) == []


@pytest.fixture
def copied(
    tuned: tuple[Index, tuple[Path, Path], list[str]], tmp_path: Path
) -> tuple[Index, tuple[Path, Path], Path]:
    """The tuned index, its world and a copy of it to change."""
    index, world, _ = tuned
    root = tmp_path / "index"
    shutil.copytree(index.path.parents[1], root, symlinks=True)
    return index, world, root


def test_since_last_goes_on_with_the_tuned_layer(
    copied: tuple[Index, tuple[Path, Path], Path], plain_bert: Path, tmp_path: Path
) -> None:
    index, world, root = copied
    chosen: dict[str, Any] = {"model": plain_bert, "interactions": str(world[1])}
    assert build_index(world[0], root, since="last", **chosen).unchanged
    more = tmp_path / "more.jsonl"
    row = {"id": "new", "title": "g g g z z z"}
    more.write_text(world[0].read_text() + json.dumps(row) + "\n")
    summary = build_index(more, root, since="last", force=True, **chosen)
    assert (summary.unchanged, summary.encoded) == (False, 1)
    again = Index.open(root)
    assert again.manifest.encoder == index.manifest.encoder
    assert verify_snapshot(root) == []  # the new text was encoded by the tuned model, as all others
    notices: list[str] = []
    plain = build_index(more, root, force=True, notice=notices.append, **chosen)
    assert plain.encoded == 1  # the vectors of the untuned model were still known
    assert notices == [
        "the tuned layer of tiny-bert is given up: the build has neither --since last nor "
        "--tune-encoder"
    ]
    assert Index.open(root).manifest.encoder == load_encoder(str(plain_bert)).fingerprint


@pytest.mark.slow
def test_a_layer_that_does_not_help_leaves_no_trace(plain_bert: Path, tmp_path: Path) -> None:
    world = write_world(tmp_path, follows=False)
    notices: list[str] = []
    index = built(tmp_path, plain_bert, world, tune_encoder=True, notice=notices.append)
    comparison = read_encoder_report(index)
    assert not comparison["kept"]
    assert comparison["difference"] <= comparison["two_standard_errors"]
    assert any("is not kept" in sentence for sentence in notices)
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
    assert "too few, it takes 1000" in read_encoder_report(index)["reason"]


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
    sequels = NextItemExamples(np.zeros((1, 3), np.int32), np.ones(1, np.int32))
    with pytest.raises(EncoderUnavailableError, match="'tiny-bert' cannot be tuned"):
        tune_layer(str(plain_bert), ["a", "b"], sequels, seed=0, progress=lambda *_: None)


def test_a_layer_of_another_model_is_refused_by_name(plain_bert: Path, tmp_path: Path) -> None:
    other = TunedLayer({"0.nothing.weight": np.zeros(3, np.float32)}, base="of another model")
    other.save(tmp_path / "layer.safetensors")
    with pytest.raises(EncoderUnavailableError, match="tuned on another model than this tiny-bert"):
        load_encoder(str(plain_bert), layer=tmp_path / "layer.safetensors")
    (tmp_path / "layer.safetensors").write_bytes(b"no tensors")
    with pytest.raises(EncoderUnavailableError, match="no tuned layer of tiny-bert"):
        load_encoder(str(plain_bert), layer=tmp_path / "layer.safetensors")


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"since": "last", "interactions": "e.csv"}, "give one of them"),
        ({"model": "none", "interactions": None}, "cannot tune the model 'none'"),
        ({"model": "none", "interactions": "e.csv"}, "cannot tune the model 'none'"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_read(
    chosen: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match=sentence):
        build_index(tmp_path / "none.jsonl", tmp_path / "index", tune_encoder=True, **chosen)


def test_a_damaged_layer_is_given_up_not_passed_on(
    copied: tuple[Index, tuple[Path, Path], Path], plain_bert: Path
) -> None:
    index, world, root = copied
    layer = root / "snapshots" / index.id / "encoder.safetensors"
    layer.write_bytes(layer.read_bytes()[:-8] + b"damaged!")
    more = root.parent / "more.jsonl"
    more.write_text(world[0].read_text() + json.dumps({"id": "new", "title": "g z"}) + "\n")
    notices: list[str] = []
    chosen: dict[str, Any] = {"model": plain_bert, "interactions": str(world[1])}
    build_index(more, root, since="last", force=True, notice=notices.append, **chosen)
    assert notices == [
        f"the tuned layer of tiny-bert is given up: {layer} is missing or damaged; tune anew with "
        f"--tune-encoder"
    ]
    again = Index.open(root)
    assert again.manifest.encoder == load_encoder(str(plain_bert)).fingerprint
    assert verify_snapshot(root) == []


def test_a_little_damage_is_found_before_a_text_is_read(
    copied: tuple[Index, tuple[Path, Path], Path],
) -> None:
    index, _, root = copied
    layer = root / "snapshots" / index.id / "encoder.safetensors"
    content = bytearray(layer.read_bytes())
    content[len(content) // 2] ^= 1
    layer.write_bytes(content)
    with pytest.raises(SnapshotError, match=r"encoder\.safetensors"):
        Index.open(root).search("g g g")


@pytest.mark.slow
def test_all_is_encoded_again_by_the_tuned_model(
    copied: tuple[Index, tuple[Path, Path], Path], plain_bert: Path
) -> None:
    index, world, root = copied
    chosen: dict[str, Any] = {"model": plain_bert, "interactions": str(world[1])}
    summary = build_index(world[0], root, since="last", force_full=True, force=True, **chosen)
    assert summary.encoded == len(GROUPS) * OF_EACH
    assert Index.open(root).manifest.encoder == index.manifest.encoder


def test_a_layer_is_not_put_into_a_model_that_has_changed(
    copied: tuple[Index, tuple[Path, Path], Path], plain_bert: Path, tmp_path: Path
) -> None:
    from transformers import BertModel

    index, world, root = copied
    model = tmp_path / "models" / "tiny-bert"
    shutil.copytree(plain_bert, model)
    changed: Any = BertModel.from_pretrained(model)
    changed.embeddings.word_embeddings.weight.data += 0.1
    changed.save_pretrained(model)
    with pytest.raises(EncoderUnavailableError, match="tuned on another model"):
        load_encoder(str(model), layer=index.path / "encoder.safetensors")
    manifest = root / "snapshots" / index.id / "manifest.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "encoder_source": str(model)}))
    build_index(world[0], root, since="last", force=True, model=model, interactions=str(world[1]))
    again = Index.open(root)
    assert again.manifest.encoder == load_encoder(str(model)).fingerprint
    assert verify_snapshot(root) == []


def test_a_tuned_encoder_that_is_given_takes_its_layer_along(
    tuned: tuple[Index, tuple[Path, Path], list[str]], plain_bert: Path, tmp_path: Path
) -> None:
    index, world, _ = tuned
    build_index(world[0], tmp_path / "index", model=plain_bert, encoder=index.encoder)
    again = Index.open(tmp_path / "index")
    assert again.manifest.encoder == index.manifest.encoder
    query = again.encoder.encode_queries(["g g g"])
    np.testing.assert_allclose(query, index.encoder.encode_queries(["g g g"]), atol=1e-6)


def test_nothing_of_the_picks_that_judge_is_learned_from(
    plain_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, events = write_world(tmp_path, follows=True)
    learned: set[tuple[str, str]] = set()
    rows = [json.loads(line) for line in items.read_text().splitlines()]
    names = {row["title"]: row["id"] for row in rows}

    def spied(
        _: object, described: list[str], sequels: NextItemExamples, **__: object
    ) -> TunedLayer:
        shown = [next(own for name, own in names.items() if name in text) for text in described]
        pairs = zip(sequels.history[:, 0].tolist(), sequels.target.tolist(), strict=True)
        learned.update((shown[past], shown[target]) for past, target in pairs)
        raise EncoderUnavailableError("seen enough")

    monkeypatch.setattr("indexer.build.encoder_tuning.tune_layer", spied)
    with pytest.raises(EncoderUnavailableError, match="seen enough"):
        built(tmp_path, plain_bert, (items, events), tune_encoder=True)
    with events.open() as file:
        picks = list(csv.DictReader(file))
    pairs = [
        (first["item_id"], second["item_id"])
        for first, second in zip(picks[::2], picks[1::2], strict=True)
    ]
    old = set(pairs[: int(0.6 * len(pairs)) + 1])
    assert learned <= old
    assert len(learned) > 0.9 * len(old)


def test_the_loss_is_that_of_its_formula(plain_bert: Path) -> None:
    texts = [title(group, 0) for group in range(6)]
    student = _LayerTrainer(str(plain_bert), texts)
    vectors = student.encode(np.arange(6)).detach().numpy().astype(np.float64)
    past = np.array([[0, -1, -1], [1, 2, -1], [5, -1, -1]], np.int32)
    target = np.array([3, 4, 3], np.int32)
    frequency = np.array([0, 0, 0, 0.7, 0.2, 0.1])
    expected = 0.0
    for row, own in enumerate(target):
        profile = vectors[past[row][past[row] >= 0]].sum(axis=0)
        profile /= np.linalg.norm(profile)
        logits = [profile @ vectors[t] / TEMPERATURE - np.log(frequency[t]) for t in (3, 4)]
        expected -= logits[(3, 4).index(own)] - np.log(np.exp(logits).sum())
    loss = student.compute_loss(NextItemExamples(past, target), frequency)
    assert loss.item() == pytest.approx(expected / 3, rel=1e-4)
    # Of two targets the first user has met one: it is no wrong answer to it.
    met = NextItemExamples(np.array([[0, 4, -1], [1, 2, -1]], np.int32), np.array([3, 4], np.int32))
    alone = NextItemExamples(met.history[1:], met.target[1:])
    both, one = (
        student.compute_loss(met, frequency).item(),
        student.compute_loss(alone, frequency).item(),
    )
    assert one == pytest.approx(0.0, abs=1e-6)  # with one target there is nothing to mistake
    profile = vectors[[1, 2]].sum(axis=0)
    profile /= np.linalg.norm(profile)
    logits = [profile @ vectors[t] / TEMPERATURE - np.log(frequency[t]) for t in (3, 4)]
    assert both == pytest.approx((np.log(np.exp(logits).sum()) - logits[1]) / 2, rel=1e-4)
    assert len(met) < EXAMPLES_PER_STEP


@pytest.mark.slow
def test_items_with_their_own_vectors_teach_nothing(plain_bert: Path, tmp_path: Path) -> None:
    items, events = write_world(tmp_path, follows=True)
    rows = [json.loads(line) for line in items.read_text().splitlines()]
    rng = np.random.default_rng(0)
    for row in rows:
        row["vector"] = rng.normal(size=32).tolist()
    write_rows(items, rows)
    index = built(tmp_path, plain_bert, (items, events), tune_encoder=True)
    assert read_encoder_report(index)["reason"].startswith("0 liked picks with an earlier one")


def test_few_users_are_too_few_to_compare() -> None:
    rows = [interaction(f"u{n % 7}", f"i{n}", float(n)) for n in range(300)]

    def never() -> NoReturn:
        raise AssertionError

    comparison = compare_encoders(build_events(rows, ids(300)), never, never, ids(300))
    assert comparison == {
        "kept": False,
        "reason": "the newest picks are of 7 users, it takes 30 to judge by",
    }


@pytest.mark.slow
def test_from_the_command_line(plain_bert: Path, tmp_path: Path) -> None:
    items, events = write_world(tmp_path, follows=False)
    script = SCRIPTS / "rebuild_index.py"
    command = [sys.executable, str(script), "--catalog", str(items), "--out", str(tmp_path / "x")]
    command += ["--model", str(plain_bert), "--tune-encoder"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert (
        "tune_encoder has nothing to learn from; give interactions (--interactions)"
        in refused.stderr
    )
    command += ["--interactions", str(events)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "the tuned encoder is not kept" in done.stderr
