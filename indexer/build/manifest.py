"""The state of a build to the manifest of its snapshot and to the summary for the caller."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.ann import Layout
from indexer.build.context import BuildContext
from indexer.build.options import BuildSummary
from indexer.errors import SnapshotError
from indexer.reading import Source
from indexer.snapshot import CatalogueStats, Manifest

_COUNTS_OF_THE_CATALOGUE = ("items", "rejected", "duplicates")


def build_manifest(
    context: BuildContext,
    sources: Sequence[Source],
    stats: CatalogueStats,
    layout: Layout,
    index: dict[str, Any],
    *,
    learned: bool,
) -> Manifest:
    """Return the manifest of a build, without the checksums of its files.

    Args:
        context: Of the build.
        sources: What the items were read from.
        stats: Facts about the catalogue.
        layout: Widths of the blocks of an item vector.
        index: What `build_index_file` returned.
        learned: Whether there is a taste model.
    """
    encoder = context.encoder_selection.record()
    return Manifest(
        id=f"{context.started_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        created_at=context.started_at.isoformat(timespec="seconds"),
        encoder=encoder.fingerprint,
        encoder_source=encoder.source,
        encoder_stamp=encoder.stamp,
        probe=encoder.probe,
        language=stats.language,
        rating_scale=stats.rating_scale,
        layout=layout,
        index=index,
        counts=context.counts,
        sources=tuple(_name_source(str(source)) for source in sources),
        parent=context.parent.id,
        applied_seq=context.options.applied_seq,
        learned=learned,
        interactions=context.event_reading.to_json() if learned else {},
        content=context.content_hash,
        inputs=context.inputs_hash,
    )


def _name_source(source: str) -> str:
    """A file's name without its folder; of a URL only the scheme, since it may hold a password."""
    return Path(source).name if "://" not in source else source.split("://")[0]


def summarise_build(context: BuildContext, manifest: Manifest) -> BuildSummary:
    """Return the summary of a build that published a snapshot."""
    return _summarise(context, manifest, unchanged=False)


def summarise_unchanged(context: BuildContext) -> BuildSummary:
    """Return the summary of a build that published nothing, since nothing has changed.

    Raises:
        SnapshotError: If the live snapshot has gone in the meantime.
    """
    live_manifest = context.parent.manifest
    if live_manifest is None:
        raise SnapshotError(f"{context.root} has no live snapshot; run the build again")
    context.counts |= {name: live_manifest.counts[name] for name in _COUNTS_OF_THE_CATALOGUE}
    return _summarise(context, live_manifest, unchanged=True)


def _summarise(context: BuildContext, manifest: Manifest, *, unchanged: bool) -> BuildSummary:
    return BuildSummary(
        snapshot=manifest.id,
        index=manifest.index["kind"],
        recall=manifest.index["recall"],
        bytes_per_vector=manifest.index["bytes_per_vector"],
        index_note=manifest.index.get("note", ""),
        unchanged=unchanged,
        seconds=round((datetime.now(UTC) - context.started_at).total_seconds(), 2),
        out=str(context.root),
        notes=tuple(context.notes),
        findings=context.findings.to_json(),
        **context.counts,
    )
