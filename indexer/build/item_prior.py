"""A taste model, or what the catalogue tells of its items, to what is added to their scores."""

import numpy as np

from indexer.build.context import BuildContext
from indexer.build.raw_vectors import EncodedCatalogue
from indexer.build.representatives import (
    REPRESENTATIVE_COUNT,
    compute_representative_scores,
    score_in_order,
)
from indexer.metadata import Columns
from indexer.snapshot import CatalogueStats, ItemPrior, Times
from indexer.taste import TasteModel


def build_item_prior(
    context: BuildContext,
    stats: CatalogueStats,
    taste: TasteModel | None,
    catalogue: EncodedCatalogue,
    arrivals: Times,
) -> ItemPrior:
    """Return the prior that was learned, or ratings if none was.

    Without one, the first of a list for nobody are the items that most people picked, or where
    nobody picked anything those that represent the catalogue.

    Args:
        context: Of the build; the columns are written already.
        stats: Of the items.
        taste: What was learned; None if there are no interactions.
        catalogue: The items as the build's encoder sees them.
        arrivals: `(n,)`, when each item arrived.
    """
    if taste is not None and taste.has_prior:
        return ItemPrior(taste.prior, taste.newness)
    if taste is not None and taste.has_picks:
        picked = np.argsort(-taste.picks, kind="stable")[:REPRESENTATIVE_COUNT]
        popular = score_in_order(picked[taste.picks[picked] > 0], stats)
        return ItemPrior(stats.rating_prior + popular, popular)
    representatives = compute_representative_scores(
        Columns.open(context.work / "columns"),
        stats,
        arrivals,
        lambda rows: catalogue.space.map_items(catalogue.raw[rows].astype(np.float32)),
    )
    return ItemPrior(stats.rating_prior + representatives, representatives)
