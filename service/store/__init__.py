"""The live store: events, users and item changes in SQLite or PostgreSQL.

In: checked events, profiles and item changes, one transaction a request.
Out: user states (a fold over events), item changes after a number, trending items.
"""

from service.store.database import LiveDatabase, Sequence
from service.store.event_log import EventLog, UserHash, of_owner, recent
from service.store.events import MAX_EVENTS, Event, checked_id, parse_events
from service.store.item_changes import ItemChange, changes_after, changes_of, keep
from service.store.rebuild_changes import forget_applied, read_changes, spare_encoding
from service.store.schema import events
from service.store.trending import Trending
from service.store.user_state import NOBODY, UserState, personal
from service.store.users import Profile, Users

__all__ = [
    "MAX_EVENTS",
    "NOBODY",
    "Event",
    "EventLog",
    "ItemChange",
    "LiveDatabase",
    "Profile",
    "Sequence",
    "Trending",
    "UserHash",
    "UserState",
    "Users",
    "changes_after",
    "changes_of",
    "checked_id",
    "events",
    "forget_applied",
    "keep",
    "of_owner",
    "parse_events",
    "personal",
    "read_changes",
    "recent",
    "spare_encoding",
]
