"""Boosts, freshness and nearness to additive score terms over the whole catalogue.

Each term is at most its weight, and the answer shows it as a reason of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Mask, Rows, Vectors
from indexer.errors import FilterError
from indexer.metadata import EARTH_RADIUS_KM, FieldType, RowValueKind, parse_filter, to_unit_vectors
from indexer.query.catalogue import Catalogue
from indexer.query.resolved_request import ResolvedRequest
from indexer.request import LOCATION_FIELDS, Boost, Scenario

_PUBLICATION_FIELDS = ("created_at", "published_at", "published")  # the first that exists is used


@dataclass(frozen=True, slots=True)
class ScoreTerm:
    """A number added to the score of every row, for one reason.

    Attributes:
        reason: As the answer shows it, without its share.
        values: `(n,) float32`.
        details: Further numbers for the reason of a row, such as a distance; name to `(n,)`.
    """

    reason: Mapping[str, Any]
    values: Vectors
    details: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def explain_row(self, row: int) -> list[dict[str, Any]]:
        """Return the reason of a row as a list of one; empty if its value is 0."""
        share = float(self.values[row])
        if share == 0:
            return []
        details = {name: round(float(values[row]), 3) for name, values in self.details.items()}
        return [{**self.reason, **details, "share": share}]


def sum_terms(terms: Sequence[ScoreTerm]) -> Vectors | None:
    """Return the sum of terms for each row, `(n,) float32`; None without terms."""
    if not terms:
        return None
    term_sum: Vectors = np.sum([term.values for term in terms], axis=0, dtype=np.float32)
    return term_sum


def build_catalogue_terms(catalogue: Catalogue, resolved: ResolvedRequest) -> list[ScoreTerm]:
    """Return the terms of a request: one for each boost, then freshness and nearness if they apply.

    Raises:
        FilterError: If the filter of a boost does not fit the catalogue.
    """
    terms = [
        *_build_boost_terms(catalogue, resolved.request.boost),
        _build_freshness_term(catalogue, resolved.scenario, resolved.timestamp),
        _build_nearness_term(catalogue, resolved.request.context, resolved.scenario),
    ]
    return [term for term in terms if term is not None]


def _build_boost_terms(catalogue: Catalogue, boosts: Sequence[Boost]) -> list[ScoreTerm]:
    """Return a term for each boost: its weight where a row passes its filter, else 0."""
    terms = []
    for position, boost in enumerate(boosts):
        try:
            condition = parse_filter(boost.filter, catalogue.schema)
        except FilterError as error:
            raise FilterError(f"boost[{position}].filter: {error}") from error
        passing = catalogue.mask(condition)
        values = np.where(passing, np.float32(boost.weight), np.float32(0))
        terms.append(ScoreTerm({"kind": "boost", "index": position}, values))
    return terms


def _build_freshness_term(catalogue: Catalogue, scenario: Scenario, now: float) -> ScoreTerm | None:
    """Return a term that halves with every `fresh_half_life_s` of age; future dates have age 0.

    None if the scenario has no weight for it, or the catalogue no publication dates.
    """
    name = _find_publication_field(catalogue) if scenario.fresh_weight else None
    if name is None:
        return None
    ages = np.maximum(0.0, now - _read_timestamps(catalogue, name))
    decay = 0.5 ** (ages / scenario.fresh_half_life_s)
    values = (scenario.fresh_weight * decay).astype(np.float32)
    return ScoreTerm({"kind": "freshness", "field": name}, values)


def _find_publication_field(catalogue: Catalogue) -> str | None:
    """Return the field with the publication date of items; None if there is none."""
    known = catalogue.schema.fields
    dated = (FieldType.DATE, FieldType.NUMBER, FieldType.MIXED)
    return next((f for f in _PUBLICATION_FIELDS if f in known and known[f].type in dated), None)


def _read_timestamps(catalogue: Catalogue, name: str) -> NDArray[np.float64]:
    """Return the latest date of each row, `(n,)` Unix seconds; minus infinity without a date."""
    return catalogue.row_values(name, RowValueKind.NUMBERS).find_largest(catalogue.count)


def find_newest_rows(catalogue: Catalogue, allowed: Mask, limit: int) -> Rows:
    """Return up to `limit` allowed rows by publication date, the newest first, ties by row."""
    name = _find_publication_field(catalogue)
    if name is None or not limit:
        return np.empty(0, np.int64)
    rows = np.flatnonzero(allowed)
    timestamps = _read_timestamps(catalogue, name)[rows]
    dated = timestamps > -np.inf
    rows, timestamps = rows[dated], timestamps[dated]
    return rows[np.lexsort((rows, -timestamps))[:limit]]


def _build_nearness_term(
    catalogue: Catalogue, context: Mapping[str, Any], scenario: Scenario
) -> ScoreTerm | None:
    """Return a term that halves with every `near_half_km` of distance from the user.

    None if the scenario has no weight for it, or request or catalogue have no coordinates.
    """
    here = next((context[f] for f in LOCATION_FIELDS if isinstance(context.get(f), Mapping)), None)
    if here is None or not scenario.near_weight:
        return None
    known = catalogue.schema.fields.items()
    name = next((field for field, info in known if info.type is FieldType.LOCATION), None)
    if name is None:
        return None
    row_values = catalogue.row_values(name, RowValueKind.POINTS)
    user_point = to_unit_vectors(np.array(here["lat"]), np.array(here["lon"]))
    # Great-circle distance from the length of the chord between two points of the unit sphere.
    chords = np.sqrt(np.square(row_values.values - user_point).sum(axis=1))
    km = np.full(catalogue.count, np.inf)
    np.minimum.at(km, row_values.rows, 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chords / 2, 1)))
    values = (scenario.near_weight * 0.5 ** (km / scenario.near_half_km)).astype(np.float32)
    reason = {"kind": "context", "field": "place", "value": dict(here)}
    return ScoreTerm(reason, values, {"km": km})
