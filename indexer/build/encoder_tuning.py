"""Interactions to a tuned last layer of the encoder, kept only if recommendations get better.

The layer learns from the older interactions which items are picked after which. The catalogue is
encoded again with it, and both encoders are compared by NDCG@10 on the newest interactions, each
with a taste model fitted on what lies before those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.build.raw_vectors import EncodedCatalogue, StagedCatalogue, encode_catalogue
from indexer.language import (
    Encoder,
    NextItemExamples,
    VectorCache,
    describe_item,
    load_encoder,
    tune_layer,
)
from indexer.metrics import compute_ndcg10
from indexer.progress import StageProgress
from indexer.reading import Interaction
from indexer.snapshot import TUNED_LAYER_FILE
from indexer.taste import (
    MIN_CASES,
    MIN_REPEAT_SHARE,
    STANDARD_ERRORS,
    WINDOW_COUNT,
    WINDOW_SHARE,
    Events,
    Scorer,
    Window,
    build_events,
    build_next_item_examples,
    compute_ranks,
    compute_repeat_share,
    compute_standard_error,
    fit_blocks,
    fit_taste,
    split_windows,
)

MIN_EXAMPLES = 1_000
# Held out from tuning: the window that both encoders are compared on, and before it the windows
# that taste is tuned on, so that neither was learned from.
_HOLDOUT_SHARE = (WINDOW_COUNT + 1) * WINDOW_SHARE

Meaning = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TuningOutcome:
    """How the tuned encoder compared.

    Attributes:
        report: For `report.json`: `kept`, and either the figures of `compare_encoders` or a
            `reason` why nothing was compared.
        encoded_count: Texts that the tuned encoder has encoded.
        tuned_catalogue: The catalogue as the tuned encoder sees it; None if it is not kept.
    """

    report: dict[str, Any]
    encoded_count: int = 0
    tuned_catalogue: EncodedCatalogue | None = field(default=None, repr=False)

    def describe(self) -> str:
        """Return the outcome as a sentence for people."""
        if "reason" in self.report:
            return f"the encoder is not tuned: {self.report['reason']}"
        before, after = self.report["ndcg10"]["before"], self.report["ndcg10"]["tuned"]
        outcome = "is kept" if self.report["kept"] else "is not kept, for it is not clearly better"
        return (
            f"the tuned encoder {outcome}: NDCG@10 {after:.4f} against {before:.4f} on "
            f"{self.report['cases']} picks (difference {self.report['difference']:+.4f}, two "
            f"standard errors {self.report['two_standard_errors']:.4f})"
        )


def try_tuning(
    model: str | None,
    untuned: EncodedCatalogue,
    catalogue: StagedCatalogue,
    interactions: Sequence[Interaction],
    *,
    folder: Path,
    report: StageProgress,
) -> TuningOutcome:
    """Tune the last layer, encode the catalogue with it, and compare.

    Args:
        model: As `load_encoder` takes it.
        untuned: The catalogue as the untuned encoder sees it.
        catalogue: The items.
        interactions: All of them.
        folder: Must not exist; the layer and the tuned encoder's raw vectors are written there.
        report: Called with the progress.

    Raises:
        EncoderUnavailableError: If the model's last layer cannot be tuned.
    """
    ids = catalogue.stats.ids
    events = build_events(interactions, ids)
    examples = _collect_examples(events, catalogue)
    if len(examples) < MIN_EXAMPLES:
        return TuningOutcome({"kept": False, "reason": _explain_too_few(len(examples))})
    encoder = _tune_encoder(model, catalogue, examples, folder, report)
    cache = VectorCache(folder / "encoded.bin", catalogue.dim)
    tuned = encode_catalogue(catalogue, encoder, cache, folder=folder, report=report)
    report("compare encoders", 0, 0)
    comparison = compare_encoders(events, untuned.compute_meaning, tuned.compute_meaning, ids)
    return TuningOutcome(comparison, tuned.encoded_count, tuned if comparison["kept"] else None)


def _collect_examples(events: Events, catalogue: StagedCatalogue) -> NextItemExamples:
    """Picks of the older events with what was picked before, between items that have no vector."""
    has_text = np.array([item.vector is None for item in catalogue.staging.iter_items()], bool)
    return build_next_item_examples(events, holdout_share=_HOLDOUT_SHARE).keep_known(has_text)


def _explain_too_few(example_count: int) -> str:
    return (
        f"{example_count} liked picks with an earlier one before them are too few, it takes "
        f"{MIN_EXAMPLES}, among the oldest {1 - _HOLDOUT_SHARE:.0%} and of items that have no "
        f"vector of their own"
    )


def _tune_encoder(
    model: str | None,
    catalogue: StagedCatalogue,
    examples: NextItemExamples,
    folder: Path,
    report: StageProgress,
) -> Encoder:
    """Tune the last layer, save it in a new folder, and load the encoder with it."""
    rows = examples.collect_rows()
    layer = tune_layer(
        model,
        _describe_rows(catalogue, set(rows.tolist())),
        examples.renumber(rows),
        seed=0,
        progress=lambda done, total: report("tune encoder", done, total),
    )
    folder.mkdir()
    layer.save(folder / TUNED_LAYER_FILE)
    return load_encoder(model, layer=folder / TUNED_LAYER_FILE)


def _describe_rows(catalogue: StagedCatalogue, rows: set[int]) -> list[str]:
    """Texts of the items in some rows, in order of row."""
    return [
        describe_item(item.fields, rating_scale=catalogue.stats.rating_scale)
        for row, item in enumerate(catalogue.staging.iter_items())
        if row in rows
    ]


def compare_encoders(
    events: Events,
    before: Callable[[], Meaning],
    tuned: Callable[[], Meaning],
    item_ids: Sequence[str],
) -> dict[str, Any]:
    """Compare two encoders on the newest events, each with taste fitted on the older ones.

    The tuned encoder is kept if the mean difference of NDCG@10, paired by case, exceeds two
    standard errors; these are clustered by user, since cases of one user are not independent.

    Args:
        events: All of them.
        before: Returns the untuned meaning of the items, `(n, m) float32`; called at most once.
        tuned: The same of the tuned encoder.
        item_ids: `n` ids.

    Returns:
        `kept`, `cases`, `ndcg10` of both, the paired `difference` and its `two_standard_errors`;
        or `kept` and a `reason`.
    """
    repeats = compute_repeat_share(events) >= MIN_REPEAT_SHARE
    windows = split_windows(events, repeats=repeats, count=1, seed=0)
    users = len(np.unique(windows[0].cases.user)) if windows else 0
    if users < MIN_CASES:
        reason = f"the newest picks are of {users} users, it takes {MIN_CASES} to judge by"
        return {"kept": False, "reason": reason}
    window = windows[0]
    ndcg10_before, ndcg10_tuned = (
        _compute_ndcg10(window, compute_meaning(), item_ids, repeats=repeats)
        for compute_meaning in (before, tuned)
    )
    paired = ndcg10_tuned - ndcg10_before
    _, user = np.unique(window.cases.user, return_inverse=True)
    noise = STANDARD_ERRORS * compute_standard_error(paired, user)
    return {
        "kept": bool(paired.mean() > noise),
        "cases": len(paired),
        "ndcg10": {"before": float(ndcg10_before.mean()), "tuned": float(ndcg10_tuned.mean())},
        "difference": float(paired.mean()),
        "two_standard_errors": noise,
    }


def _compute_ndcg10(
    window: Window, meaning: Meaning, item_ids: Sequence[str], *, repeats: bool
) -> NDArray[np.float64]:
    """`(c,)`, NDCG@10 of each case of a window with the taste fitted on what lies before it."""
    settings = fit_taste(window.train, item_ids, meaning).settings
    blocks = fit_blocks(window.train, meaning, settings=settings)
    return compute_ndcg10(compute_ranks(Scorer(blocks, window.cases, repeats), settings))
