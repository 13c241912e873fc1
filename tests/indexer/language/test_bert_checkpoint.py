"""Checkpoints read without sentence-transformers have its vectors; what is unknown goes to it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.language.bert_checkpoint import is_bert_checkpoint
from indexer.language.encoder import load_encoder
from indexer.language.fingerprint import hash_weights
from indexer.language.model_loading import open_model

TEXTS = ["rain and sea", "a", "雨天 悬疑片 of love", "word " * 90]


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the CPU is fast at: sentence-transformers computes in float32."""
    monkeypatch.setenv("ZHIYIN_PRECISION", "float32")


@pytest.fixture
def sentence_bert(plain_bert: Path, tmp_path: Path) -> Path:
    """The tiny BERT with the files of sentence-transformers."""
    folder = tmp_path / "tiny-bert"
    shutil.copytree(plain_bert, folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "2_Normalize").mkdir()
    write(folder / "modules.json", modules)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": False})
    prompts = {"query": "sea ", "document": "rain "}
    write(folder / "config_sentence_transformers.json", {"prompts": prompts})
    write(folder / "1_Pooling/config.json", pooling("pooling_mode_mean_tokens"))
    return folder


def pooling(mode: str, **more: bool) -> dict[str, Any]:
    return {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": False, mode: True, **more}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit(path: Path, **changes: Any) -> None:
    write(path, json.loads(path.read_text(encoding="utf-8")) | changes)


def check_against_sentence_transformers(folder: Path) -> None:
    ours = load_encoder(str(folder))
    theirs, _, prompts = open_model(str(folder))
    assert ours.fingerprint.weights == hash_weights(theirs.state_dict())
    assert ours.fingerprint.max_tokens == min(256, theirs.max_seq_length or 256)
    assert ours.fingerprint.item_prompt == prompts.item
    expected: Any = theirs.encode(
        TEXTS, prompt=prompts.item, normalize_embeddings=True, show_progress_bar=False
    )
    np.testing.assert_allclose(ours.encode_items(TEXTS), expected, rtol=0, atol=1e-5)


def test_a_plain_bert_is_read_as_sentence_transformers_does(plain_bert: Path) -> None:
    assert is_bert_checkpoint(plain_bert)
    check_against_sentence_transformers(plain_bert)


@pytest.mark.parametrize("mode", ["pooling_mode_mean_tokens", "pooling_mode_cls_token"])
def test_either_pooling_is_that_of_sentence_transformers(sentence_bert: Path, mode: str) -> None:
    write(sentence_bert / "1_Pooling/config.json", pooling(mode, **{mode: True}))
    if mode != "pooling_mode_mean_tokens":
        edit(sentence_bert / "1_Pooling/config.json", pooling_mode_mean_tokens=False)
    assert is_bert_checkpoint(sentence_bert)
    check_against_sentence_transformers(sentence_bert)


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
        ("1_Pooling/config.json", {"include_prompt": False}),
        ("config.json", {"hidden_act": "relu"}),
    ],
)
def test_what_is_not_known_is_left_to_sentence_transformers(
    sentence_bert: Path, file: str, changes: dict[str, Any]
) -> None:
    edit(sentence_bert / file, **changes)
    assert not is_bert_checkpoint(sentence_bert)
    check_against_sentence_transformers(sentence_bert)


def test_a_tokenizer_whose_settings_override_its_file_is_not_known(sentence_bert: Path) -> None:
    edit(
        sentence_bert / "tokenizer_config.json",
        do_lower_case=False,
        tokenizer_class="BertTokenizer",
    )
    assert not is_bert_checkpoint(sentence_bert)


def test_a_folder_that_is_no_model_is_not_known(tmp_path: Path) -> None:
    assert not is_bert_checkpoint(tmp_path)
    write(tmp_path / "config.json", ["no object"])
    assert not is_bert_checkpoint(tmp_path)
