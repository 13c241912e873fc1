"""/health: is the process alive, can it answer. Open to all, with or without a key."""

from fastapi import APIRouter, Response

from service.answers import Health
from service.problems import PROBLEMS, unavailable
from service.routing import json_response
from service.services import ServicesNow

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", response_model=Health)
async def live() -> Response:
    """Say that the process runs and its event loop turns."""
    return json_response({"status": "alive"})


@router.get("/ready", response_model=Health, responses={503: PROBLEMS[503]})
async def ready(services: ServicesNow) -> Response:
    """Say which snapshot serves; 503 until one is open and warm."""
    status = services.recommender.status
    if status.snapshot is None:
        raise unavailable(status.trouble or "the index is being loaded; try again shortly")
    return json_response({"status": "ready", "snapshot": status.snapshot, "detail": status.trouble})
