"""The JSON of requests and answers, as OpenAPI documents it.

In: JSON bodies and query parameters.
Out: the fields that were sent, for `answering` and `store`; models of the answers.
"""

from service.wire.changes import EventsIn, ItemBody, ItemsIn, MergeIn, TrendingQuery, UserIn
from service.wire.requests import (
    BatchIn,
    ItemsQuery,
    RecommendIn,
    SearchIn,
    SimilarIn,
    SimilarQuery,
)
from service.wire.responses import (
    AnswerOut,
    BatchOut,
    Erased,
    EventsOut,
    Health,
    ItemKept,
    ItemsKept,
    ItemsOut,
    Merged,
    Retracted,
    SchemaOut,
    SnapshotsOut,
    Switched,
    UserKept,
    UserOut,
)

__all__ = [
    "AnswerOut",
    "BatchIn",
    "BatchOut",
    "Erased",
    "EventsIn",
    "EventsOut",
    "Health",
    "ItemBody",
    "ItemKept",
    "ItemsIn",
    "ItemsKept",
    "ItemsOut",
    "ItemsQuery",
    "MergeIn",
    "Merged",
    "RecommendIn",
    "Retracted",
    "SchemaOut",
    "SearchIn",
    "SimilarIn",
    "SimilarQuery",
    "SnapshotsOut",
    "Switched",
    "TrendingQuery",
    "UserIn",
    "UserKept",
    "UserOut",
]
