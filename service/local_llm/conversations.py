"""A body of /v1/chat/completions to a checked request, and a request to an answer's tokens."""

import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from indexer.errors import IndexerError
from service.local_llm.chat_model import ChatModel, Token
from service.local_llm.guided import write_guided

_MOST_TOKENS = 2_048
_MOST_TOP_TOKENS = 20
_DEFAULT_TOKENS = 512


class BadChatRequestError(IndexerError, ValueError):
    """A request that cannot be answered as it is; the HTTP status is 400."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One checked body of /v1/chat/completions.

    Attributes:
        limit: The most tokens of the answer.
        stream: Whether the answer is sent token by token.
        usage: Whether a stream ends with the number of tokens.
        schema: JSON schema of a structured answer; None: free text.
        top_tokens: How many of the likeliest tokens to report at each place; None: no
            log-probabilities.
    """

    messages: list[dict[str, str]]
    limit: int = _DEFAULT_TOKENS
    temperature: float = 0.0
    stream: bool = False
    usage: bool = False
    schema: Mapping[str, Any] | None = None
    top_tokens: int | None = None


def parse_chat_request(body: Any) -> ChatRequest:
    """Check a body.

    Raises:
        BadChatRequestError: Naming what is wrong.
    """
    if not isinstance(body, dict):
        raise BadChatRequestError("the body must be a JSON object")
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or _DEFAULT_TOKENS
    temperature = body.get("temperature") or 0.0
    top = (body.get("top_logprobs") or 0) if body.get("logprobs") else None
    if not isinstance(limit, int) or not 1 <= limit <= _MOST_TOKENS:
        raise BadChatRequestError(f"max_tokens must be a whole number from 1 to {_MOST_TOKENS}")
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise BadChatRequestError("temperature must be a number from 0 to 2")
    if top is not None and (not isinstance(top, int) or not 0 <= top <= _MOST_TOP_TOKENS):
        raise BadChatRequestError(
            f"top_logprobs must be a whole number from 0 to {_MOST_TOP_TOKENS}"
        )
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadChatRequestError("stream_options must be an object")
    return ChatRequest(
        messages=_parse_messages(body.get("messages")),
        limit=limit,
        temperature=float(temperature),
        stream=bool(body.get("stream")),
        usage=bool(options.get("include_usage")),
        schema=_parse_schema(body.get("response_format")),
        top_tokens=top,
    )


def _parse_messages(raw: Any) -> list[dict[str, str]]:
    if not isinstance(raw, list) or not raw:
        raise BadChatRequestError("messages must be a list that is not empty")
    for message in raw:
        if (
            not isinstance(message, dict)
            or message.get("role") not in ("system", "user", "assistant")
            or not isinstance(message.get("content"), str)
        ):
            raise BadChatRequestError(
                "each message needs a role (system, user, assistant) and content"
            )
    return [{"role": message["role"], "content": message["content"]} for message in raw]


def _parse_schema(raw: Any) -> Mapping[str, Any] | None:
    if raw is None or raw == {"type": "text"}:
        return None
    form = raw.get("json_schema") if isinstance(raw, dict) else None
    schema = form.get("schema") if isinstance(form, dict) else None
    if not isinstance(schema, dict):
        raise BadChatRequestError("response_format must be text, or json_schema with a schema")
    return schema


class Chat:
    """Conversations with one model, one at a time."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model
        self._turn = threading.Lock()

    def generate_tokens(self, request: ChatRequest, counts: dict[str, int]) -> Generator[Token]:
        """Yield an answer, and keep `counts`: tokens of the prompt, and of the answer so far.

        Raises:
            BadChatRequestError: If the conversation is too long.
        """
        ids = self.model.encode_prompt(request.messages)
        if len(ids) + request.limit > self.model.context:
            raise BadChatRequestError(
                f"the conversation has {len(ids)} tokens and wants {request.limit} more; the model "
                f"takes {self.model.context}"
            )
        with self._turn:
            state = self.model.start_generation(ids)
            counts |= {"prompt_tokens": len(ids), "completion_tokens": 0}
            if request.schema is None:
                pieces = state.generate(
                    request.limit, temperature=request.temperature, top=request.top_tokens or 0
                )
            else:
                pieces = (Token(text, 0.0) for text in write_guided(state, request.schema))
            for piece in pieces:
                counts["completion_tokens"] = state.count - len(ids)
                yield piece
            counts["completion_tokens"] = state.count - len(ids)
