"""A catalogue to a published index: built, examined, and published or refused."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from indexer.build import (
    BuildOptions,
    BuildSummary,
    FinishedBuild,
    StageProgress,
    build_snapshot,
    override_options,
)


def build_index(
    catalog: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    report: StageProgress | None = None,
    options: BuildOptions | None = None,
    **overrides: Any,
) -> BuildSummary:
    """Build an index over a catalogue and publish it in `out`.

    Args:
        catalog: Files (JSONL, CSV, TSV, Parquet, each plain or .gz) or SQLAlchemy URLs.
        out: Index directory; a running service picks the new snapshot up by itself.
        report: Called with (stage, done, total) for a progress bar.
        options: All options at once; `overrides` keywords override single ones.
        overrides: `query` (SQL for URLs), `model` (name or directory; default the bundled
            multilingual one; "none" if every row has a vector), `fields` (our field -> theirs),
            `interactions` (file or URL to learn taste from), `interactions_query` (SQL for that
            URL), `context` (its columns that are known when asking), `rating_scale` (default:
            inferred from the data), `index` ("auto", "flat", "hnsw", "ivf" or a FAISS factory
            string), `min_recall` (that the index must reach for every kind of request),
            `max_rejected` (share), `force_full` (encode all anew), `since` ("last": publish
            nothing if nothing has changed, keep what was tuned), `evaluate_release` (compare what was
            learned with the live snapshot, and keep a report of it), `force` (publish it even if
            it is clearly worse), `tune_encoder` (tune the model's last layer on the interactions,
            and keep it if that is clearly better),
            `notice` (is told in a sentence when all must be encoded anew, and what came of tuning
            the encoder), `encoder` (an object in
            place of a model name), `changes` (what has changed since the catalogue was written; it
            beats the catalogue), `live_events` (to learn from after the interactions), `is_erased`
            (which interactions to leave out), `applied_seq` (number of the last change).

    Raises:
        TypeError: If there is no such option.
        CatalogError: If an option is out of its range, a source cannot be read, or too many rows
            are bad; nothing is published.
        SnapshotError: If another build is running in `out`, or it cannot be written.
        EncoderUnavailableError: If the model cannot be loaded.
        ReleaseError: If what was learned is clearly worse than what is live.
    """
    sources = [catalog] if isinstance(catalog, str | Path) else list(catalog)
    picked = override_options(options or BuildOptions(), overrides)
    return build_snapshot(
        [str(source) for source in sources],
        Path(out),
        picked,
        report=report or (lambda *_: None),
        examine=partial(examine_build, force=picked.force) if picked.examine else None,
    )


def examine_build(finished: FinishedBuild, *, report: StageProgress, force: bool) -> dict[str, Any]:
    """Compare what was learned with the live snapshot; refuse what is clearly worse.

    Raises:
        ReleaseError: If it is refused.
    """
    from indexer.release.report import evaluate_release, record_decision

    told = evaluate_release(finished, report=report)
    record_decision(told, finished, force=force)
    return told
