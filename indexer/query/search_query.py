"""A request with all that ranking needs: query vectors, additive score terms, page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Rows, Vectors
from indexer.query.catalogue import Catalogue
from indexer.query.page import FIRST_PAGE, Page
from indexer.query.query_vectors import QueryVectors
from indexer.query.reasons import build_reasons
from indexer.query.score_terms import ScoreTerm, sum_terms
from indexer.query.taste_contribution import NO_INPUT_TERMS, InputTerms
from indexer.query.term_totals import TermTotals
from indexer.request import Request, Scenario

_SHARE_DECIMALS = 7


@dataclass(frozen=True)
class Query:
    """One request over one catalogue, ready to be searched and ranked.

    The score of a row is its best inner product with a query vector, plus its additive terms.

    Attributes:
        vectors: The query vectors, with the inputs they are sums of.
        row_terms: Row to the reasons of its own terms, each with its `share`.
        catalogue_terms: Terms of the whole catalogue.
        input_terms: Terms that single rows get from an input of the request.
        page: Which part of the ranking to return.
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
        """The sum of all additive terms for each row."""
        catalogue_sums = sum_terms(self.catalogue_terms)
        if not self.row_terms:
            return self.input_terms.totals.add_catalogue_sums(catalogue_sums)
        row_shares = [
            (row, term["share"]) for row, reasons in self.row_terms.items() for term in reasons
        ]
        rows = np.array([row for row, _ in row_shares], np.int64)
        values = np.array([value for _, value in row_shares], np.float32)
        return TermTotals.sum_by_row(
            np.concatenate([self.input_terms.rows, rows]),
            np.concatenate([self.input_terms.values, values]),
            catalogue_sums=catalogue_sums,
        )

    @cached_property
    def pins(self) -> list[tuple[int, int]]:
        """Row and rank (from 1) of the pinned items that the catalogue has, by rank."""
        known = self.catalogue.rows([pin.item_id for pin in self.request.pin])
        return [(known[p.item_id], p.rank) for p in self.request.pin if p.item_id in known]

    @property
    def is_reranked(self) -> bool:
        """Whether the order differs from that of the scores, so that later pages must keep it."""
        request = self.request
        return bool(request.diversity or request.pin or request.explore) or self.page.keeps_order

    def find_rows(self, ids: Sequence[str]) -> Rows:
        """Return the rows of the ids that the catalogue has, `(m,) int64`, in order of the ids."""
        known = self.catalogue.rows(ids)
        return np.array([known[item_id] for item_id in ids if item_id in known], np.int64)

    def explain_rows(
        self, rows: Rows, stored: Vectors, winners: NDArray[np.int64]
    ) -> list[list[dict[str, Any]]]:
        """Return the reasons of h rows, whose shares sum to their scores, the largest first.

        Args:
            rows: `(h,) int64`, rows in the catalogue.
            stored: `(h, d) float32`, their item vectors.
            winners: `(h,) int64`, index of the query vector with the largest inner product.
        """
        shares = self.vectors.split_scores(stored, winners)
        if len(self.input_terms.rows):
            self.input_terms.add_to_shares(shares, rows)
        shares = shares.round(_SHARE_DECIMALS)  # more would only make an answer longer
        return [
            build_reasons(self.vectors.inputs, own, self._list_term_reasons(row))
            for row, own in zip(rows.tolist(), shares, strict=True)
        ]

    def _list_term_reasons(self, row: int) -> list[Mapping[str, Any]]:
        """Return the reasons of a row that come from no input."""
        reasons: list[Mapping[str, Any]] = [*self.row_terms.get(row, ())]
        for term in self.catalogue_terms:
            reasons += term.explain_row(row)
        return reasons
