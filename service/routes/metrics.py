"""Requests to /metrics to the counters of all workers as Prometheus text, for keys of role read."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from service.edge import (
    PROBLEM_RESPONSES,
    Problem,
    ReadRoute,
    render_counters,
    render_processes,
    render_snapshot,
)
from service.services import Services, ServicesDep

router = APIRouter(route_class=ReadRoute, tags=["health"])
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={status: PROBLEM_RESPONSES[status] for status in (401, 403)},
)
async def metrics(request: Request, services: ServicesDep) -> Response:
    """Tell requests, latencies, the snapshot and what the language model cost."""
    registries = [request.app.state.request_counters.registry]
    if services.llm_client is not None:
        registries.append(services.llm_client.counters.registry)
    lines = "".join(f"{line}\n" for line in _render_metrics(services))
    return Response(render_counters(registries) + lines, media_type=_PROMETHEUS)


def _render_metrics(services: Services) -> Iterator[str]:
    status = services.active_index.status
    items = 0
    if status.snapshot is not None:
        try:
            with services.active_index.borrow() as index:
                items = index.count
        except Problem:  # the index was closed a moment ago
            status = services.active_index.status
    yield from render_snapshot(status.snapshot, items)
    yield from render_processes()
    if services.llm_client is not None:
        yield "# HELP zhiyin_llm_resting Whether the endpoint is left alone after failures."
        yield "# TYPE zhiyin_llm_resting gauge"
        yield f"zhiyin_llm_resting {int(services.llm_client.breaker.is_open)}"
