"""A prompt to its completion, from an OpenAI-compatible chat endpoint.

Answers are streamed, so that a caller who leaves stops the model at once. Structured output and
usage counts are requested until the endpoint refuses them, and not again after that.
"""

from contextlib import aclosing
from typing import Any, Self

from service.llm.chat_format import (
    LOGPROB_FIELDS,
    Completion,
    Prompt,
    build_body,
    build_extras,
    expect_chat_format,
    parse_logprob_completion,
    parse_usage,
)
from service.llm.config import LlmConfig
from service.llm.errors import AnswerError, EndpointError, RefusedError

MAX_ANSWER_CHARS = 20_000


class Endpoint:
    """One endpoint; used from one event loop. Nothing is connected before the first call."""

    def __init__(self, config: LlmConfig) -> None:
        # Not at the top: it loads httpx, which a service without a language model never needs.
        from service.llm.chat_http import ChatHttp

        self.config = config
        self._http = ChatHttp(config)
        self._accepts_extras = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.close()

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the model's answer.

        Raises:
            EndpointError: If there is none.
            AnswerError: If it is too long.
        """
        body = build_body(prompt, self.config.model)
        if prompt.schema is None:
            return parse_logprob_completion(await self._http.post({**body, **LOGPROB_FIELDS}))
        body["stream"] = True
        if self._accepts_extras:
            try:
                return await self._read_stream({**body, **build_extras(prompt, prompt.schema)})
            except RefusedError:
                # The endpoint may refuse the extras or the prompt; a second call tells which.
                completion = await self._read_stream(body)
                self._accepts_extras = False
                return completion
        return await self._read_stream(body)

    async def _read_stream(self, body: dict[str, Any]) -> Completion:
        """Join the pieces of a streamed answer; one that breaks off is an error."""
        pieces: list[str] = []
        length, tokens, finished = 0, (0, 0), False
        async with aclosing(self._http.stream(body)) as events:
            async for event in events:
                if event is None:
                    finished = True
                    break
                if "error" in event:
                    raise EndpointError("the language model broke off with an error of its own")
                tokens = max(tokens, parse_usage(event))
                with expect_chat_format():
                    for choice in event.get("choices") or ():
                        piece = (choice.get("delta") or {}).get("content")
                        if isinstance(piece, str):
                            pieces.append(piece)
                            length += len(piece)
                        finished = finished or choice.get("finish_reason") is not None
                if length > MAX_ANSWER_CHARS:
                    raise AnswerError(
                        f"the language model wrote more than {MAX_ANSWER_CHARS} characters"
                    )
        if not finished:
            raise EndpointError("the language model broke off in the middle of its answer")
        return Completion("".join(pieces), *tokens)
