"""A request made ready for search: its vectors, what is added to their products, which page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from indexer.arrays import Rows
from indexer.query.additive import TermTotals
from indexer.query.catalogue import Catalogue
from indexer.query.inputs import QueryVectors, build_reasons
from indexer.query.page import FIRST_PAGE, Page
from indexer.query.score_terms import ScoreTerm, sum_terms
from indexer.query.taste_contribution import NO_INPUT_TERMS, InputTerms
from indexer.request import Request, Scenario


@dataclass(frozen=True)
class Query:
    """One request, read.

    Attributes:
        row_terms: Row to additive terms of its own, each with its share.
        catalogue_terms: Terms of the whole catalogue.
        input_terms: Additive terms that an input of the request earned.
        page: Which part of the ranking.
    """

    catalogue: Catalogue
    request: Request
    scenario: Scenario
    vectors: QueryVectors
    row_terms: Mapping[int, Sequence[dict[str, Any]]]
    catalogue_terms: Sequence[ScoreTerm] = ()
    input_terms: InputTerms = NO_INPUT_TERMS
    page: Page = FIRST_PAGE

    @cached_property
    def term_totals(self) -> TermTotals:
        """The sum of all terms by row."""
        row_shares = [
            (row, term["share"]) for row, reasons in self.row_terms.items() for term in reasons
        ]
        rows = np.array([row for row, _ in row_shares], np.int64)
        values = np.array([value for _, value in row_shares], np.float32)
        return TermTotals.sum_by_row(
            np.concatenate([self.input_terms.rows, rows]),
            np.concatenate([self.input_terms.values, values]),
            everywhere=sum_terms(self.catalogue_terms),
        )

    @cached_property
    def pins(self) -> list[tuple[int, int]]:
        """Row and rank (from 1) of the pins that the catalogue knows, by rank."""
        known = self.catalogue.rows([pin.item_id for pin in self.request.pin])
        return [(known[p.item_id], p.rank) for p in self.request.pin if p.item_id in known]

    @property
    def is_reranked(self) -> bool:
        """Whether ranks follow anything but the score, so that later pages keep the order."""
        request = self.request
        given = request.diversity or request.pin or request.explore
        return bool(given) or self.page.keeps_order

    def find_rows(self, ids: Sequence[str]) -> Rows:
        """The rows of those ids that the catalogue has, in order of the ids."""
        known = self.catalogue.rows(ids)
        return np.array([known[item_id] for item_id in ids if item_id in known], np.int64)

    def explain_row(self, row: int, stored: Any, winner: int) -> list[dict[str, Any]]:
        """Tell the score of a row with its stored vector `(d,)` as shares, largest first."""
        shares = self.vectors.split_score(stored, winner)
        shares += self.input_terms.sum_by_input(row, len(shares))
        own = [reason for term in self.catalogue_terms for reason in term.told(row)]
        return build_reasons(self.vectors.inputs, shares, [*self.row_terms.get(row, ()), *own])
