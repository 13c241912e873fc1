"""A request made ready for search: its vectors, what is added to their products, which page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from indexer.arrays import Rows
from indexer.query.additive import Additive
from indexer.query.catalogue import Catalogue
from indexer.query.inputs import RequestVectors, reasons_of
from indexer.query.page import FIRST_PAGE, Page
from indexer.query.score_terms import Term, total
from indexer.query.taste_contribution import NO_TERMS, NamedTerms
from indexer.request import Request, Scenario


@dataclass(frozen=True)
class Question:
    """One request, read.

    Attributes:
        terms: Row to additive terms of its own, each with its share.
        everywhere: Terms of the whole catalogue.
        learned: Additive terms that an input of the request earned.
        page: Which part of the ranking.
    """

    catalogue: Catalogue
    request: Request
    scenario: Scenario
    weighed: RequestVectors
    terms: Mapping[int, Sequence[dict[str, Any]]]
    everywhere: Sequence[Term] = ()
    learned: NamedTerms = NO_TERMS
    page: Page = FIRST_PAGE

    @cached_property
    def additive(self) -> Additive:
        """The sum of all terms by row."""
        told = [(row, term["share"]) for row, terms in self.terms.items() for term in terms]
        rows = np.array([row for row, _ in told], np.int64)
        values = np.array([value for _, value in told], np.float32)
        return Additive.summed(
            np.concatenate([self.learned.rows, rows]),
            np.concatenate([self.learned.values, values]),
            everywhere=total(self.everywhere),
        )

    @cached_property
    def pins(self) -> list[tuple[int, int]]:
        """Row and rank (from 1) of the pins that the catalogue knows, by rank."""
        known = self.catalogue.rows([pin.item_id for pin in self.request.pin])
        return [(known[p.item_id], p.rank) for p in self.request.pin if p.item_id in known]

    @property
    def is_arranged(self) -> bool:
        """Whether ranks follow anything but the score, so that later pages keep the order."""
        request = self.request
        given = request.diversity or request.pin or request.explore
        return bool(given) or self.page.settled

    def known_rows(self, ids: Sequence[str]) -> Rows:
        """The rows of those ids that the catalogue has, in order of the ids."""
        known = self.catalogue.rows(ids)
        return np.array([known[item_id] for item_id in ids if item_id in known], np.int64)

    def reasons(self, row: int, stored: Any, winner: int) -> list[dict[str, Any]]:
        """Tell the score of a row with its stored vector `(d,)` as shares, largest first."""
        shares = self.weighed.shares(stored, winner)
        shares += self.learned.shares(row, len(shares))
        own = [reason for term in self.everywhere for reason in term.told(row)]
        return reasons_of(self.weighed.signals, shares, [*self.terms.get(row, ()), *own])
