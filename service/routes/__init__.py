"""HTTP requests to JSON responses: the routes of the interface, one file for each group.

In: HTTP requests, permitted and parsed.
Out: JSON responses.
"""

from service.edge import HotGet, HotPost, Role
from service.routes import (
    docs,
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
from service.wire import EventsIn, RecommendIn, SearchIn, SimilarIn

# A monitor needs no key to check the health of the service.
OPEN_ROUTERS = (health.router, docs.router)
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
# The busiest routes of those above, which are answered without FastAPI's machinery.
HOT_POSTS = (
    HotPost("/v1/recommend", Role.READ, RecommendIn, recommend.answer_recommend),
    HotPost("/v1/search", Role.READ, SearchIn, recommend.answer_search),
    HotPost("/v1/similar", Role.READ, SimilarIn, recommend.answer_similar),
    HotPost("/v1/events", Role.WRITE, EventsIn, events.answer_events),
)
HOT_GETS = (HotGet("/v1/items/{item_id}", "/v1/items/", "/similar", Role.READ, items.answer_item),)

__all__ = ["HOT_GETS", "HOT_POSTS", "OPEN_ROUTERS", "ROUTERS"]
