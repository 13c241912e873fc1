"""Requests to /v1/snapshots to the list of snapshots, or to a switch of the one that serves."""

from fastapi import APIRouter, Response

from service.edge import PROBLEM_RESPONSES, AdminRoute, ReadRoute, render_json
from service.services import ServicesDep
from service.wire import SnapshotsOut, Switched

router = APIRouter(
    route_class=ReadRoute, prefix="/v1", tags=["snapshots"], responses=PROBLEM_RESPONSES
)
admin_router = APIRouter(
    route_class=AdminRoute, prefix="/v1", tags=["snapshots"], responses=PROBLEM_RESPONSES
)


@router.get("/snapshots", response_model=SnapshotsOut)
async def list_snapshots(services: ServicesDep) -> Response:
    """List the snapshots of the index directory, the newest first."""
    snapshots = await services.run_admin(services.active_index.list_snapshots)
    return render_json({"snapshots": snapshots})


@admin_router.post("/snapshots/reload", response_model=Switched)
async def reload(services: ServicesDep) -> Response:
    """Serve the newest snapshot now. Without this call it is noticed within 5 seconds."""
    before = services.active_index.status.snapshot
    now = await services.run_admin(services.active_index.reload)
    return render_json({"snapshot": now, "changed": now != before})


@admin_router.post("/snapshots/{snapshot_id}/activate", response_model=Switched)
async def activate(snapshot_id: str, services: ServicesDep) -> Response:
    """Roll back, or forward: every worker serves this snapshot within 5 seconds."""
    before = services.active_index.status.snapshot
    now = await services.run_admin(lambda: services.active_index.activate(snapshot_id))
    return render_json({"snapshot": now, "changed": now != before})
