"""What commands do besides parsing: serve, answer a file, import, replay, look after snapshots.

In: checked arguments of a command, and whom to tell progress.
Out: files, printed lines, a running service; errors of `indexer.errors` in one sentence.
"""

from service.jobs.batch import recommend_batch
from service.jobs.import_events import ImportPlan, import_interactions
from service.jobs.llm_measurement import LlmMeasurement, render_llm_figures
from service.jobs.own_service import Caller, Service, ServiceError
from service.jobs.replay import replay_events
from service.jobs.server import serve
from service.jobs.snapshot_admin import list_snapshots, prune_snapshots, roll_back, verify

__all__ = [
    "Caller",
    "ImportPlan",
    "LlmMeasurement",
    "Service",
    "ServiceError",
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
