"""JSON bodies to JSON objects, over HTTP to an OpenAI-compatible chat endpoint.

The only module that imports httpx, which takes a noticeable part of a second. `Endpoint` loads it
when it is created, so a service without a language model starts without it.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx

from service.llm.chat_format import to_stream_event
from service.llm.config import LlmConfig
from service.llm.errors import AnswerError, BusyError, EndpointError, RefusedError

_MAX_BODY_BYTES = 1 << 20
_RETRY_AFTER_S = 1.0  # where a busy endpoint does not say
_CONNECT_TIMEOUT_S = 5.0


class ChatHttp:
    """The connections to one endpoint; used from one event loop."""

    def __init__(self, config: LlmConfig) -> None:
        self._url = config.completions_url
        # The caller's deadline limits the whole call; only connecting has a limit of its own.
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {config.key}"} if config.key else {},
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            trust_env=not config.is_local,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON object of an answer.

        Raises:
            EndpointError: If there is none.
            AnswerError: If it is too large.
        """
        async with self._open(body) as response:
            return _parse_object(await _read_limited(response))

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any] | None]:
        """Yield the JSON objects of a streamed answer, then None for its end mark.

        Close the generator (`contextlib.aclosing`) to hang up, which stops the model.

        Raises:
            EndpointError: If there is no answer.
            AnswerError: If an answer that is not streamed is too large.
        """
        async with self._open(body) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                # Some endpoints do not stream.
                yield to_stream_event(_parse_object(await _read_limited(response)))
                return
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    yield None
                    return
                yield _parse_object(data.encode())

    @asynccontextmanager
    async def _open(self, body: Mapping[str, Any]) -> AsyncIterator[httpx.Response]:
        """Lend a response whose status is 200 and whose body is still to be read."""
        try:
            async with self._client.stream("POST", self._url, json=body) as response:
                _raise_for_status(response)
                yield response
        except httpx.HTTPError as error:
            raise EndpointError(
                f"the language model cannot be reached ({type(error).__name__})",
                is_unsent=isinstance(error, httpx.ConnectError),
            ) from error


def _raise_for_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == HTTPStatus.OK:
        return
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        retry_after = response.headers.get("retry-after", "")
        wait_s = float(retry_after) if retry_after.isdecimal() else _RETRY_AFTER_S
        raise BusyError(f"the language model is busy ({status})", wait_s)
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        raise RefusedError(f"the language model refused the request ({status})")
    hint = ""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        hint = "; check ZHIYIN_LLM_KEY"
    elif status == HTTPStatus.NOT_FOUND:
        hint = "; check ZHIYIN_LLM_URL and ZHIYIN_LLM_MODEL"
    raise EndpointError(f"the language model answered {status}{hint}")


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
