"""/v1/snapshots: which snapshots there are, and which one serves."""

from fastapi import APIRouter, Response

from service.edge import PROBLEMS, AdminRoute, ReadRoute, json_response
from service.services import ServicesNow
from service.wire import SnapshotsOut, Switched

router = APIRouter(route_class=ReadRoute, prefix="/v1", tags=["snapshots"], responses=PROBLEMS)
admin_router = APIRouter(
    route_class=AdminRoute, prefix="/v1", tags=["snapshots"], responses=PROBLEMS
)


@router.get("/snapshots", response_model=SnapshotsOut)
async def list_snapshots(services: ServicesNow) -> Response:
    """List the snapshots of the index directory, the newest first."""
    found = await services.administer(services.recommender.snapshots)
    return json_response({"snapshots": found})


@admin_router.post("/snapshots/reload", response_model=Switched)
async def reload(services: ServicesNow) -> Response:
    """Serve the newest snapshot now. Without this call it is noticed within 5 seconds."""
    before = services.recommender.status.snapshot
    now = await services.administer(services.recommender.reload)
    return json_response({"snapshot": now, "changed": now != before})


@admin_router.post("/snapshots/{snapshot_id}/activate", response_model=Switched)
async def activate(snapshot_id: str, services: ServicesNow) -> Response:
    """Roll back, or forward: every worker serves this snapshot within 5 seconds."""
    before = services.recommender.status.snapshot
    now = await services.administer(lambda: services.recommender.activate(snapshot_id))
    return json_response({"snapshot": now, "changed": now != before})
