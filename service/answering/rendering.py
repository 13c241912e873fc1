"""An `Answer` to the JSON object that a caller receives."""

from typing import Any

from indexer import Answer


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
        "unknown_items": answer.unknown_items,
        "items": [
            {
                "id": hit.id,
                "rank": hit.rank,
                "score": hit.score,
                "item": hit.item,
                "propensity": hit.propensity,
                "reasons": hit.reasons,
            }
            for hit in answer
        ],
        "complete": answer.complete,
        "timing_ms": answer.timing_ms,
    }
