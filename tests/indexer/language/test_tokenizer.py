"""SentencePiece gives the tokens of the tokenizers library, which splits what it would not."""

import json
import random
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from indexer.language import tokenizer as module
from indexer.language.bundled_models import MULTILINGUAL, ensure_checkpoint
from indexer.language.tokenizer import (
    FileTokenizer,
    SentencePieceTokenizer,
    load_tokenizer,
    write_sentence_piece,
)

TEXTS = [
    "query: a quiet film about friendship and the sea",
    "passage: 雨天在家看的悬疑片，一个人。 Tags: 悬疑, 推理",
    "query: 10,5 € — “Amélie” (2001) №5 ½ ｶﾅ ＡＢＣ Ⅳ 한국어 🎬",
    "query:   many   spaces\tand\nlines",
]
UNLIKE = [
    "query: ",
    "query: cafe\u0301",
    "query: ends in a space ",
    "query: 家庭 👨\u200d👩\u200d👧",
    "query: <s> and </s> and <mask>",
    "query: one\r\ntwo\xa0",
    "query: ｶﾞ \u2581",
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return ensure_checkpoint(MULTILINGUAL)


@pytest.fixture(scope="module")
def exact(folder: Path) -> FileTokenizer:
    return FileTokenizer(folder / "tokenizer.json")


@pytest.fixture(scope="module")
def pieces(folder: Path) -> SentencePieceTokenizer:
    return SentencePieceTokenizer(folder)


def test_the_bundled_model_has_the_fast_form_and_others_their_file(
    folder: Path, plain_bert: Path
) -> None:
    assert isinstance(load_tokenizer(folder), SentencePieceTokenizer)
    assert isinstance(load_tokenizer(plain_bert), FileTokenizer)


def test_usual_texts_never_load_the_large_tokenizer(folder: Path, exact: FileTokenizer) -> None:
    fresh = SentencePieceTokenizer(folder)
    assert fresh.tokenize(TEXTS, 512) == exact.tokenize(TEXTS, 512)
    assert fresh._exact is None


def test_texts_that_it_would_split_otherwise_are_split_by_the_library(
    pieces: SentencePieceTokenizer, exact: FileTokenizer
) -> None:
    texts = [TEXTS[0], *UNLIKE, TEXTS[1]]
    assert pieces.tokenize(texts, 512) == exact.tokenize(texts, 512)


class _CountedPieces:
    """SentencePiece that records the texts it is given."""

    def __init__(self, pieces: Any) -> None:
        self._pieces = pieces
        self.texts: list[str] = []

    def encode(self, texts: list[str], **options: Any) -> Any:
        self.texts += texts
        return self._pieces.encode(texts, **options)


def test_a_text_is_split_by_one_of_the_two(folder: Path, exact: FileTokenizer) -> None:
    fresh = SentencePieceTokenizer(folder)
    fresh._pieces = counted = _CountedPieces(fresh._pieces)
    fresh._exact = exact
    thai, arabic = "query: หนังเงียบเกี่ยวกับทะเล", "query: فيلم هادئ عن البحر"
    texts = [thai, TEXTS[0], arabic, TEXTS[1]]
    assert fresh.tokenize(texts, 512) == exact.tokenize(texts, 512)
    assert counted.texts == [TEXTS[0], TEXTS[1]]
    assert fresh.tokenize([thai, arabic], 512) == exact.tokenize([thai, arabic], 512)
    assert fresh.tokenize([], 512) == []


def test_many_threads_load_the_large_tokenizer_once(
    folder: Path, exact: FileTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, gate = threading.Semaphore(0), threading.Event()

    def load(file: Path) -> FileTokenizer:
        started.release()
        assert gate.wait(60)
        return exact

    monkeypatch.setattr(module, "FileTokenizer", load)
    fresh = SentencePieceTokenizer(folder)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(fresh.tokenize, UNLIKE, 512) for _ in range(4)]
        assert started.acquire(timeout=60)
        is_loaded_again = started.acquire(timeout=0.2)
        gate.set()
        assert all(one.result() == exact.tokenize(UNLIKE, 512) for one in asked)
    assert not is_loaded_again
    assert not started.acquire(blocking=False)


@pytest.mark.parametrize("limit", [3, 7, 8, 200])
@pytest.mark.parametrize("texts", [TEXTS, UNLIKE])
def test_both_cut_texts_at_the_same_token(
    texts: Sequence[str], limit: int, pieces: SentencePieceTokenizer, exact: FileTokenizer
) -> None:
    long = [text.rstrip() + " and more words to be cut" * 3 for text in texts]
    assert pieces.tokenize(long, limit) == exact.tokenize(long, limit)
    assert max(map(len, pieces.tokenize(long, limit))) <= limit


def check_alike_but_for_ties(ours: list[Sequence[int]], theirs: list[Sequence[int]]) -> None:
    """Where two ways to split are equally likely, as "ii i" and "i ii", the two may differ."""
    unlike = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    assert all(sorted(a) == sorted(b) for a, b in unlike)
    assert len(unlike) <= 3


@pytest.mark.parametrize("pattern", ["x{}y", "中{}文", "a {} b", "{0}{0}.", "word {}"])
def test_every_character_that_goes_to_sentence_piece_is_split_alike(
    pattern: str, pieces: SentencePieceTokenizer, exact: FileTokenizer
) -> None:
    alike = re.compile(f"[{module._ALIKE_CHARACTERS}]").fullmatch
    characters = [c for c in map(chr, range(0x20000)) if alike(c)]
    assert len(characters) > 40_000
    texts = [pattern.format(character) for character in characters]
    check_alike_but_for_ties(pieces.tokenize(texts, 64), exact.tokenize(texts, 64))


def test_mixtures_are_split_alike_but_for_ties(
    pieces: SentencePieceTokenizer, exact: FileTokenizer
) -> None:
    rng = random.Random(5)
    characters = [chr(c) for c in (*range(32, 127), *range(0xC0, 0x180), *range(0x3B1, 0x3C9))]
    characters += [chr(rng.randrange(0x4E00, 0xA000)) for _ in range(100)] + list(
        "，。！～　é🎬"
    ) * 5
    texts = [
        "query: " + "".join(rng.choices(characters, k=rng.randint(0, 30))) for _ in range(5_000)
    ]
    check_alike_but_for_ties(pieces.tokenize(texts, 64), exact.tokenize(texts, 64))


def test_another_kind_of_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"]["normalizers"].pop()
    other = tmp_path / "tokenizer.json"
    other.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="not a Unigram tokenizer"):
        write_sentence_piece(other, tmp_path / "sentencepiece.model")
    assert not (tmp_path / "sentencepiece.model").exists()
