"""A catalogue to a published snapshot: the stages of a build, in order.

    rows -> items -> texts -> raw vectors -> meaning vectors -> taste model -> index -> snapshot

Each stage writes its files into a hidden working folder, which becomes the snapshot at the end.
"""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexer.ann import IndexOptions, Layout, build_index_file, check_index_name
from indexer.build.arrivals import store_arrivals
from indexer.build.build_hashes import hash_content, hash_inputs
from indexer.build.collector import REJECTED_FILE, ItemCollector
from indexer.build.context import BuildContext
from indexer.build.encoder_tuning import try_tuning
from indexer.build.finished import FinishedBuild, ReleaseCheck
from indexer.build.folder import (
    explain_full_disk,
    keep_rejections,
    lock_directory,
    open_working_folder,
)
from indexer.build.item_files import store_items
from indexer.build.item_prior import build_item_prior
from indexer.build.manifest import build_manifest, summarise_build, summarise_unchanged
from indexer.build.options import BuildOptions, BuildSummary
from indexer.build.raw_vectors import EncodedCatalogue, StagedCatalogue, encode_catalogue
from indexer.build.staging import Staging
from indexer.build.taste_training import LearnedTaste, learn_taste
from indexer.build.training_data import count_matches, has_training_data
from indexer.errors import CatalogError
from indexer.language import SPACE_FILE
from indexer.progress import StageProgress
from indexer.reading import ItemNames, Source
from indexer.snapshot import (
    TUNED_LAYER_FILE,
    BlockVectors,
    CatalogueStats,
    ItemPrior,
    Manifest,
    collect_file_facts,
    publish,
)
from indexer.taste import parse_settings_without_newest

# Of the raw vectors, up to which the kind, the trained parts and the effort of the live index are
# tried first; its recall is measured anew.
_MAX_CHANGED_SHARE = 0.05


def build_snapshot(
    sources: Sequence[Source],
    root: Path,
    options: BuildOptions,
    *,
    report: StageProgress,
    check_release: ReleaseCheck | None = None,
) -> BuildSummary:
    """Build a snapshot and publish it.

    Args:
        sources: Files, SQLAlchemy URLs or rows in memory of the catalogue.
        root: Index directory.
        options: What the caller chose.
        report: Called with (stage, done, total).
        check_release: Decides whether a build with a taste model is published; None: it is.

    Raises:
        CatalogError: If a source cannot be read, or too many rows are bad; nothing is published.
        SnapshotError: If another build is running in `root`, or it cannot be written.
        EncoderUnavailableError: If the model cannot be loaded.
        ReleaseError: If `check_release` refuses the build.
    """
    check_index_name(options.index)
    if options.tune_encoder and not has_training_data(options):
        raise CatalogError(
            "tune_encoder has nothing to learn from; give interactions (--interactions)"
        )
    with (
        lock_directory(root),
        open_working_folder(root) as work,
        explain_full_disk(root),
        keep_rejections(work / REJECTED_FILE, root / REJECTED_FILE),
    ):
        return _run(BuildContext(root, work, options, report), sources, check_release)


def _run(
    context: BuildContext, sources: Sequence[Source], check_release: ReleaseCheck | None
) -> BuildSummary:
    """Read, encode, write and publish; stop as soon as it is known that nothing has changed."""
    _hash_inputs(context, sources)
    if context.is_unchanged():
        return summarise_unchanged(context)
    staging = Staging(context.work / "staging.sqlite")
    try:
        dim = _read_items(context, sources, staging)
        _hash_content(context, staging)
        if context.is_unchanged():
            return summarise_unchanged(context)
        stats, catalogue = _encode_items(context, staging, dim)
    finally:
        staging.close()
        (context.work / "staging.sqlite").unlink()
    manifest = _write_files(context, sources, stats, catalogue, check_release)
    publish(context.work, context.root, manifest)
    context.encoder_selection.delete_journal()
    context.trials_file.unlink(missing_ok=True)
    return summarise_build(context, manifest)


def _hash_inputs(context: BuildContext, sources: Sequence[Source]) -> None:
    """Set the hashes of the inputs, now and before the last import."""
    hashes = [
        hash_inputs(options, sources, context.encoder_selection, context.learned_weights)
        for options in (context.options, context.options.restore_before_import())
        if options is not None
    ]
    context.inputs_hash, context.inputs_hash_before_import = (*hashes, "")[:2]


def _hash_content(context: BuildContext, staging: Staging) -> None:
    """Set the hashes of the content, now and before the last import."""
    digest = staging.compute_digest()
    hashes = [
        hash_content(options, digest, context.encoder_selection, context.learned_weights)
        for options in (context.options, context.options.restore_before_import())
        if options is not None
    ]
    context.content_hash, context.content_hash_before_import = (*hashes, "")[:2]


def _read_items(context: BuildContext, sources: Sequence[Source], staging: Staging) -> int:
    """Stage the items; return the width of their raw vectors."""
    collector = ItemCollector(
        context.options,
        lambda: context.encoder_selection.encoder,
        staging,
        context.report,
        context.reading_notes,
    )
    summary = collector.collect(sources, context.work)
    context.counts |= {
        "items": summary.items,
        "rejected": summary.rejected,
        "duplicates": summary.duplicates,
    }
    context.findings = summary.findings
    if context.options.notice:
        for line in summary.findings.render():
            context.options.notice(line)
    return summary.dim


def _encode_items(
    context: BuildContext, staging: Staging, dim: int
) -> tuple[CatalogueStats, EncodedCatalogue]:
    """Write the items' own files and their raw vectors, with a tuned encoder if that is wanted."""
    options, report = context.options, context.report
    stats = store_items(
        staging, context.counts["items"], context.work, options.rating_scale, report
    )
    _match_interactions(context, stats)
    staged = StagedCatalogue(staging, stats, dim)
    context.encoder_selection.notify_full_encoding()
    encoder, cache = (
        context.encoder_selection.encoder,
        context.encoder_selection.open_vector_cache(dim),
    )
    encoded = encode_catalogue(
        staged, encoder, cache, folder=context.work, report=report, notice=options.notice
    )
    context.counts |= {"encoded": encoded.encoded_count, "reused": encoded.reused_count}
    if options.tune_encoder:
        encoded = _tune_encoder(context, staged, encoded)
    return stats, encoded


def _match_interactions(context: BuildContext, stats: CatalogueStats) -> None:
    """Count the interactions that name an item, before anything expensive; warn if few do.

    Raises:
        CatalogError: If there are interactions of a file, and none does.
    """
    if not has_training_data(context.options) or not stats.ids:
        return
    ids, source = frozenset(stats.ids), context.options.interactions
    context.event_reading.item_names = ItemNames(ids.intersection, context.iterate_items)
    learned = Counter(row.item_id for row in context.interactions if row.item_id)
    count = count_matches(learned, ids, stats.ids[0])
    context.counts["interactions_matched"] = count.matched
    if source is not None:
        count = count_matches(context.training_data.source_items, ids, stats.ids[0])
        count.check(source)
    if count.named and count.is_low:
        question = "is it the right file?" if source else "so says the live store"
        context.note(f"only {count.describe()}; {question}")


def _tune_encoder(
    context: BuildContext, staged: StagedCatalogue, untuned: EncodedCatalogue
) -> EncodedCatalogue:
    """Return the catalogue of the tuned encoder if that is clearly better, else the given one."""
    options, selection = context.options, context.encoder_selection
    folder = context.work / "tuned"
    outcome = try_tuning(
        options.model,
        untuned,
        staged,
        context.interactions,
        folder=folder,
        report=context.report,
    )
    context.encoder_report = outcome.report
    context.counts["encoded"] += outcome.encoded_count
    if options.notice:
        options.notice(outcome.describe())
    tuned = outcome.tuned_catalogue
    if tuned is not None and tuned.encoder is not None:
        for name in ("raw.npy", "hashes.npy", TUNED_LAYER_FILE):
            (folder / name).replace(context.work / name)
        selection.replace_encoder(tuned.encoder)
        _hash_content(context, staged.staging)
    shutil.rmtree(folder, ignore_errors=True)
    return tuned or untuned


def _write_files(
    context: BuildContext,
    sources: Sequence[Source],
    stats: CatalogueStats,
    catalogue: EncodedCatalogue,
    check_release: ReleaseCheck | None,
) -> Manifest:
    """Write the meaning space, the taste model, the index and the report; return the manifest."""
    work = context.work
    catalogue.space.save(work / SPACE_FILE)
    if context.encoder_selection.tuned_layer_file:
        shutil.copyfile(context.encoder_selection.tuned_layer_file, work / TUNED_LAYER_FILE)
    has_data = has_training_data(context.options)
    arrivals = store_arrivals(context, stats)
    learned = learn_taste(context, catalogue, stats.ids, arrivals) if has_data else None
    taste = learned.model if learned else None
    prior = build_item_prior(context, stats, taste, catalogue, arrivals)
    layout, index = _write_index(context, prior, catalogue, learned)
    manifest = build_manifest(context, sources, stats, layout, index, learned=learned is not None)
    release = None
    if learned is not None and check_release is not None:
        build = _finish_build(context, manifest, stats, learned)
        release = check_release(build, report=context.report)
        for warning in release.get("warnings", ()):
            context.note(warning)
    report = {
        "counts": context.counts,
        "learned": learned.report if learned else None,
        "release": release,
    }
    (work / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return replace(manifest, files=collect_file_facts(work))


def _write_index(
    context: BuildContext,
    prior: ItemPrior,
    catalogue: EncodedCatalogue,
    learned: LearnedTaste | None,
) -> tuple[Layout, dict[str, Any]]:
    """Build `index.faiss` over the item vectors; return their layout and facts of the index."""
    taste = learned.model if learned else None
    layout = Layout(
        meaning=catalogue.space.dim, taste=taste.targets.shape[1] if taste else 0, prior_part=1
    )
    index = build_index_file(
        context.work / "index.faiss",
        BlockVectors(catalogue.raw, catalogue.space, layout, prior, taste),
        layout,
        options=_choose_index_options(context, catalogue),
        report=context.report,
    )
    return layout, index


def _choose_index_options(context: BuildContext, catalogue: EncodedCatalogue) -> IndexOptions:
    """The chosen kind and recall; with the live index to start from if few vectors changed."""
    options, parent = context.options, context.parent
    index_options = IndexOptions(options.index, options.min_recall)
    if parent.manifest is None or options.force_full:
        return index_options
    if parent.compute_changed_share(catalogue.raw) > _MAX_CHANGED_SHARE:
        return index_options
    return replace(
        index_options,
        known_facts=parent.manifest.index,
        trained_file=parent.folder / "index.faiss",
    )


def _finish_build(
    context: BuildContext, manifest: Manifest, stats: CatalogueStats, learned: LearnedTaste
) -> FinishedBuild:
    return FinishedBuild(
        root=context.root,
        work=context.work,
        manifest=manifest,
        stats=stats,
        encoder=context.encoder_selection.encoder,
        interactions=context.interactions,
        taste=learned.model,
        kept_settings=learned.kept_settings,
        settings_without_newest=parse_settings_without_newest(learned.model.report),
        min_recall=context.options.min_recall,
    )
