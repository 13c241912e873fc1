"""/v1/recommend requests with `llm` to one answer, or to a stream of server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from indexer.errors import IndexerError
from indexer.request import parse_boolean
from service.edge import PROBLEM_RESPONSES, Problem, ReadRoute, render_json
from service.llm import Assistant, AssistantEvent, parse_llm_options
from service.services import Services, ServicesDep, check_text_cost
from service.wire import RecommendIn

router = APIRouter(route_class=ReadRoute, prefix="/v1", tags=["lists"], responses=PROBLEM_RESPONSES)

_T = TypeVar("_T")
_DISCONNECT_POLL_S = 0.2  # how often to check whether the client has left
_NO_BUFFERING = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.post(
    "/recommend/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "Server-sent events: `list` (an answer of /v1/recommend), `understood`, "
            "`ideal`, `list` again, `order` (the same in its new order), `sentence` "
            "({id, text, by}) for each item, `done` ({llm}); `problem` if it breaks off.",
        }
    },
)
async def recommend_stream(body: RecommendIn, services: ServicesDep) -> Response:
    """Recommend at once, then better: the list first, then what a language model makes of it."""
    events = create_assistant(services, body.dump_sent()).stream_events(list_first=True)
    try:
        first = await anext(events)  # an error of the request gets a plain answer, not a stream
    except BaseException:
        await events.aclose()
        raise
    return StreamingResponse(
        _stream_events(first, events), media_type="text/event-stream", headers=_NO_BUFFERING
    )


def create_assistant(services: Services, body: Mapping[str, Any]) -> Assistant:
    """Return the assistant that answers a body.

    Raises:
        RequestError: If its `llm` does not fit, or its texts are too many.
    """
    options = parse_llm_options(body.get("llm", {}))
    request_body = {name: value for name, value in body.items() if name != "llm"}
    # Checked here, because the assistant always computes reasons and drops them at the end.
    parse_boolean(request_body.get("explain", True), "explain")
    check_text_cost(request_body)
    return Assistant(
        services.llm_client, services.run_on_view, services.pages, request_body, options
    )


async def answer_with_llm(
    services: Services, body: Mapping[str, Any], request: Request
) -> Response:
    """Answer a body that has an `llm` object."""
    assistant = create_assistant(services, body)
    return render_json(await run_until_disconnect(request, assistant.answer()))


async def run_until_disconnect(request: Request, coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Return the result of a coroutine; cancel it when the client has left.

    Raises:
        Problem: 408 if the client has left; nobody reads it.
    """
    task = asyncio.create_task(coroutine)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=_DISCONNECT_POLL_S)
            if done:
                return task.result()
            if await request.is_disconnected():
                raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the client has left")
    finally:
        task.cancel()


async def _stream_events(
    first: AssistantEvent, events: AsyncGenerator[AssistantEvent]
) -> AsyncIterator[bytes]:
    async with aclosing(events):
        yield _encode_event(first)
        try:
            async for event in events:
                yield _encode_event(event)
        except Problem as error:
            yield _encode_event(
                AssistantEvent("problem", {"status": error.status_code, "detail": error.detail})
            )
        except IndexerError as error:
            yield _encode_event(AssistantEvent("problem", {"status": 422, "detail": str(error)}))


def _encode_event(event: AssistantEvent) -> bytes:
    return b"event: " + event.name.encode() + b"\ndata: " + orjson.dumps(event.data) + b"\n\n"
