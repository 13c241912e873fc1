"""The routes, one file for each group of calls.

In: HTTP requests.
Out: what `Services` answers, as JSON.
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

# Whoever watches the service needs no key to ask whether it lives.
OPEN_ROUTERS = (health.router,)
# The order decides where two paths could match.
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
