"""A request to the rows that may be recommended, and the number excluded for each reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from indexer.arrays import Mask
from indexer.errors import FilterError
from indexer.metadata import parse_filter
from indexer.query.catalogue import Catalogue
from indexer.request import Request, Scenario, refuse_unknown

# A row excluded for several reasons is counted at the first of them.
ORDER = ("deleted", "unavailable", "requested", "seen", "filter", "min_score", "cap")


@dataclass(frozen=True, slots=True)
class Eligible:
    """The rows that may be recommended, and how many are excluded for which reason.

    Attributes:
        allowed: `(n,) bool`.
        excluded: Reason to the number of rows excluded for it, in the order of `ORDER`.
    """

    allowed: Mask
    excluded: Mapping[str, int]

    @property
    def count(self) -> int:
        """Number of allowed rows."""
        return int(np.count_nonzero(self.allowed))


def select_eligible(catalogue: Catalogue, request: Request, scenario: Scenario) -> Eligible:
    """Return the eligible rows of a request, before `min_score` and caps.

    Raises:
        FilterError: If a filter does not fit the catalogue.
        RequestError: If `request.fields` names a field that the catalogue does not have.
    """
    requested_fields = (name for name in request.fields or () if name != "id")
    refuse_unknown(requested_fields, catalogue.schema.fields, "fields")
    exclusions: dict[str, Mask] = {}
    if catalogue.deleted is not None:
        exclusions["deleted"] = catalogue.deleted
    if "available" in catalogue.schema.fields:
        out_of_stock = parse_filter({"available": False}, catalogue.schema)
        exclusions["unavailable"] = catalogue.mask(out_of_stock)
    exclusions["requested"] = build_mask(catalogue, catalogue.rows(request.exclude).values())
    if not includes_seen(request, scenario):
        seen = catalogue.rows(_collect_seen_ids(request, scenario))
        exclusions["seen"] = build_mask(catalogue, seen.values())
    passing = compute_filter_mask(catalogue, request, scenario)
    if passing is not None:
        exclusions["filter"] = ~passing
    return build_eligible(exclusions, catalogue.count)


def compute_filter_mask(catalogue: Catalogue, request: Request, scenario: Scenario) -> Mask | None:
    """Return which rows pass the filters of request and scenario, `(n,) bool`; None without one.

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
    """Return whether items the user has met may be recommended again."""
    return scenario.include_seen if request.include_seen is None else request.include_seen


def _collect_seen_ids(request: Request, scenario: Scenario) -> list[str]:
    """Return the ids to exclude as seen, from the history of the request and from stored events.

    `include_seen: false` in the request excludes the items of all events but searches and
    impressions, even if the scenario's `hidden_by` lists only some events.
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
    """Return `(n,) bool`, true at the rows."""
    mask = np.zeros(catalogue.count, np.bool_)
    mask[np.fromiter(rows, np.int64)] = True
    return mask


def build_eligible(exclusions: Mapping[str, Mask], count: int) -> Eligible:
    """Combine exclusions into the rows that are left.

    Args:
        exclusions: Reason, one of `ORDER`, to `(n,) bool`, true where a row is excluded.
        count: Number of rows, n.
    """
    allowed = np.ones(count, np.bool_)
    excluded = dict.fromkeys(ORDER, 0)
    remaining = count
    for reason in ORDER:
        if reason in exclusions:
            allowed &= ~exclusions[reason]
            still_allowed = int(np.count_nonzero(allowed))
            excluded[reason] = remaining - still_allowed
            remaining = still_allowed
    return Eligible(allowed, excluded)
