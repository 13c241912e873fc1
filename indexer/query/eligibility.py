"""A request to the rows that may be recommended, and the number excluded for each reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from indexer.ann import AllowedRows
from indexer.arrays import Mask, Rows
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
        rows: The rows that are left.
        excluded: Reason to the number of rows excluded for it, in the order of `ORDER`.
    """

    rows: AllowedRows
    excluded: Mapping[str, int]

    @classmethod
    def from_mask(cls, mask: Mask, excluded: Mapping[str, int]) -> "Eligible":
        """Return the rows that a mask, `(n,) bool`, allows."""
        return cls(AllowedRows.from_mask(mask), excluded)

    def exclude(self, reason: str, left: AllowedRows) -> "Eligible":
        """Return the rows that are left, with the others counted under a reason."""
        return Eligible(left, {**self.excluded, reason: self.rows.count - left.count})

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.rows.count


@dataclass(frozen=True, slots=True)
class Availability:
    """The rows whose items exist and can be had, the same for every request.

    Attributes:
        rows: The rows that are left.
        excluded: The number of rows by reason, "deleted" and "unavailable".
    """

    rows: AllowedRows
    excluded: Mapping[str, int]


def compute_availability(catalogue: Catalogue) -> Availability:
    """Return which rows of a catalogue are neither deleted nor unavailable."""
    rows = AllowedRows.all_of(catalogue.count)
    deleted_count = 0
    if catalogue.deleted is not None:
        rows = rows.intersect(~catalogue.deleted)
        deleted_count = catalogue.count - rows.count
    before = rows.count
    if "available" in catalogue.schema.fields:
        out_of_stock = parse_filter({"available": False}, catalogue.schema)
        rows = rows.intersect(~catalogue.mask(out_of_stock))
    return Availability(rows, {"deleted": deleted_count, "unavailable": before - rows.count})


def select_eligible(catalogue: Catalogue, request: Request, scenario: Scenario) -> Eligible:
    """Return the eligible rows of a request, before `min_score` and caps.

    Raises:
        FilterError: If a filter does not fit the catalogue.
        RequestError: If `request.fields` names a field that the catalogue does not have.
    """
    if request.fields:
        requested_fields = (name for name in request.fields if name != "id")
        refuse_unknown(requested_fields, catalogue.schema.fields, "fields")
    available = catalogue.availability
    eligible = Eligible(available.rows, {**dict.fromkeys(ORDER, 0), **available.excluded})
    if request.exclude:
        requested = find_rows(catalogue, request.exclude)
        eligible = eligible.exclude("requested", eligible.rows.drop(requested))
    if not includes_seen(request, scenario):
        seen = find_rows(catalogue, _collect_seen_ids(request, scenario))
        eligible = eligible.exclude("seen", eligible.rows.drop(seen))
    passing = compute_filter_mask(catalogue, request, scenario)
    if passing is not None:
        eligible = eligible.exclude("filter", eligible.rows.intersect(passing))
    return eligible


def find_rows(catalogue: Catalogue, ids: Sequence[str]) -> Rows:
    """Return the rows of the ids that the catalogue has, `(m,) int64`, in order of the ids."""
    found = catalogue.rows(ids)
    return np.fromiter(found.values(), np.int64, len(found))


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
