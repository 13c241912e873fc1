"""A request body to a checked `Request`; scenario presets; context fields in words.

In: the fields of POST /v1/recommend, from HTTP, a file or Python; a scenarios.toml.
Out: a frozen `Request` and `Scenario`, or an error that names the field and the remedy.

No module here reads a snapshot or a clock; only `load_scenarios` reads a file.
"""

from indexer.event_kinds import BUILT_IN_EVENTS
from indexer.request.body import (
    MAX_HISTORY,
    MAX_HISTORY_BATCH,
    HistoryEntry,
    Request,
    Weights,
    parse_request,
)
from indexer.request.context import ContextValue, Language, describe_context
from indexer.request.event_names import (
    MAX_EVENT_NAME,
    collect_known_events,
    collect_own_weights,
    parse_event_name,
    resolve_event,
)
from indexer.request.ranking_options import MAX_BOOST, MAX_BOOSTS, MAX_PINS, Boost, Pin
from indexer.request.scenario_file import SCENARIO_FILE, load_index_scenarios, load_scenarios
from indexer.request.scenarios import NON_HIDING_EVENTS, SCENARIOS, Scenario, find_scenario
from indexer.request.text_cost import (
    MAX_REQUEST_TEXTS,
    MAX_REQUEST_TOKENS,
    TextCost,
    measure_text_cost,
)
from indexer.request.values import (
    LOCATION_FIELDS,
    MAX_K,
    MAX_LIST,
    MAX_TEXT,
    format_value,
    parse_boolean,
    parse_context,
    parse_finite,
    parse_id,
    parse_k,
    parse_text,
    parse_texts,
    parse_timestamp,
    refuse_surrogates,
    refuse_unknown,
    suggest_name,
)

__all__ = [
    "BUILT_IN_EVENTS",
    "LOCATION_FIELDS",
    "MAX_BOOST",
    "MAX_BOOSTS",
    "MAX_EVENT_NAME",
    "MAX_HISTORY",
    "MAX_HISTORY_BATCH",
    "MAX_K",
    "MAX_LIST",
    "MAX_PINS",
    "MAX_REQUEST_TEXTS",
    "MAX_REQUEST_TOKENS",
    "MAX_TEXT",
    "NON_HIDING_EVENTS",
    "SCENARIOS",
    "SCENARIO_FILE",
    "Boost",
    "ContextValue",
    "HistoryEntry",
    "Language",
    "Pin",
    "Request",
    "Scenario",
    "TextCost",
    "Weights",
    "collect_known_events",
    "collect_own_weights",
    "describe_context",
    "find_scenario",
    "format_value",
    "load_index_scenarios",
    "load_scenarios",
    "measure_text_cost",
    "parse_boolean",
    "parse_context",
    "parse_event_name",
    "parse_finite",
    "parse_id",
    "parse_k",
    "parse_request",
    "parse_text",
    "parse_texts",
    "parse_timestamp",
    "refuse_surrogates",
    "refuse_unknown",
    "resolve_event",
    "suggest_name",
]
