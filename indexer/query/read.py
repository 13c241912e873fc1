"""A request to all that a search of it needs: inputs, what may be found, request vectors, terms.

request -> signals -> sources -> weighed as learned -> request vectors
"""

from collections.abc import Mapping
from dataclasses import dataclass

from indexer.query.catalogue import Catalogue
from indexer.query.inputs import (
    Role,
    Signal,
    history_signals,
    ideal_signal,
    interest_signals,
    moment_signals,
)
from indexer.query.score_terms import Term, boost_terms, freshness_term, nearness_term
from indexer.query.taste_contribution import context_words
from indexer.request import Language, Request, Scenario, scenario_named, words_of
from indexer.snapshot import Manifest

_PRIOR = Signal(Role.PRIOR, 1.0, {"kind": "popularity"})


@dataclass(frozen=True, slots=True)
class Read:
    """A request and its inputs.

    Attributes:
        moment: Unix seconds.
        signals: Inputs that the catalogue knows, history first.
        known: Row of each item among them.
        unknown: Ids that it does not know.
    """

    request: Request
    scenario: Scenario
    moment: float
    signals: list[Signal]
    known: Mapping[str, int]
    unknown: tuple[str, ...]


def read_request(catalogue: Catalogue, request: Request, *, now: float) -> Read:
    """Return the inputs of a request.

    Args:
        catalogue: What is recommended from.
        request: What is asked.
        now: The present, Unix seconds, if the request names no time.

    Raises:
        RequestError: If the catalogue does not have its scenario.
    """
    moment = now if request.at is None else request.at
    scenario = scenario_named(request.scenario, catalogue.scenarios)
    signals = signals_of(request, scenario, catalogue.manifest, moment)
    signals += _wordless_moment(catalogue, request, scenario)
    told = [signal.item_id for signal in signals if signal.item_id is not None]
    known = catalogue.rows(told)
    return Read(
        request=request,
        scenario=scenario,
        moment=moment,
        signals=[s for s in signals if s.item_id is None or s.item_id in known],
        known=known,
        unknown=tuple(dict.fromkeys(item_id for item_id in told if item_id not in known)),
    )


def signals_of(
    request: Request, scenario: Scenario, manifest: Manifest, now: float
) -> list[Signal]:
    """Return every input of a request with its weight and reason, history first.

    Context and ideal are not said in words to an index that was built without a language model.
    """
    language: Language = "zh" if manifest.language == "zh" else "en"
    words = words_of(request.context, language) if manifest.encoder else {}
    ideal = request.ideal if manifest.encoder else None
    return [
        *history_signals(request.history, scenario=scenario, now=now, scale=manifest.rating_scale),
        *interest_signals(request.interests, scenario=scenario),
        *moment_signals(request.query, words, request.context, scenario=scenario),
        *([ideal_signal(ideal, scenario=scenario)] if ideal else []),
        _PRIOR,
    ]


def _wordless_moment(catalogue: Catalogue, request: Request, scenario: Scenario) -> list[Signal]:
    """Circumstances that an index without a language model knows from interactions alone."""
    if catalogue.manifest.encoder is not None or catalogue.taste is None:
        return []
    learned = catalogue.taste.circumstances.of(context_words(request.context))
    unspoken = dict.fromkeys(sorted(learned), "")
    return moment_signals(None, unspoken, request.context, scenario=scenario)


def everywhere_terms(catalogue: Catalogue, read: Read) -> list[Term]:
    """Terms of the whole catalogue: what the request boosts, what is new, what is near.

    Raises:
        FilterError: If the filter of a boost does not fit the catalogue.
    """
    given = [
        *boost_terms(catalogue, read.request.boost),
        freshness_term(catalogue, read.scenario, read.moment),
        nearness_term(catalogue, read.request.context, read.scenario),
    ]
    return [term for term in given if term is not None]
