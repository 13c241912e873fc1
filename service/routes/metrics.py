"""/metrics: counters of this process as Prometheus text, for keys of role read."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from service.edge import PROBLEMS, Problem, ReadRoute, process_lines, snapshot_lines
from service.services import Services, ServicesNow

router = APIRouter(route_class=ReadRoute, tags=["health"])
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={status: PROBLEMS[status] for status in (401, 403)},
)
async def metrics(request: Request, services: ServicesNow) -> Response:
    """Tell requests, latencies, the snapshot and what the language model cost."""
    lines = [*request.app.state.request_counters.lines(), *_lines(services)]
    return Response("\n".join(lines) + "\n", media_type=_PROMETHEUS)


def _lines(services: Services) -> Iterator[str]:
    status = services.recommender.status
    items = 0
    if status.snapshot is not None:
        try:
            with services.recommender.borrowed() as index:
                items = index.count
        except Problem:  # it has just been closed
            status = services.recommender.status
    yield from snapshot_lines(status.snapshot, items)
    yield from process_lines()
    if services.language_model is not None:
        yield from services.language_model.counters.lines()
        yield "# HELP zhiyin_llm_resting Whether the endpoint is left alone after failures."
        yield "# TYPE zhiyin_llm_resting gauge"
        yield f"zhiyin_llm_resting {int(services.language_model.breaker.is_open)}"
