"""Prompts to the JSON of an OpenAI-compatible chat endpoint, and its JSON to completions. Pure."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from service.llm.errors import EndpointError

_TOP_LOGPROBS = 20  # the most that OpenAI's own endpoint returns


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call of the model.

    Attributes:
        part: The part of the service that calls, for counters.
        system: The instructions.
        user: The data.
        max_tokens: Of the answer.
        schema: JSON schema of the answer, as text; None: the call wants the log-probabilities of
            the first token.
    """

    part: str
    system: str
    user: str
    max_tokens: int
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer of the model.

    Attributes:
        first_token_logprobs: Alternatives of the first token with their natural log-probabilities.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    first_token_logprobs: tuple[tuple[str, float], ...] = ()


def build_body(prompt: Prompt, model: str) -> dict[str, Any]:
    """Return the fields that every call has."""
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ],
        "max_tokens": prompt.max_tokens,
        "temperature": 0,
    }


def build_extras(prompt: Prompt, schema: str) -> dict[str, Any]:
    """Return the fields that not every endpoint knows: structured output, and usage in a stream."""
    json_schema = {"name": prompt.part, "strict": True, "schema": json.loads(schema)}
    return {
        "response_format": {"type": "json_schema", "json_schema": json_schema},
        "stream_options": {"include_usage": True},
    }


LOGPROB_FIELDS: Mapping[str, Any] = {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}


def parse_logprob_completion(payload: Mapping[str, Any]) -> Completion:
    """Return the completion of a call that asked for log-probabilities.

    Raises:
        EndpointError: If it has another shape than such an endpoint's.
    """
    choice = get_choice(payload)
    with expect_chat_format():
        content = (choice.get("logprobs") or {}).get("content") or [{}]
        first = content[0].get("top_logprobs") or []
        logprobs = tuple((str(part["token"]), float(part["logprob"])) for part in first)
        text = str((choice.get("message") or {}).get("content") or "")
    return Completion(text, *parse_usage(payload), first_token_logprobs=logprobs)


def to_stream_event(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole answer in the shape of one event of a stream."""
    choice = get_choice(payload)
    return {
        "choices": [{"delta": choice.get("message"), "finish_reason": "stop"}],
        "usage": payload.get("usage"),
    }


def get_choice(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first choice of an answer.

    Raises:
        EndpointError: If there is none.
    """
    choices = payload.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise EndpointError("the language model's endpoint answered without choices")
    return choices[0]


def parse_usage(payload: Mapping[str, Any]) -> tuple[int, int]:
    """Return the tokens of the prompt and of the answer; 0 where the endpoint does not say."""
    usage = payload.get("usage")
    if not isinstance(usage, dict):
        return 0, 0
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    first, second = (count if isinstance(count, int) else 0 for count in counts)
    return first, second


@contextmanager
def expect_chat_format() -> Iterator[None]:
    """Turn errors from JSON of an unexpected shape into failures of the endpoint."""
    try:
        yield
    except (AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise EndpointError(
            "the language model's endpoint answered JSON of an unknown shape"
        ) from error
