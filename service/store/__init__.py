"""The live store: events, users and item changes in SQLite or PostgreSQL.

In: checked events, profiles and item changes, one transaction for each call.
Out: user states, item changes after a sequence number, trending items, changes for a build.
"""

from service.store.database import LiveDatabase
from service.store.database_errors import raise_as_failure
from service.store.event_log import AppendResult, EventLog
from service.store.event_rows import list_owners, load_recent_events, match_owner
from service.store.events import MAX_EVENTS_PER_CALL, Event, parse_clean_id, parse_events
from service.store.imported_events import ImportIds, to_imported_events
from service.store.item_changes import ItemChange, load_changes, load_changes_after, store_changes
from service.store.ownership import UserHasher
from service.store.rebuild_changes import cache_live_vectors, prune_applied_changes, read_changes
from service.store.retractions import key_old_retractions
from service.store.schema import events
from service.store.sequence_reader import Owner
from service.store.store_secret import require_secret, settle_secret
from service.store.text_vectors import (
    KeptTextEncoder,
    TextVectorFile,
    TextVectors,
    find_text_vector_path,
)
from service.store.trending import Trending
from service.store.user_state import EMPTY_USER_STATE, UserState, add_user_state
from service.store.user_state_rows import LongLogError, OutdatedState, renew_user_state
from service.store.users import UserProfile, UserStore
from service.store.write_transaction import SequenceNumbers

__all__ = [
    "EMPTY_USER_STATE",
    "MAX_EVENTS_PER_CALL",
    "AppendResult",
    "Event",
    "EventLog",
    "ImportIds",
    "ItemChange",
    "KeptTextEncoder",
    "LiveDatabase",
    "LongLogError",
    "OutdatedState",
    "Owner",
    "SequenceNumbers",
    "TextVectorFile",
    "TextVectors",
    "Trending",
    "UserHasher",
    "UserProfile",
    "UserState",
    "UserStore",
    "add_user_state",
    "cache_live_vectors",
    "events",
    "find_text_vector_path",
    "key_old_retractions",
    "list_owners",
    "load_changes",
    "load_changes_after",
    "load_recent_events",
    "match_owner",
    "parse_clean_id",
    "parse_events",
    "prune_applied_changes",
    "raise_as_failure",
    "read_changes",
    "renew_user_state",
    "require_secret",
    "settle_secret",
    "store_changes",
    "to_imported_events",
]
