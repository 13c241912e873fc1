"""A request body to a checked `Request`; scenarios; context words. Pure.

In: the fields of POST /v1/recommend, from HTTP, a file or Python.
Out: a frozen `Request`, or a `RequestError` that names the field and the remedy.
"""

from indexer.request.body import (
    MAX_HISTORY,
    MAX_HISTORY_BATCH,
    HistoryEntry,
    Request,
    Weights,
    parse_request,
)
from indexer.request.context import ContextValue, Language, words_of
from indexer.request.event_names import (
    BUILT_IN_EVENTS,
    MAX_EVENT_NAME,
    known_events,
    parse_event_name,
    refuse_misspelt,
)
from indexer.request.ranking_options import MAX_BOOST, MAX_BOOSTS, MAX_PINS, Boost
from indexer.request.scenario_file import load_scenarios, scenarios_beside
from indexer.request.scenarios import NEVER_SEEN_BY, SCENARIOS, Scenario, scenario_named
from indexer.request.values import (
    MAX_K,
    MAX_TEXT,
    PLACES,
    nearest_known,
    parse_boolean,
    parse_context,
    parse_finite,
    parse_id,
    parse_k,
    parse_moment,
    parse_text,
    parse_texts,
    refuse_surrogates,
    refuse_unknown,
    shown,
)

__all__ = [
    "BUILT_IN_EVENTS",
    "MAX_BOOST",
    "MAX_BOOSTS",
    "MAX_EVENT_NAME",
    "MAX_HISTORY",
    "MAX_HISTORY_BATCH",
    "MAX_K",
    "MAX_PINS",
    "MAX_TEXT",
    "NEVER_SEEN_BY",
    "PLACES",
    "SCENARIOS",
    "Boost",
    "ContextValue",
    "HistoryEntry",
    "Language",
    "Request",
    "Scenario",
    "Weights",
    "known_events",
    "load_scenarios",
    "nearest_known",
    "parse_boolean",
    "parse_context",
    "parse_event_name",
    "parse_finite",
    "parse_id",
    "parse_k",
    "parse_moment",
    "parse_request",
    "parse_text",
    "parse_texts",
    "refuse_misspelt",
    "refuse_surrogates",
    "refuse_unknown",
    "scenario_named",
    "scenarios_beside",
    "shown",
    "words_of",
]
