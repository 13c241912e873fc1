"""An encoder with a tuned last layer against the one it comes from, on picks of later days.

items and events -> what was picked after what -> last layer -> raw vectors -> meaning -> NDCG@10

Tuning is kept only if recommendations get better: the layer learns from the older events, and both
encoders are asked about the newest, each with a taste learned upon it in between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.build.options import StageProgress
from indexer.build.raw_vectors import RawVectors
from indexer.build.staging import Staging
from indexer.language import (
    Encoder,
    MeaningSpace,
    Moments,
    VectorCache,
    describe,
    fit_meaning_space,
    iter_chunks,
    load_background,
    load_encoder,
    tune_layer,
)
from indexer.metrics import compute_ndcg10
from indexer.reading import Interaction
from indexer.snapshot import TUNED_LAYER_FILE, CatalogueStats
from indexer.taste import (
    MIN_CASES,
    MIN_REPEAT_SHARE,
    STANDARD_ERRORS,
    WINDOW_COUNT,
    WINDOW_SHARE,
    Events,
    Scorer,
    build_events,
    build_next_item_examples,
    compute_repeat_share,
    compute_standard_error,
    fit_blocks,
    fit_taste,
    split_windows,
)

MIN_SEQUELS = 1_000
# Taste is tuned on windows of what is older than the cases here, and they on none of the lessons.
_HOLDOUT_SHARE = (WINDOW_COUNT + 1) * WINDOW_SHARE

Meaning = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EncodedCatalogue:
    """A catalogue as an encoder sees it.

    Attributes:
        encoder: What made `raw`.
        raw: `(n, d) float16`, unit length.
        space: Fitted to `raw`.
    """

    encoder: Encoder
    raw: NDArray[np.float16]
    space: MeaningSpace

    def compute_meaning(self) -> Meaning:
        """`(n, m) float32`, unit length."""
        return self.space.map_stored_items(self.raw)


@dataclass(frozen=True, slots=True)
class EncoderTrainingData:
    """What an encoder learns from.

    Attributes:
        staging: The items.
        stats: About them.
        interactions: All of them.
    """

    staging: Staging
    stats: CatalogueStats
    interactions: Sequence[Interaction]


@dataclass(frozen=True, slots=True)
class TuningOutcome:
    """What came of tuning.

    Attributes:
        report: For `report.json`: `kept`, and figures or the reason.
        encoded_count: Texts that the tuned encoder has encoded.
        tuned_catalogue: The catalogue as the tuned encoder sees it, if that is better.
    """

    report: dict[str, Any]
    encoded_count: int = 0
    tuned_catalogue: EncodedCatalogue | None = field(default=None, repr=False)

    def describe(self) -> str:
        """What became of it, for people."""
        if "reason" in self.report:
            return f"the encoder is not tuned: {self.report['reason']}"
        before, after = self.report["ndcg10"]["before"], self.report["ndcg10"]["tuned"]
        outcome = "is kept" if self.report["kept"] else "is not kept, for it is not clearly better"
        return (
            f"the tuned encoder {outcome}: NDCG@10 {after:.4f} against {before:.4f} on "
            f"{self.report['cases']} picks (difference {self.report['difference']:+.4f}, two standard "
            f"errors {self.report['two_standard_errors']:.4f})"
        )


def try_tuning(
    model: str | None,
    untuned: EncodedCatalogue,
    data: EncoderTrainingData,
    *,
    folder: Path,
    report: StageProgress,
) -> TuningOutcome:
    """Tune, describe the catalogue anew, and compare.

    Args:
        model: As `load_encoder` takes it.
        untuned: The catalogue as the encoder sees it untuned.
        data: What is learned from.
        folder: New; gets the layer and the raw vectors of the tuned encoder.
        report: Told of stages and how far they are.

    Raises:
        EncoderUnavailableError: If the model's last layer cannot be tuned.
    """
    stats = data.stats
    events = build_events(data.interactions, stats.ids)
    has_text = np.array([item.vector is None for item in data.staging.iter_items()], bool)
    sequels = build_next_item_examples(events, holdout_share=_HOLDOUT_SHARE).keep_known(has_text)
    if len(sequels) < MIN_SEQUELS:
        reason = (
            f"{len(sequels)} liked picks with an earlier one before them are too few, it takes "
            f"{MIN_SEQUELS}, among the oldest {1 - _HOLDOUT_SHARE:.0%} and of items that have no vector "
            f"of their own"
        )
        return TuningOutcome({"kept": False, "reason": reason})
    rows = sequels.collect_rows()
    layer = tune_layer(
        model,
        _describe_rows(data.staging, stats, set(rows.tolist())),
        sequels.renumber(rows),
        seed=0,
        progress=lambda done, total: report("tune encoder", done, total),
    )
    folder.mkdir()
    layer.save(folder / TUNED_LAYER_FILE)
    encoder = load_encoder(model, layer=folder / TUNED_LAYER_FILE)
    vectors = RawVectors(folder, untuned.raw.shape)
    raw = vectors.write(
        data.staging,
        stats.rating_scale,
        encoder,
        VectorCache(folder / "encoded.bin", untuned.raw.shape[1]),
        report,
    )
    moments = Moments.from_chunks(iter_chunks(raw), raw.shape[1])
    tuned = EncodedCatalogue(encoder, raw, fit_meaning_space(moments, load_background(encoder)))
    report("compare encoders", 0, 0)
    comparison = compare_encoders(events, untuned.compute_meaning, tuned.compute_meaning, stats.ids)
    return TuningOutcome(comparison, vectors.encoded_count, tuned if comparison["kept"] else None)


def compare_encoders(
    events: Events,
    before: Callable[[], Meaning],
    tuned: Callable[[], Meaning],
    item_ids: Sequence[str],
) -> dict[str, Any]:
    """Ask about the newest picks with both, each with the taste learned from what is older.

    Args:
        events: All of them.
        before: Gives the items' meaning, `(n, d) float32`; called once.
        tuned: The same by the tuned encoder.
        item_ids: `n` ids.

    Returns:
        `kept`, `cases`, `ndcg10` of both, the paired `difference` and its `two_standard_errors`
        over whole users; or `kept` and a `reason`.
    """
    repeats = compute_repeat_share(events) >= MIN_REPEAT_SHARE
    windows = split_windows(events, repeats=repeats, count=1, seed=0)
    users = len(np.unique(windows[0].cases.user)) if windows else 0
    if users < MIN_CASES:
        reason = f"the newest picks are of {users} users, it takes {MIN_CASES} to judge by"
        return {"kept": False, "reason": reason}
    window = windows[0]
    ndcg10 = []
    for compute_meaning in (before, tuned):
        meaning = compute_meaning()
        settings = fit_taste(window.train, item_ids, meaning).settings
        blocks = fit_blocks(window.train, meaning, settings=settings)
        ndcg10.append(compute_ndcg10(Scorer(blocks, window.cases, repeats).compute_ranks(settings)))
    paired = ndcg10[1] - ndcg10[0]
    _, user = np.unique(window.cases.user, return_inverse=True)
    noise = STANDARD_ERRORS * compute_standard_error(paired, user)
    return {
        "kept": bool(paired.mean() > noise),
        "cases": len(paired),
        "ndcg10": {"before": float(ndcg10[0].mean()), "tuned": float(ndcg10[1].mean())},
        "difference": float(paired.mean()),
        "two_standard_errors": noise,
    }


def _describe_rows(staging: Staging, stats: CatalogueStats, rows: set[int]) -> list[str]:
    """Texts of some rows, ascending."""
    return [
        describe(item.fields, rating_scale=stats.rating_scale)
        for row, item in enumerate(staging.iter_items())
        if row in rows
    ]
