"""What commands do besides parsing: build, serve, answer files, import, replay, tend snapshots.

In: checked arguments of a command, and whom to tell progress.
Out: files, printed lines, a running service; errors of `indexer.errors` in one sentence.

Each job loads when it is asked for, so that one command does not pay for what another needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.jobs.batch import recommend_batch
    from service.jobs.import_events import ImportPlan, import_interactions
    from service.jobs.llm_measurement import LlmMeasurement, render_llm_figures
    from service.jobs.own_service import Caller, Service, ServiceError
    from service.jobs.replay import ReplayPlan, replay_events
    from service.jobs.server import serve
    from service.jobs.snapshot_admin import list_snapshots, prune_snapshots, roll_back, verify
    from service.jobs.store_build import StoreBuildPlan, StoreBuildSummary, build_with_store

__all__ = [
    "Caller",
    "ImportPlan",
    "LlmMeasurement",
    "ReplayPlan",
    "Service",
    "ServiceError",
    "StoreBuildPlan",
    "StoreBuildSummary",
    "build_with_store",
    "import_interactions",
    "list_snapshots",
    "prune_snapshots",
    "recommend_batch",
    "render_llm_figures",
    "replay_events",
    "roll_back",
    "serve",
    "verify",
]

_MODULES = {
    "Caller": "own_service",
    "ImportPlan": "import_events",
    "LlmMeasurement": "llm_measurement",
    "ReplayPlan": "replay",
    "Service": "own_service",
    "ServiceError": "own_service",
    "StoreBuildPlan": "store_build",
    "StoreBuildSummary": "store_build",
    "build_with_store": "store_build",
    "import_interactions": "import_events",
    "list_snapshots": "snapshot_admin",
    "prune_snapshots": "snapshot_admin",
    "recommend_batch": "batch",
    "render_llm_figures": "llm_measurement",
    "replay_events": "replay",
    "roll_back": "snapshot_admin",
    "serve": "server",
    "verify": "snapshot_admin",
}


def __getattr__(name: str) -> Any:
    """Load a job from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
