"""Prompt to completion over an OpenAI-compatible chat endpoint; nothing but the HTTP.

Answers are streamed, so that a caller who leaves stops the model at once. Structured output and
usage counts are asked for until the endpoint refuses them, then no more.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import httpx

from service.llm.config import LlmConfig
from service.llm.errors import AnswerError, BusyError, EndpointError

MAX_ANSWER_CHARS = 20_000
_MAX_BODY_BYTES = 1 << 20
_RETRY_AFTER_S = 1.0
_CONNECT_TIMEOUT_S = 5.0
_TOP_LOGPROBS = 20  # the most log-probabilities that OpenAI's own endpoint tells


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked.

    Attributes:
        part: For counters.
        system: What to do.
        user: The data to do it with.
        max_tokens: Of the answer.
        schema: JSON schema of the answer as text; None: the first token's log-probabilities.
    """

    part: str
    system: str
    user: str
    max_tokens: int
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back.

    Attributes:
        first_token_logprobs: Tokens that the first one could have been, with their log-probabilities.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    first_token_logprobs: tuple[tuple[str, float], ...] = ()


class Endpoint:
    """One endpoint; used from one event loop."""

    def __init__(
        self, config: LlmConfig, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            config: Where and who.
            transport: Of httpx; tests pass their own.
        """
        self.config = config
        headers = {"Authorization": f"Bearer {config.key}"} if config.key else {}
        # Time is kept by the caller's deadline; only connecting has a limit of its own.
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            transport=transport,
            trust_env=not config.is_local,
        )
        self._sends_extras = True  # structured output and usage in streams

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the model's answer.

        Raises:
            EndpointError: If there is none.
            AnswerError: If it has another shape than such an endpoint's.
        """
        try:
            if prompt.schema is None:
                return await self._complete_with_logprobs(prompt)
            return await self._complete_text(prompt)
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise EndpointError(f"the language model cannot be reached ({kind})") from error

    async def _complete_text(self, prompt: Prompt) -> Completion:
        if self._sends_extras:
            try:
                return await self._stream_completion(prompt, extras=True)
            except _RefusedError:
                # The refusal may be of the extras or of the prompt; a second one tells.
                completion = await self._stream_completion(prompt, extras=False)
                self._sends_extras = False
                return completion
        return await self._stream_completion(prompt, extras=False)

    async def _stream_completion(self, prompt: Prompt, *, extras: bool) -> Completion:
        body = {**self._build_body(prompt), "stream": True}
        if extras and prompt.schema is not None:
            json_schema = {"name": prompt.part, "strict": True, "schema": json.loads(prompt.schema)}
            body |= {
                "response_format": {"type": "json_schema", "json_schema": json_schema},
                "stream_options": {"include_usage": True},
            }
        async with self._client.stream("POST", self.config.completions_url, json=body) as response:
            await _raise_for_status(response)
            return await _read_stream(response)

    async def _complete_with_logprobs(self, prompt: Prompt) -> Completion:
        body = {**self._build_body(prompt), "logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        async with self._client.stream("POST", self.config.completions_url, json=body) as response:
            await _raise_for_status(response)
            parsed = _parse_object(await _read_limited(response))
        choice = _get_choice(parsed)
        with _expect_usual_shape():
            content = (choice.get("logprobs") or {}).get("content") or [{}]
            first = content[0].get("top_logprobs") or []
            top_logprobs = tuple((str(part["token"]), float(part["logprob"])) for part in first)
            text = str((choice.get("message") or {}).get("content") or "")
        return Completion(text, *_parse_usage(parsed), first_token_logprobs=top_logprobs)

    def _build_body(self, prompt: Prompt) -> dict[str, Any]:
        return {
            "model": self.config.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "max_tokens": prompt.max_tokens,
            "temperature": 0,
        }


class _RefusedError(EndpointError):
    """400 or 422: the request does not please."""


async def _raise_for_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == HTTPStatus.OK:
        return
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        retry_after = response.headers.get("retry-after", "")
        wait = float(retry_after) if retry_after.isdecimal() else _RETRY_AFTER_S
        raise BusyError(f"the language model is busy ({status})", wait)
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        raise _RefusedError(f"the language model refused the request ({status})")
    hint = "; check ZHIYIN_LLM_KEY" if status in (401, 403) else ""
    hint = "; check ZHIYIN_LLM_URL and ZHIYIN_LLM_MODEL" if status == HTTPStatus.NOT_FOUND else hint
    raise EndpointError(f"the language model answered {status}{hint}")


async def _read_stream(response: httpx.Response) -> Completion:
    """Join the pieces; a stream that breaks off is no answer."""
    pieces: list[str] = []
    length, tokens, finished = 0, (0, 0), False
    async for parsed in _iterate_events(response):
        if parsed is None:
            finished = True
            break
        if "error" in parsed:
            raise EndpointError("the language model broke off with an error of its own")
        tokens = max(tokens, _parse_usage(parsed))
        with _expect_usual_shape():
            for choice in parsed.get("choices") or ():
                piece = (choice.get("delta") or {}).get("content")
                if isinstance(piece, str):
                    pieces.append(piece)
                    length += len(piece)
                finished = finished or choice.get("finish_reason") is not None
        if length > MAX_ANSWER_CHARS:
            raise AnswerError(f"the language model wrote more than {MAX_ANSWER_CHARS} characters")
    if not finished:
        raise EndpointError("the language model broke off in the middle of its answer")
    return Completion("".join(pieces), *tokens)


async def _iterate_events(response: httpx.Response) -> AsyncIterator[dict[str, Any] | None]:
    """Yield the objects of a stream, then None for its end mark."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        whole = _parse_object(await _read_limited(response))  # some endpoints do not stream
        choice = _get_choice(whole)
        yield {
            "choices": [{"delta": choice.get("message"), "finish_reason": "stop"}],
            "usage": whole.get("usage"),
        }
        return
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            yield None
            return
        yield _parse_object(data.encode())


async def _read_limited(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise AnswerError(f"the language model answered more than {_MAX_BODY_BYTES} bytes")
    return body


def _parse_object(data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EndpointError("the language model's endpoint answered no JSON") from error
    if not isinstance(parsed, dict):
        raise EndpointError("the language model's endpoint answered no JSON object")
    return parsed


@contextmanager
def _expect_usual_shape() -> Iterator[None]:
    """JSON of another shape than such endpoints answer is a failure of theirs, not of ours."""
    try:
        yield
    except (AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise EndpointError(
            "the language model's endpoint answered JSON of an unknown shape"
        ) from error


def _get_choice(parsed: Mapping[str, Any]) -> dict[str, Any]:
    choices = parsed.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise EndpointError("the language model's endpoint answered without choices")
    return choices[0]


def _parse_usage(told: Mapping[str, Any]) -> tuple[int, int]:
    usage = told.get("usage")
    if not isinstance(usage, dict):
        return 0, 0
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    first, second = (count if isinstance(count, int) else 0 for count in counts)
    return first, second
