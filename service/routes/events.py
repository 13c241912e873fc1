"""/v1/events: what people do. Durable when answered; the next list of any worker reflects it."""

from dataclasses import asdict

from fastapi import APIRouter, Response

from indexer.request import known_events
from service.edge import PROBLEMS, WriteRoute, decoded
from service.services import ServicesNow
from service.store import checked_id, parse_events
from service.wire import EventsIn, EventsOut, Retracted

router = APIRouter(route_class=WriteRoute, prefix="/v1", tags=["events"], responses=PROBLEMS)


@router.post("/events", response_model=EventsOut)
async def post_events(body: EventsIn, services: ServicesNow) -> Response:
    """Keep an event, or many. An `event_id` counts once, so a call may be repeated."""
    given, now = body.given(), services.clock()
    known = known_events(services.recommender.scenarios)
    return await services.write(
        lambda live: asdict(live.log.append(parse_events(given, now=now, known=known)))
    )


@router.delete("/events/{event_id:path}", response_model=Retracted)
async def retract(event_id: str, services: ServicesNow) -> Response:
    """Retract an event: it is as if it had never come. Percent-encode the id, which stays refused.

    A trained model forgets the event at its next rebuild.
    """
    known = checked_id(decoded(event_id), "event_id")
    return await services.write(
        lambda live: {"event_id": known, "live_seq": live.log.retract(known)}
    )
