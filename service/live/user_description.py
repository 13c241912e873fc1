"""A stored user to a description in words: interests, nearest tags, latest events."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa

from indexer.answer import compute_profile_vector
from indexer.arrays import Vectors
from indexer.errors import RequestError
from indexer.field_names import TAG_FIELDS
from indexer.live import LiveCatalogue
from indexer.request import Request, measure_text_cost, parse_texts
from service.live.view import RequestView
from service.store import Event, UserProfile, events, load_recent_events, match_owner

MAX_ATTRIBUTES_BYTES = 64_000  # of JSON
_MAX_TAGS, _MAX_RECENT, _MAX_SUMMARY_EVENTS = 5, 20, 3
_MIN_SIMILARITY = 0.05  # inner product; a tag below it says nothing about a user


def parse_profile(body: Mapping[str, Any]) -> UserProfile:
    """Return the profile in the body of PUT /v1/users: interests, and other fields as attributes.

    Raises:
        RequestError: If `interests` is not a list of texts or costs more to encode than one request
            may, or the attributes are too large.
    """
    interests = parse_texts(body.get("interests") or [], "interests")
    measure_text_cost([{"interests": interests}]).check_request()
    other_fields = {
        name: value for name, value in body.items() if name not in ("interests", "attributes")
    }
    attributes = body.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise RequestError(f"attributes must be an object, got {str(attributes)[:60]!r}")
    attributes = {**attributes, **other_fields}
    if _measure_json(attributes) > MAX_ATTRIBUTES_BYTES:
        raise RequestError(f"attributes are longer than {MAX_ATTRIBUTES_BYTES} bytes; keep less")
    return UserProfile(interests, attributes)


def _measure_json(attributes: Mapping[str, Any]) -> int:
    """Return the bytes of attributes as JSON.

    Raises:
        RequestError: If they hold a whole number that JSON of 64 bits does not.
    """
    try:
        return len(orjson.dumps(attributes))
    except TypeError as error:
        raise RequestError(
            "attributes hold a whole number of more than 64 bits; write it in quotes"
        ) from error


def describe_user(view: RequestView, user_id: str, *, now: float) -> dict[str, Any] | None:
    """Return the answer of GET /v1/users, or None if the store knows nothing of the user."""
    if view.live_store is None or view.connect is None:
        return None
    connection = view.connect()
    profile = view.live_store.users.load_profile(connection, user_id)
    count = connection.execute(
        sa.select(sa.func.count()).select_from(events).where(match_owner(user_id, None))
    ).scalar_one()
    if profile is None and not count:
        return None
    latest = load_recent_events(connection, (user_id, None), _MAX_RECENT)
    tags = _find_nearest_tags(view, user_id, now=now)
    interests = list(profile.interests) if profile else []
    return {
        "user_id": user_id,
        "summary": _render_summary(
            view.catalogue.manifest.language, interests, [tag for tag, _ in tags], latest, count
        ),
        "interests": interests,
        "attributes": dict(profile.attributes or {}) if profile else {},
        "tags": [{"tag": tag, "score": score} for tag, score in tags],
        "events": count,
        "seen": len(view.load_user_state(user_id, None).seen),
        "recent": [_render_event(event) for event in latest],
        "live_seq": view.sequence.seq,
    }


def _find_nearest_tags(view: RequestView, user_id: str, *, now: float) -> list[tuple[str, float]]:
    """Return the tags nearest to a user's profile vector with their inner products."""
    catalogue = view.catalogue
    if catalogue.manifest.encoder_source is None:
        return []
    tags = _collect_tags(catalogue)
    request = view.personalise(Request(user_id=user_id), now=now)
    profile = compute_profile_vector(catalogue, request, now=now)
    if not tags or not profile.any():
        return []
    vectors = _encode_tags(catalogue.base.encode_queries, catalogue.id, tags)
    scores = vectors @ profile
    order = np.lexsort((np.arange(len(tags)), -scores))[:_MAX_TAGS]
    return [(tags[n], round(float(scores[n]), 4)) for n in order if scores[n] >= _MIN_SIMILARITY]


@lru_cache(maxsize=4)
def _encode_tags(encode_queries: Any, snapshot: str, tags: tuple[str, ...]) -> Vectors:
    """Return the query vectors of the tags, encoded once for each snapshot."""
    vectors: Vectors = encode_queries(tags)
    return vectors


def _collect_tags(catalogue: LiveCatalogue) -> tuple[str, ...]:
    """Return the frequent values of all fields that hold tags."""
    fields = catalogue.base.schema.fields
    tag_values = [
        value
        for name in TAG_FIELDS
        if name in fields
        for value, _ in fields[name].top_values
        if isinstance(value, str)
    ]
    return tuple(dict.fromkeys(tag_values))


def _render_summary(
    language: str,
    interests: Sequence[str],
    tags: Sequence[str],
    latest: Sequence[Event],
    count: int,
) -> str:
    """Return one to three sentences in the catalogue's language, Chinese or English."""
    event_counts = Counter(event.event for event in latest).most_common(_MAX_SUMMARY_EVENTS)
    if language == "zh":
        parts = [
            f"自述兴趣：{'、'.join(interests)}" if interests else "",
            f"最近偏好：{'、'.join(tags)}" if tags else "",
            f"共 {count} 个事件，近期有 " + "、".join(f"{n} 次 {name}" for name, n in event_counts)
            if event_counts
            else "还没有事件",
        ]
        return "。".join(part for part in parts if part) + "。"
    parts = [
        f"Says they like {', '.join(interests)}" if interests else "",
        f"Lately close to {', '.join(tags)}" if tags else "",
        f"{count} events, lately " + ", ".join(f"{n} × {name}" for name, n in event_counts)
        if event_counts
        else "No events yet",
    ]
    return ". ".join(part for part in parts if part) + "."


def _render_event(event: Event) -> dict[str, Any]:
    event_json = {
        "event_id": event.event_id,
        "event": event.event,
        "item_id": event.item_id,
        "text": event.text,
        "value": event.value,
        "at": event.at,
        "session_id": event.session_id,
        "context": dict(event.context) or None,
    }
    return {name: value for name, value in event_json.items() if value is not None}
