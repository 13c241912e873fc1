"""A request to all that a search of it needs: inputs, what may be found, request vectors, terms.

request -> signals -> sources -> weighed as learned -> request vectors
"""

from collections.abc import Mapping
from dataclasses import dataclass

from indexer.query.catalogue import Catalogue
from indexer.query.inputs import (
    QueryInput,
    Role,
    build_context_inputs,
    build_history_inputs,
    build_ideal_input,
    build_interest_inputs,
)
from indexer.query.score_terms import (
    ScoreTerm,
    build_boost_terms,
    build_freshness_term,
    build_nearness_term,
)
from indexer.query.taste_contribution import to_context_words
from indexer.request import Language, Request, Scenario, describe_context, find_scenario
from indexer.snapshot import Manifest

_PRIOR_INPUT = QueryInput(Role.PRIOR, 1.0, {"kind": "popularity"})


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request and its inputs.

    Attributes:
        timestamp: Unix seconds.
        inputs: Inputs that the catalogue knows, history first.
        item_rows: Row of each item among them.
        unknown_ids: Ids that it does not know.
    """

    request: Request
    scenario: Scenario
    timestamp: float
    inputs: list[QueryInput]
    item_rows: Mapping[str, int]
    unknown_ids: tuple[str, ...]


def resolve_request(catalogue: Catalogue, request: Request, *, now: float) -> ResolvedRequest:
    """Return the inputs of a request.

    Args:
        catalogue: What is recommended from.
        request: What is asked.
        now: The present, Unix seconds, if the request names no time.

    Raises:
        RequestError: If the catalogue does not have its scenario.
    """
    moment = now if request.at is None else request.at
    scenario = find_scenario(request.scenario, catalogue.scenarios)
    signals = build_inputs(request, scenario, catalogue.manifest, moment)
    signals += _build_wordless_context_inputs(catalogue, request, scenario)
    told = [signal.item_id for signal in signals if signal.item_id is not None]
    known = catalogue.rows(told)
    return ResolvedRequest(
        request=request,
        scenario=scenario,
        timestamp=moment,
        inputs=[s for s in signals if s.item_id is None or s.item_id in known],
        item_rows=known,
        unknown_ids=tuple(dict.fromkeys(item_id for item_id in told if item_id not in known)),
    )


def build_inputs(
    request: Request, scenario: Scenario, manifest: Manifest, now: float
) -> list[QueryInput]:
    """Return every input of a request with its weight and reason, history first.

    Context and ideal are not said in words to an index that was built without a language model.
    """
    language: Language = "zh" if manifest.language == "zh" else "en"
    words = describe_context(request.context, language) if manifest.encoder else {}
    ideal = request.ideal if manifest.encoder else None
    return [
        *build_history_inputs(
            request.history, scenario=scenario, now=now, rating_scale=manifest.rating_scale
        ),
        *build_interest_inputs(request.interests, scenario=scenario),
        *build_context_inputs(request.query, words, request.context, scenario=scenario),
        *([build_ideal_input(ideal, scenario=scenario)] if ideal else []),
        _PRIOR_INPUT,
    ]


def _build_wordless_context_inputs(
    catalogue: Catalogue, request: Request, scenario: Scenario
) -> list[QueryInput]:
    """Circumstances that an index without a language model knows from interactions alone."""
    if catalogue.manifest.encoder is not None or catalogue.taste is None:
        return []
    learned = catalogue.taste.context_directions.find_directions(to_context_words(request.context))
    unspoken = dict.fromkeys(sorted(learned), "")
    return build_context_inputs(None, unspoken, request.context, scenario=scenario)


def build_catalogue_terms(catalogue: Catalogue, resolved: ResolvedRequest) -> list[ScoreTerm]:
    """Terms of the whole catalogue: what the request boosts, what is new, what is near.

    Raises:
        FilterError: If the filter of a boost does not fit the catalogue.
    """
    given = [
        *build_boost_terms(catalogue, resolved.request.boost),
        build_freshness_term(catalogue, resolved.scenario, resolved.timestamp),
        build_nearness_term(catalogue, resolved.request.context, resolved.scenario),
    ]
    return [term for term in given if term is not None]
