"""Any model that sentence-transformers loads to a model that encodes batches of texts.

For what is no BERT. It runs in float32: padding would change vectors in bfloat16.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from indexer.arrays import Vectors
from indexer.cores import count_threads
from indexer.language.fingerprint import hash_weights
from indexer.language.linear import Arithmetic, describe_arithmetic
from indexer.language.text_model import TextModel, TokenizedText

if TYPE_CHECKING:  # torch takes seconds to import: only when a model is loaded
    from sentence_transformers import SentenceTransformer

_BATCH_TOKENS = 2_000


class SentenceModel(TextModel):
    """A sentence-transformers model; one thread encodes at a time, on every core.

    Its tokenizer is not thread-safe.
    """

    def __init__(self, model: "SentenceTransformer", max_tokens: int) -> None:
        import torch

        torch.set_num_threads(count_threads())
        self._model = model
        self._lock = threading.Lock()
        self.precision = "float32"
        self.query_arithmetic = describe_arithmetic(Arithmetic.FLOAT32)
        self.threads, self.batch_tokens = 1, _BATCH_TOKENS
        self.max_tokens = model.max_seq_length = max_tokens
        self.weights_hash = hash_weights(model.state_dict())
        self.dim = int(model.get_embedding_dimension() or 0)

    @override
    def tokenize(self, texts: Sequence[str], prompt: str) -> list[TokenizedText]:
        tokenizer: Any = self._model.tokenizer
        prompted = [prompt + text for text in texts]
        with self._lock:
            rows = tokenizer(prompted, truncation=True, max_length=self.max_tokens)["input_ids"]
        return [TokenizedText(prompt, text, ids) for text, ids in zip(texts, rows, strict=True)]

    @override
    def encode_items(self, batch: Sequence[TokenizedText]) -> Vectors:
        import torch

        with self._lock, torch.inference_mode():
            # Given apart, since some models leave the prompt out of the mean.
            features: Any = self._model.preprocess(
                [text.text for text in batch], prompt=batch[0].prompt or None
            )
            for module in self._model.children():
                features = module(features)
            rows = torch.nn.functional.normalize(features["sentence_embedding"].float(), dim=1)
        vectors: Vectors = rows.numpy()
        return vectors

    @override
    def encode_queries(self, batch: Sequence[TokenizedText]) -> Vectors:
        return self.encode_items(batch)
