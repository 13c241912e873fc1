"""A catalogue to a published index, unless it recommends clearly worse than the live snapshot."""

from functools import partial
from pathlib import Path
from typing import Any, Unpack

from indexer.build import (
    BuildChoices,
    BuildOptions,
    BuildSummary,
    FinishedBuild,
    build_snapshot,
    override_options,
)
from indexer.progress import StageProgress
from indexer.reading import Catalog, to_sources


def build_index(
    catalog: Catalog,
    out: str | Path,
    *,
    report: StageProgress | None = None,
    options: BuildOptions | None = None,
    **chosen: Unpack[BuildChoices],
) -> BuildSummary:
    """Build an index over a catalogue and publish it in `out`.

    Args:
        catalog: A file (JSON, CSV, TSV or Parquet, each plain or .gz), a SQLAlchemy URL, or a
            list of them. Or the rows themselves: an iterable of mappings, which is read once and
            never held in memory as a whole, a pyarrow table, or a dataframe of pandas, polars or
            another library that narwhals knows. They are checked as the rows of a file are.
        out: Index directory; a running service picks the new snapshot up by itself.
        report: Called with (stage, done, total) for a progress bar.
        options: All options at once.
        chosen: Single options, in place of those in `options`; `BuildOptions` describes them.

    Raises:
        TypeError: If there is no such option.
        CatalogError: If an option is out of its range, a source cannot be read, or too many rows
            are bad; nothing is published.
        SnapshotError: If another build is running in `out`, or it cannot be written.
        EncoderUnavailableError: If the model cannot be loaded.
        ReleaseError: If the new snapshot recommends clearly worse than the live one.
    """
    build_options = override_options(options or BuildOptions(), chosen)
    return build_snapshot(
        to_sources(catalog),
        Path(out),
        build_options,
        report=report or (lambda *_: None),
        check_release=partial(check_release, force=build_options.force)
        if build_options.examine
        else None,
    )


def check_release(build: FinishedBuild, *, report: StageProgress, force: bool) -> dict[str, Any]:
    """Compare a build with the live snapshot, and return the release report.

    Raises:
        ReleaseError: If it is clearly worse, unless `force`.
    """
    # Imported here, since a build without a taste model needs none of it.
    from indexer.release.report import evaluate_release, record_or_refuse

    release_report = evaluate_release(build, report=report)
    record_or_refuse(release_report, build, force=force)
    return release_report
