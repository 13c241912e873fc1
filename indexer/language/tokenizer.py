"""Texts to token numbers: by the tokenizer file of a model, or faster by its SentencePiece form.

A Unigram tokenizer of 250,000 pieces takes 270 MB and .7 s to load in the tokenizers library, and
60 MB and .3 s in SentencePiece, which also splits texts six times as fast. SentencePiece gives
other numbers for a few texts (characters of several code points, white space at the end, names of
special tokens); such texts go to the tokenizers library, which is loaded for the first of them.
"""

import base64
import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

TOKENIZER_FILE, SENTENCE_PIECE_FILE = "tokenizer.json", "sentencepiece.model"
_BEGIN, _PAD, _END, _UNKNOWN, _MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
_SPECIAL = (_BEGIN, _PAD, _END, _UNKNOWN, _MASK)
_NORMAL_PIECE, _UNKNOWN_PIECE, _CONTROL_PIECE = 1, 2, 3  # sentencepiece_model.proto
_UNIGRAM = 1

# Characters that are one character each whatever stands beside them, and no white space at the end.
# Left out: marks, joiners, Hangul jamo, half-width voice marks, the piece mark U+2581.
_ALIKE_CHARACTERS = (
    r" -~\t\n\xa1-\xac\xae-\u02af\u0370-\u0482\u048a-\u052f\u1e00-\u1eff\u2010-\u2027"
    r"\u2030-\u205e\u2070-\u20bf\u2100-\u2580\u2582-\u2bff\u3000-\u3029\u3030-\u303f"
    r"\u3041-\u3096\u309b-\u30ff\u3105-\u312f\u3200-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
    r"\uf900-\ufaff\uff01-\uff9d\U0001f300-\U0001f3fa\U0001f400-\U0001faff"
)
_find_other = re.compile(rf"[^{_ALIKE_CHARACTERS}]|[ \t\n\u3000]\Z|</?s>|<(?:pad|unk|mask)>").search


class Tokenizer(Protocol):
    """Splits texts into the tokens of one model; safe to use from many threads."""

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Sequence[int]]:
        """Return the token numbers of each text, at most `max_tokens`, the special ones counted."""
        ...


class FileTokenizer(Tokenizer):
    """The tokenizers library over a `tokenizer.json`."""

    def __init__(self, file: Path) -> None:
        """Load the file."""
        from tokenizers import Tokenizer as Loaded

        self._loaded: Any = Loaded.from_file(str(file))
        self._loaded.no_padding()
        self._loaded.no_truncation()

    @override
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Sequence[int]]:
        if (self._loaded.truncation or {}).get("max_length") != max_tokens:
            self._loaded.enable_truncation(max_tokens)
        return [one.ids for one in self._loaded.encode_batch_fast(list(texts))]


class SentencePieceTokenizer(Tokenizer):
    """SentencePiece, and the tokenizers library for the texts that it would split otherwise.

    Both give the same tokens, except where two ways to split a text are equally likely.
    """

    def __init__(self, folder: Path) -> None:
        """Load the model that `write_sentence_piece` made in a folder."""
        from sentencepiece import SentencePieceProcessor

        self._pieces: Any = SentencePieceProcessor(model_file=str(folder / SENTENCE_PIECE_FILE))
        self._begin, self._end = self._pieces.bos_id(), self._pieces.eos_id()
        self._file = folder / TOKENIZER_FILE
        self._loading = threading.Lock()  # of `_exact`
        self._exact: FileTokenizer | None = None  # until a text needs it

    @override
    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[Sequence[int]]:
        is_other = [bool(_find_other(text)) for text in texts]
        usual = [text for text, other in zip(texts, is_other, strict=True) if not other]
        others = [text for text, other in zip(texts, is_other, strict=True) if other]
        split = iter(self._split(usual, max_tokens) if usual else [])
        exact = iter(self._load_exact().tokenize(others, max_tokens) if others else [])
        return [next(exact if other else split) for other in is_other]

    def _split(self, texts: list[str], max_tokens: int) -> list[Sequence[int]]:
        return [
            [self._begin, *ids[: max_tokens - 2], self._end]
            for ids in self._pieces.encode(texts, num_threads=1)
        ]

    def _load_exact(self) -> FileTokenizer:
        with self._loading:  # of threads that need it at the same time, one loads it
            if self._exact is None:
                self._exact = FileTokenizer(self._file)
            return self._exact


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a model's folder: SentencePiece if its form of it is there."""
    if (folder / SENTENCE_PIECE_FILE).exists():
        return SentencePieceTokenizer(folder)
    return FileTokenizer(folder / TOKENIZER_FILE)


def write_sentence_piece(tokenizer_file: Path, target: Path) -> None:
    """Write a Unigram `tokenizer.json` of the XLM-RoBERTa family as a SentencePiece model.

    Token numbers stay as they are. The format is that of sentencepiece_model.proto
    (github.com/google/sentencepiece).

    Raises:
        ValueError: If the file is another kind of tokenizer, which this form could not replace.
    """
    from sentencepiece import sentencepiece_model_pb2

    messages: Any = sentencepiece_model_pb2  # made when it is imported, which mypy cannot see
    tokenizer = json.loads(tokenizer_file.read_text(encoding="utf-8"))
    if not _is_known(tokenizer):
        raise ValueError(f"{tokenizer_file} is not a Unigram tokenizer as XLM-RoBERTa has it")
    model = messages.ModelProto()
    for piece, score in tokenizer["model"]["vocab"]:
        kind = _UNKNOWN_PIECE if piece == _UNKNOWN else _CONTROL_PIECE
        kind = kind if piece in _SPECIAL else _NORMAL_PIECE
        model.pieces.add(piece=piece, score=score, type=kind)
    numbers = {piece: number for number, (piece, _) in enumerate(tokenizer["model"]["vocab"])}
    trainer = model.trainer_spec
    trainer.model_type = _UNIGRAM
    trainer.bos_id, trainer.eos_id = numbers[_BEGIN], numbers[_END]
    trainer.pad_id, trainer.unk_id = numbers[_PAD], numbers[_UNKNOWN]
    trainer.bos_piece, trainer.eos_piece = _BEGIN, _END
    trainer.pad_piece, trainer.unk_piece = _PAD, _UNKNOWN
    charsmap = tokenizer["normalizer"]["normalizers"][0]["precompiled_charsmap"]
    model.normalizer_spec.precompiled_charsmap = base64.b64decode(charsmap)
    target.write_bytes(model.SerializeToString())


def _is_known(tokenizer: dict[str, Any]) -> bool:
    """Whether SentencePiece's own steps are those of the file: map, fold spaces, split, wrap."""
    normalizers = tokenizer["normalizer"].get("normalizers") or [{}]
    steps = [step.get("type") for step in normalizers]
    added = [token["content"] for token in tokenizer["added_tokens"]]
    begin, *_, end = tokenizer["post_processor"]["single"]
    return (
        tokenizer["model"]["type"] == "Unigram"
        and steps == ["Precompiled", "Replace"]
        and tokenizer["pre_tokenizer"]["type"] == "Metaspace"
        and sorted(added) == sorted(_SPECIAL)
        and begin == {"SpecialToken": {"id": _BEGIN, "type_id": 0}}
        and end == {"SpecialToken": {"id": _END, "type_id": 0}}
    )
