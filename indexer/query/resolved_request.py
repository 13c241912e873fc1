"""A request and a catalogue to the scenario, the time and the weighted inputs of the request.

The next steps are `build_input_vectors`, `apply_taste_model` and `build_query_vectors`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.query.catalogue import Catalogue
from indexer.query.inputs import (
    QUERY_KIND,
    WORDS_KIND,
    QueryInput,
    Role,
    build_context_inputs,
    build_history_inputs,
    build_ideal_input,
    build_interest_inputs,
    build_words_input,
)
from indexer.query.taste_contribution import to_context_words
from indexer.query.understood_wish import understand_wish
from indexer.query.word_terms import WORDS_WEIGHT
from indexer.request import Language, Request, Scenario, describe_context, find_scenario
from indexer.snapshot import Manifest

_PRIOR_INPUT = QueryInput(Role.PRIOR, 1.0, {"kind": "popularity"})
_NEW_INPUT = QueryInput(Role.PRIOR_PART, 1.0, {"kind": "new"})
_PICKED_INPUT = QueryInput(Role.PRIOR_PART, 1.0, {"kind": "popularity"})
_REPRESENTATIVE_INPUT = QueryInput(Role.PRIOR_PART, 1.0, {"kind": "representative"})


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request with what the catalogue knows of it.

    Attributes:
        request: As it was parsed, with the filter that its query says.
        scenario: The one it names, or the default.
        timestamp: Time of the request, Unix seconds.
        inputs: Inputs, history first, without items that the catalogue does not have.
        item_rows: Row of each item among them.
        unknown_ids: Ids of history items that the catalogue does not have.
        understood: What was read from the query, see `UnderstoodWish.summary`.
    """

    request: Request
    scenario: Scenario
    timestamp: float
    inputs: list[QueryInput]
    item_rows: Mapping[str, int]
    unknown_ids: tuple[str, ...]
    understood: Mapping[str, Any] | None = None


def resolve_request(catalogue: Catalogue, request: Request, *, now: float) -> ResolvedRequest:
    """Return the scenario, time and inputs of a request.

    Args:
        catalogue: What is recommended from.
        request: A checked request.
        now: Unix seconds; used if the request has no time of its own.

    Raises:
        RequestError: If the catalogue does not have the scenario of the request.
        FilterError: If a filter does not fit the catalogue, and the query says another.
    """
    timestamp = now if request.at is None else request.at
    scenario = find_scenario(request.scenario, catalogue.scenarios)
    wish = understand_wish(catalogue, request, scenario)
    request = wish.request
    taste = catalogue.taste
    moment_share = 1.0 if taste is None else taste.settings.moment_share
    inputs = build_inputs(
        request, scenario, catalogue.manifest, timestamp, moment_share=moment_share
    )
    inputs += _build_wordless_context_inputs(catalogue, request, scenario)
    ids = [query_input.item_id for query_input in inputs if query_input.item_id is not None]
    item_rows = catalogue.rows(ids)
    known = [i for i in inputs if i.item_id is None or i.item_id in item_rows]
    return ResolvedRequest(
        request=request,
        scenario=scenario,
        timestamp=timestamp,
        inputs=[
            *(_let_query_lead(known, scenario) if request.query else known),
            *_list_prior_parts(catalogue, known),
        ],
        item_rows=item_rows,
        unknown_ids=tuple(dict.fromkeys(item_id for item_id in ids if item_id not in item_rows)),
        understood=wish.summary,
    )


def _list_prior_parts(catalogue: Catalogue, inputs: Sequence[QueryInput]) -> list[QueryInput]:
    """Return the input of the prior part, none if the part does not count.

    That an item represents the catalogue, or is picked most where popularity was of no use to
    anybody with a history, counts only while nothing is known of what is wanted: its
    score is that of an item for nobody.
    """
    if not catalogue.manifest.layout.prior_part:
        return []
    taste = catalogue.taste
    if taste is not None and taste.has_prior:
        return [_NEW_INPUT]
    is_anything_wanted = any(i.weight > 0 and not i.is_prior for i in inputs)
    if is_anything_wanted:
        return []
    return [_PICKED_INPUT if taste is not None and taste.has_picks else _REPRESENTATIVE_INPUT]


def _is_of_profile(query_input: QueryInput) -> bool:
    is_typed = query_input.entry is not None and query_input.item_id is None
    return query_input.role is Role.PROFILE and bool(query_input.weight) and not is_typed


def _let_query_lead(inputs: list[QueryInput], scenario: Scenario) -> list[QueryInput]:
    """Return the inputs with more weight for the query beside items or interests.

    A text in the history was typed as the query was: neither leads over the other.
    """
    if not any(_is_of_profile(i) for i in inputs):
        return inputs
    return [
        i.with_weight(i.weight * scenario.lead_weight)
        if i.reason["kind"] in (QUERY_KIND, WORDS_KIND)
        else i
        for i in inputs
    ]


def build_inputs(
    request: Request,
    scenario: Scenario,
    manifest: Manifest,
    now: float,
    *,
    moment_share: float = 1.0,
) -> list[QueryInput]:
    """Return every input of a request with its weight and reason, history first.

    Without an encoder in the snapshot, context and `ideal` are left out, as they cannot be encoded.

    Args:
        request: A checked request.
        scenario: That of the request.
        manifest: Of the snapshot.
        now: Time of the request, Unix seconds.
        moment_share: Of the scenario's weight of context, see `TasteSettings`.
    """
    language: Language = "zh" if manifest.language == "zh" else "en"
    words = describe_context(request.context, language) if manifest.encoder else {}
    ideal = request.ideal if manifest.encoder else None
    words_weight = WORDS_WEIGHT * scenario.query_weight
    return [
        *build_history_inputs(
            request.history, scenario=scenario, now=now, rating_scale=manifest.rating_scale
        ),
        *build_interest_inputs(request.interests, scenario=scenario),
        *build_context_inputs(
            request.query, words, request.context, scenario=scenario, share=moment_share
        ),
        *([build_words_input(request.query, weight=words_weight)] if request.query else []),
        *([build_ideal_input(ideal, scenario=scenario)] if ideal else []),
        _PRIOR_INPUT,
    ]


def _build_wordless_context_inputs(
    catalogue: Catalogue, request: Request, scenario: Scenario
) -> list[QueryInput]:
    """Return inputs without text for context fields that only the taste model has a direction for.

    Empty if the snapshot has an encoder: then every context field has an input already.
    """
    if catalogue.manifest.encoder is not None or catalogue.taste is None:
        return []
    words = to_context_words(request.context)
    directions = catalogue.taste.context_directions.find_directions(words)
    no_text = dict.fromkeys(sorted(directions), "")
    return build_context_inputs(None, no_text, request.context, scenario=scenario)
