"""Boosts, freshness and nearness to named additive terms over the whole catalogue.

Each is bounded by its weight and told as a reason of its own, so it tilts a list and never hides
that it did.
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
from indexer.request import LOCATION_FIELDS, Boost, Scenario

DATE_FIELDS = ("created_at", "published_at", "published")  # the first one that the catalogue has


@dataclass(frozen=True, slots=True)
class ScoreTerm:
    """What every item gains for one reason.

    Attributes:
        reason: As the answer tells it, without its share.
        values: `(n,) float32`.
        details: More to tell about a row, by name, each `(n,)`.
    """

    reason: Mapping[str, Any]
    values: Vectors
    details: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def told(self, row: int) -> list[dict[str, Any]]:
        """Return the reason of a row; none if it gains nothing."""
        share = float(self.values[row])
        if share == 0:
            return []
        more = {
            name: round(float(values_by_row[row]), 3)
            for name, values_by_row in self.details.items()
        }
        return [{**self.reason, **more, "share": share}]


def sum_terms(terms: Sequence[ScoreTerm]) -> Vectors | None:
    """Return the sum of terms by row, `(n,) float32`; None without any."""
    if not terms:
        return None
    term_sum: Vectors = np.sum([term.values for term in terms], axis=0, dtype=np.float32)
    return term_sum


def build_boost_terms(catalogue: Catalogue, boosts: Sequence[Boost]) -> list[ScoreTerm]:
    """Return a term for each boost.

    Raises:
        FilterError: If the filter of one does not fit the catalogue; it is named.
    """
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


def build_freshness_term(catalogue: Catalogue, scenario: Scenario, now: float) -> ScoreTerm | None:
    """Return what new items gain; None if the scenario or the catalogue knows no age."""
    name = find_date_field(catalogue)
    if not scenario.fresh_weight or name is None:
        return None
    ages = np.maximum(0.0, now - collect_latest_dates(catalogue, name))
    decay = 0.5 ** (ages / scenario.fresh_half_life_s)
    values = (scenario.fresh_weight * decay).astype(np.float32)
    return ScoreTerm({"kind": "freshness", "field": name}, values)


def find_date_field(catalogue: Catalogue) -> str | None:
    """Return the field that says since when an item is there; None if there is none."""
    known = catalogue.schema.fields
    dated = (FieldType.DATE, FieldType.NUMBER, FieldType.MIXED)
    return next((f for f in DATE_FIELDS if f in known and known[f].type in dated), None)


def collect_latest_dates(catalogue: Catalogue, name: str) -> NDArray[np.float64]:
    """Return `(n,)` Unix seconds, minus infinity for rows without a date."""
    cells = catalogue.cells(name, RowValueKind.NUMBERS)
    timestamps = np.full(catalogue.count, -np.inf)
    np.maximum.at(timestamps, cells.rows, cells.values)
    return timestamps


def find_newest_rows(catalogue: Catalogue, allowed: Mask, limit: int) -> Rows:
    """Return the allowed rows with the latest dates, the newest first, ties by row."""
    name = find_date_field(catalogue)
    if name is None or not limit:
        return np.empty(0, np.int64)
    rows = np.flatnonzero(allowed)
    timestamps = collect_latest_dates(catalogue, name)[rows]
    known = timestamps > -np.inf
    rows, timestamps = rows[known], timestamps[known]
    return rows[np.lexsort((rows, -timestamps))[:limit]]


def build_nearness_term(
    catalogue: Catalogue, context: Mapping[str, Any], scenario: Scenario
) -> ScoreTerm | None:
    """Return what items near the user gain; None without coordinates on both sides."""
    here = next((context[f] for f in LOCATION_FIELDS if isinstance(context.get(f), Mapping)), None)
    known = catalogue.schema.fields.items()
    name = next((field for field, info in known if info.type is FieldType.LOCATION), None)
    if here is None or name is None or not scenario.near_weight:
        return None
    cells = catalogue.cells(name, RowValueKind.POINTS)
    user_point = to_unit_vectors(np.array(here["lat"]), np.array(here["lon"]))
    chords = np.sqrt(np.square(cells.values - user_point).sum(axis=1))
    km = np.full(catalogue.count, np.inf)
    np.minimum.at(km, cells.rows, 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chords / 2, 1)))
    values = (scenario.near_weight * 0.5 ** (km / scenario.near_half_km)).astype(np.float32)
    reason = {"kind": "context", "field": "place", "value": dict(here)}
    return ScoreTerm(reason, values, {"km": km})
