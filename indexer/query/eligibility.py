"""A request to the rows that may be recommended, and why the others may not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from indexer.arrays import Mask
from indexer.errors import FilterError, RequestError
from indexer.metadata import parse_filter
from indexer.query.catalogue import Catalogue
from indexer.request import Request, Scenario, format_value, suggest_name

ORDER = ("deleted", "unavailable", "requested", "seen", "filter", "min_score", "cap")


@dataclass(frozen=True, slots=True)
class Eligible:
    """The rows that may be recommended, and how many are out for which reason.

    Attributes:
        allowed: `(n,) bool`.
        excluded: Counts in the order of `ORDER`; a row is counted once, at its first reason.
    """

    allowed: Mask
    excluded: Mapping[str, int]

    @property
    def count(self) -> int:
        """How many rows are allowed."""
        return int(np.count_nonzero(self.allowed))


def select_eligible(catalogue: Catalogue, request: Request, scenario: Scenario) -> Eligible:
    """Return what a request may be answered with, before minimum scores and caps.

    Raises:
        FilterError: If a filter does not fit the catalogue.
        RequestError: If it wants fields shown that no item has.
    """
    _refuse_unknown_fields(catalogue, request)
    exclusions: dict[str, Mask] = {}
    if catalogue.deleted is not None:
        exclusions["deleted"] = catalogue.deleted
    if "available" in catalogue.schema.fields:
        out_of_stock = parse_filter({"available": False}, catalogue.schema)
        exclusions["unavailable"] = catalogue.mask(out_of_stock)
    exclusions["requested"] = build_mask(catalogue, catalogue.rows(request.exclude).values())
    if not includes_seen(request, scenario):
        seen = catalogue.rows(collect_seen_ids(request, scenario))
        exclusions["seen"] = build_mask(catalogue, seen.values())
    passing = compute_filter_mask(catalogue, request, scenario)
    if passing is not None:
        exclusions["filter"] = ~passing
    return build_eligible(exclusions, catalogue.count)


def _refuse_unknown_fields(catalogue: Catalogue, request: Request) -> None:
    known = catalogue.schema.fields
    for name in request.fields or ():
        if name not in known and name != "id":
            hint = suggest_name(name, known)
            raise RequestError(f"fields has an unknown field {format_value(name)}; {hint}")


def compute_filter_mask(catalogue: Catalogue, request: Request, scenario: Scenario) -> Mask | None:
    """Return which rows pass the filters of request and scenario; None if there is no filter.

    Raises:
        FilterError: If one does not fit the catalogue.
    """
    passing = None
    if request.filter is not None:
        passing = catalogue.mask(parse_filter(request.filter, catalogue.schema))
    if scenario.filter is not None:
        try:
            own = catalogue.mask(parse_filter(scenario.filter, catalogue.schema))
        except FilterError as error:
            raise FilterError(f"the filter of scenario {scenario.name!r}: {error}") from error
        passing = own if passing is None else passing & own
    return passing


def includes_seen(request: Request, scenario: Scenario) -> bool:
    """Return whether items the user has met may come again."""
    return scenario.include_seen if request.include_seen is None else request.include_seen


def collect_seen_ids(request: Request, scenario: Scenario) -> list[str]:
    """Return the ids that do not come again, from this request and from what is stored.

    A scenario may hide only what was met in some ways; with `include_seen` false all is hidden.
    """
    if request.include_seen is False:
        scenario = replace(scenario, hidden_by=None)
    history_ids = [
        entry.item_id
        for entry in request.history
        if entry.item_id is not None and scenario.hides(entry.event)
    ]
    if scenario.hidden_by is None:
        return [*history_ids, *request.seen]
    stored = (request.seen_by_event.get(event, ()) for event in scenario.hidden_by)
    return [*history_ids, *chain.from_iterable(stored)]


def build_mask(catalogue: Catalogue, rows: Iterable[int]) -> Mask:
    """Return `(n,) bool`, set at the rows."""
    mask = np.zeros(catalogue.count, np.bool_)
    mask[np.fromiter(rows, np.int64)] = True
    return mask


def build_eligible(exclusions: Mapping[str, Mask], count: int) -> Eligible:
    """Exclude rows by reason.

    Args:
        exclusions: Reason to `(n,) bool`, true where the row is out for it; counted in `ORDER`.
        count: n.
    """
    allowed = np.ones(count, np.bool_)
    excluded = dict.fromkeys(ORDER, 0)
    left = count
    for reason in ORDER:
        if reason in exclusions:
            allowed &= ~exclusions[reason]
            now = int(np.count_nonzero(allowed))
            excluded[reason] = left - now
            left = now
    return Eligible(allowed, excluded)
