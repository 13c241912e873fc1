"""Interactions to a taste model in a working folder: read, left out, fitted, saved."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.build_options import BuildOptions
from indexer.errors import CatalogError
from indexer.reading.catalog import Rejection, rejection_line
from indexer.reading.interactions import Interaction, read_interactions
from indexer.taste.model import TasteModel

_LEAST_LIVE_EVENTS = 1_000  # fewer, and no file of interactions: there is nothing to learn yet


def has_lessons(options: BuildOptions) -> bool:
    """Whether a build has anything to learn from."""
    return options.interactions is not None or len(options.live_events) >= _LEAST_LIVE_EVENTS


def read_lessons(options: BuildOptions, work: Path, counts: dict[str, int]) -> list[Interaction]:
    """Return the good rows and the live events, without those of users who were erased.

    Args:
        options: Of the build.
        work: Working folder; bad rows are added to its rejected.jsonl.
        counts: What was read and rejected is counted here.

    Raises:
        CatalogError: If the source cannot be read or too many rows are bad.
    """
    rows: Sequence[Interaction] = ()
    if options.interactions is not None:
        rows = _good_rows(options.interactions, options, work, counts)
    is_erased = options.is_erased or (lambda _: False)
    found = [row for row in (*rows, *options.live_events) if not is_erased(row)]
    counts["interactions"] = len(found)
    return found


def learn(
    interactions: Sequence[Interaction],
    ids: Sequence[str],
    meaning: NDArray[np.float32],
    *,
    folder: Path,
) -> TasteModel:
    """Fit taste and save it in a new folder."""
    from indexer.taste.fit import fit_taste

    model = fit_taste(interactions, ids, meaning)
    folder.mkdir()
    model.save(folder)
    return model


def _good_rows(
    source: str, options: BuildOptions, work: Path, counts: dict[str, int]
) -> list[Interaction]:
    found = []
    rows = read_interactions(
        source, context=options.context, mapping=options.fields, query=options.interactions_query
    )
    with (work / "rejected.jsonl").open("a", encoding="utf-8") as rejected:
        for row in rows:
            if isinstance(row, Rejection):
                counts["rejected_interactions"] += 1
                rejected.write(rejection_line(row) + "\n")
            else:
                found.append(row)
    bad = counts["rejected_interactions"]
    if bad > options.max_rejected * (bad + len(found)):
        raise CatalogError(
            f"{bad} of {bad + len(found)} rows of {source} are bad, more than the "
            f"{options.max_rejected:.2%} allowed; fix them or raise --max-rejected"
        )
    return found
