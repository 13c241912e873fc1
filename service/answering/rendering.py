"""An `Answer` to the JSON object that a caller receives."""

import json
import re
from typing import Any

import orjson

from indexer import Answer
from indexer.metadata import StoredItem

_SURROGATE = re.compile(
    rb"\xed[\xa0-\xbf]"
)  # how Python writes a half of a pair, which is no UTF-8


def render_answer(answer: Answer, *, user_id: str | None, live_seq: int) -> dict[str, Any]:
    """Return an answer as JSON holds it, without the fields that only a page has.

    Args:
        answer: The ranked hits.
        user_id: The user of the request; None: no user.
        live_seq: Sequence number of the store that the answer reflects; 0: no store.
    """
    return {
        "snapshot": answer.snapshot,
        "live_seq": live_seq,
        "user_id": user_id,
        **({} if answer.user_known is None else {"user_known": answer.user_known}),
        "unknown_items": answer.unknown_items,
        **({} if answer.understood is None else {"understood": answer.understood}),
        "items": [
            {
                "id": hit.id,
                "rank": hit.rank,
                "score": hit.score,
                "item": _render_item(hit.stored_item),
                "propensity": hit.propensity,
                "reasons": hit.reasons,
            }
            for hit in answer
        ],
        "complete": answer.complete,
        "timing_ms": answer.timing_ms,
    }


def _render_item(item: StoredItem) -> Any:
    """Return an item as orjson takes it: JSON that is UTF-8 goes into the answer as it is."""
    if isinstance(item, bytes):
        return orjson.Fragment(item) if not _SURROGATE.search(item) else json.loads(item)
    return item
