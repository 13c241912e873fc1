"""A request to the rows that may be recommended, and why the others may not."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

import numpy as np

from indexer.ann import Mask
from indexer.caps import Cap
from indexer.catalogue import Catalogue
from indexer.errors import FilterError, RequestError
from indexer.metadata.cells import CellKind
from indexer.metadata.filters import parse_filter
from indexer.request import Request
from indexer.request_values import nearest_known, shown
from indexer.retrieval import Pool, pool_of
from indexer.scenarios import Scenario


def pool_for(catalogue: Catalogue, request: Request, scenario: Scenario) -> Pool:
    """Return what a request may be answered with, before minimum scores and caps.

    Raises:
        FilterError: If a filter does not fit the catalogue.
        RequestError: If it wants fields shown that no item has.
    """
    _refuse_unknown_fields(catalogue, request)
    stages: dict[str, Mask] = {}
    if catalogue.deleted is not None:
        stages["deleted"] = catalogue.deleted
    if "available" in catalogue.schema.fields:
        out_of_stock = parse_filter({"available": False}, catalogue.schema)
        stages["unavailable"] = catalogue.mask(out_of_stock)
    stages["requested"] = mask_of(catalogue, catalogue.rows(request.exclude).values())
    if not includes_seen(request, scenario):
        seen = catalogue.rows(seen_by(request, scenario))
        stages["seen"] = mask_of(catalogue, seen.values())
    passing = filtered(catalogue, request, scenario)
    if passing is not None:
        stages["filter"] = ~passing
    return pool_of(stages, catalogue.count)


def _refuse_unknown_fields(catalogue: Catalogue, request: Request) -> None:
    known = catalogue.schema.fields
    for name in request.fields or ():
        if name not in known and name != "id":
            hint = nearest_known(name, known)
            raise RequestError(f"fields has an unknown field {shown(name)}; {hint}")


def filtered(catalogue: Catalogue, request: Request, scenario: Scenario) -> Mask | None:
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


def seen_by(request: Request, scenario: Scenario) -> list[str]:
    """Return the ids that do not come again, from this request and from what is stored.

    A scenario may hide only what was met in some ways; with `include_seen` false all is hidden.
    """
    if request.include_seen is False:
        scenario = replace(scenario, hidden_by=None)
    told = [
        entry.item_id
        for entry in request.history
        if entry.item_id is not None and scenario.hides(entry.event)
    ]
    if scenario.hidden_by is None:
        return [*told, *request.seen]
    stored = (request.seen_by_event.get(event, ()) for event in scenario.hidden_by)
    return [*told, *chain.from_iterable(stored)]


def caps_of(catalogue: Catalogue, request: Request, scenario: Scenario) -> list[Cap]:
    """Return the caps of a request, or those of its scenario that the catalogue has fields for.

    Raises:
        FilterError: If a request names a field that the catalogue does not have.
    """
    known = catalogue.schema.fields
    given = request.max_per
    if given is None:
        given = {name: most for name, most in scenario.max_per.items() if name in known}
    for name in given:
        if name not in known:
            nearest = catalogue.schema.nearest(name)
            hint = f"did you mean {nearest!r}?" if nearest else "the catalogue has no fields"
            raise FilterError(f"max_per has an unknown field {name[:100]!r}; {hint}")
    return [Cap(catalogue.cells(name, CellKind.KEYS), most) for name, most in given.items()]


def mask_of(catalogue: Catalogue, rows: Iterable[int]) -> Mask:
    """Return `(n,) bool`, set at the rows."""
    mask = np.zeros(catalogue.count, np.bool_)
    mask[np.fromiter(rows, np.int64)] = True
    return mask
