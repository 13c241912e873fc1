"""HTTP requests to JSON responses: the routes of the interface, one file for each group.

In: HTTP requests, permitted and parsed.
Out: JSON responses.
"""

from service.routes import (
    events,
    health,
    items,
    live_items,
    llm,
    metrics,
    recommend,
    snapshots,
    trending,
    users,
)

# A monitor needs no key to check the health of the service.
OPEN_ROUTERS = (health.router,)
# Where several routes match a path, the first one in this order answers.
ROUTERS = (
    metrics.router,
    llm.router,
    recommend.router,
    trending.router,
    events.router,
    users.read_router,
    users.router,
    items.router,
    live_items.router,
    snapshots.router,
    snapshots.admin_router,
)

__all__ = ["OPEN_ROUTERS", "ROUTERS"]
