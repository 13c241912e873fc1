"""Requests to /v1/events to events on disk, or to the deletion of one; the next list uses them."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from indexer.request import collect_known_events
from service.edge import PROBLEM_RESPONSES, WriteRoute, decode_id
from service.live import LiveStore
from service.services import Services, ServicesDep
from service.store import AppendResult, parse_clean_id, parse_events
from service.wire import EventsIn, EventsOut, Retracted

_MAX_UNKNOWN_ITEMS = 100  # that are named; all are counted

router = APIRouter(
    route_class=WriteRoute, prefix="/v1", tags=["events"], responses=PROBLEM_RESPONSES
)


@router.post("/events", response_model=EventsOut)
async def post_events(body: EventsIn, services: ServicesDep, request: Request) -> Response:
    """Keep an event, or many. An `event_id` counts once, so a call may be repeated.

    Events of items that are not in the catalogue are kept, and named in `unknown_items`.
    """
    return await answer_events(services, body.dump_sent(), request)


async def answer_events(
    services: Services, body_fields: Mapping[str, Any], request: Request
) -> Response:
    """Keep the events in the fields of a body of /v1/events."""
    now = services.clock()
    event_names = collect_known_events(services.active_index.scenarios)

    def keep(live: LiveStore) -> tuple[AppendResult, list[str]]:
        sent = parse_events(body_fields, now=now, known_names=event_names)
        named = dict.fromkeys(event.item_id for event in sent if event.item_id is not None)
        return live.event_log.append(sent), list(named)

    give_up_at = time.monotonic() + services.settings.deadline_s
    kept, item_ids = await services.writer.run_write(keep)
    # From here on nothing may fail: who is told so sends the events again, as other ones.
    left_s = max(0.0, give_up_at - time.monotonic())
    unknown = await services.find_unknown_items(item_ids, deadline_s=left_s)
    fields = {
        **asdict(kept),
        "unknown_items": None if unknown is None else unknown[:_MAX_UNKNOWN_ITEMS],
        "unknown_item_count": None if unknown is None else len(unknown),
    }
    return Response(orjson.dumps(fields), media_type="application/json")


@router.delete("/events/{event_id:path}", response_model=Retracted)
async def retract(event_id: str, services: ServicesDep) -> Response:
    """Retract an event: it is as if it had never come. Percent-encode the id, which stays refused.

    A trained model forgets the event at its next rebuild.
    """
    clean_id = parse_clean_id(decode_id(event_id), "event_id")
    return await services.writer.write(
        lambda live: {"event_id": clean_id, "live_seq": live.event_log.retract(clean_id)}
    )
