"""A catalogue to a published snapshot: the pipeline, spelled once.

row -> Item -> text -> raw vector -> meaning vector -> index -> snapshot
"""

import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann import IndexOptions, Layout, build_index_file, check_index_name
from indexer.build import taste_training as learning
from indexer.build.collector import ItemCollector
from indexer.build.encoder_selection import EncoderSelection
from indexer.build.finished import Examine, FinishedBuild
from indexer.build.folder import explain_full_disk, lock_directory, open_working_folder
from indexer.build.incremental_reuse import ParentSnapshot, hash_content, hash_inputs
from indexer.build.item_files import store_items
from indexer.build.options import BuildOptions, BuildSummary, StageProgress
from indexer.build.raw_vectors import RawVectors
from indexer.build.staging import Staging
from indexer.errors import CatalogError, SnapshotError
from indexer.language import (
    MeaningSpace,
    Moments,
    build_identity_space,
    fit_meaning_space,
    iter_chunks,
    load_background,
)
from indexer.reading import Interaction
from indexer.snapshot import (
    TUNED_LAYER_FILE,
    BlockVectors,
    CatalogueStats,
    Manifest,
    collect_file_facts,
    publish,
)
from indexer.taste import TasteModel

_COUNT_NAMES = (
    "items",
    "rejected",
    "duplicates",
    "encoded",
    "reused",
    "interactions",
    "rejected_interactions",
)
_MAX_CHANGED_SHARE = 0.01  # of the vectors: then what was measured of an index guides the next


def build_snapshot(
    sources: Sequence[str],
    root: Path,
    options: BuildOptions,
    *,
    report: StageProgress,
    examine: Examine | None = None,
) -> BuildSummary:
    """Build a snapshot and publish it.

    Args:
        sources: Files or SQLAlchemy URLs of the catalogue.
        root: Index directory.
        options: What the caller chose.
        report: Called with (stage, done, total).
        examine: Decides about a build that has learned from interactions; None: it is published.

    Raises:
        CatalogError: If a source cannot be read, or too many rows are bad; nothing is published.
        SnapshotError: If another build is running in `root`, or it cannot be written.
        EncoderUnavailableError: If the model cannot be loaded.
        ReleaseError: If `evaluate_release` refuses it.
    """
    check_index_name(options.index)
    if options.tune_encoder and not learning.has_training_data(options):
        raise CatalogError(
            "tune_encoder has nothing to learn from; give interactions (--interactions)"
        )
    with lock_directory(root), open_working_folder(root) as work, explain_full_disk(root):
        return _BuildRun(root, work, options, report, examine).run(list(sources))


class _BuildRun:
    """The state of one build: the working folder and what the stages found out."""

    def __init__(
        self,
        root: Path,
        work: Path,
        options: BuildOptions,
        report: StageProgress,
        examine: Examine | None,
    ) -> None:
        self.root, self.work, self.options, self.report = root, work, options, report
        self.examine = examine
        self.started_at = datetime.now(UTC)
        self.trials_file = root / "tried.jsonl"  # outlives a killed build, as encoded vectors do
        self.counts = dict.fromkeys(_COUNT_NAMES, 0)
        self.taste_report: dict[str, Any] | None = None
        self.encoder_report: dict[str, Any] | None = None  # what came of tuning the encoder
        self.earlier_tuning: learning.EarlierTuning | None = None
        self.raw_dim = 0  # of raw vectors; 0 until the first is seen
        self.parent = ParentSnapshot(root)
        self.encoder = EncoderSelection(root, options, self.parent)
        self.content_hash = self.inputs_hash = ""

    @cached_property
    def interactions(self) -> Sequence[Interaction]:
        """What can be learned from, read once."""
        return learning.read_training_data(self.options, self.work, self.counts)

    def may_skip_publishing(self) -> bool:
        """Whether nothing need be published if nothing has changed."""
        return bool(self.options.since) and not self.options.force_full

    def run(self, sources: list[str]) -> BuildSummary:
        """Read, and publish a snapshot if there is anything new."""
        self.inputs_hash = hash_inputs(self.options, sources, lambda: self.encoder.stamp)
        if self.may_skip_publishing() and self.parent.matches(inputs=self.inputs_hash):
            return self.report_unchanged()
        staging = Staging(self.work / "staging.sqlite")
        try:
            self.collect(sources, staging)
            self.content_hash = hash_content(
                self.options, staging.compute_digest(), self.encoder.key
            )
            if self.may_skip_publishing() and self.parent.matches(content=self.content_hash):
                return self.report_unchanged()
            scale, count = self.options.rating_scale, self.counts["items"]
            stats = store_items(staging, count, self.work, scale, self.report)
            raw = self.write_raw_vectors(staging, stats)
            space = self.fit_space(raw)
            if self.options.tune_encoder:
                raw, space = self.tune_encoder(staging, stats, raw, space)
        finally:
            staging.close()
            (self.work / "staging.sqlite").unlink()
        space.save(self.work / "space.safetensors")
        if self.encoder.tuned_layer_file:
            shutil.copyfile(self.encoder.tuned_layer_file, self.work / TUNED_LAYER_FILE)
        taste = self.learn_taste(raw, space, stats)
        layout = Layout(meaning=space.dim, taste=taste.targets.shape[1] if taste else 0)
        index = build_index_file(
            self.work / "index.faiss",
            BlockVectors(raw, space, layout, stats, taste),
            layout,
            options=self.choose_index_options(raw),
            report=self.report,
        )
        manifest = self.build_manifest(sources, stats, layout, index)
        release = self.check_release(manifest, stats, taste)
        report = {"counts": self.counts, "learned": self.taste_report, "release": release}
        (self.work / "report.json").write_text(json.dumps(report), encoding="utf-8")
        manifest = replace(manifest, files=collect_file_facts(self.work))
        publish(self.work, self.root, manifest)
        self.encoder.delete_journal()  # the snapshot holds it all
        self.trials_file.unlink(missing_ok=True)
        return self.build_summary(manifest)

    def collect(self, sources: list[str], staging: Staging) -> None:
        """Rows to staged items; bad rows to rejected.jsonl."""
        collecting = ItemCollector(self.options, lambda: self.encoder.model, staging, self.report)
        found = collecting.collect(sources, self.work)
        self.raw_dim = found.dim
        for name in ("items", "rejected", "duplicates"):
            self.counts[name] = getattr(found, name)

    def write_raw_vectors(self, staging: Staging, stats: CatalogueStats) -> NDArray[np.float16]:
        """Texts to raw vectors, none encoded that an earlier build or a killed one has encoded."""
        self.encoder.notify_full_encoding()
        vectors = RawVectors(self.work, (self.counts["items"], self.raw_dim))
        cache = self.encoder.open_vector_cache(self.raw_dim)
        scale, model = stats.rating_scale, self.encoder.model
        raw = vectors.write(staging, scale, model, cache, self.report)
        self.counts |= {"encoded": vectors.encoded_count, "reused": vectors.reused_count}
        return raw

    def fit_space(self, raw: NDArray[np.float16]) -> MeaningSpace:
        """The statistics of this catalogue's vectors, kept in the snapshot."""
        if self.encoder.model is None:
            return build_identity_space(self.raw_dim)
        moments = Moments.from_chunks(iter_chunks(raw), self.raw_dim)
        return fit_meaning_space(moments, load_background(self.encoder.model))

    def tune_encoder(
        self, staging: Staging, stats: CatalogueStats, raw: NDArray[np.float16], space: MeaningSpace
    ) -> tuple[NDArray[np.float16], MeaningSpace]:
        """Go on with an encoder whose last layer was tuned, if that is clearly better."""
        from indexer.build.encoder_tuning import EncodedCatalogue, EncoderTrainingData, try_tuning

        model = self.encoder.model
        if model is None:
            raise TypeError(self.options)
        folder = self.work / "tuned"
        outcome = try_tuning(
            self.options.model,
            EncodedCatalogue(model, raw, space),
            EncoderTrainingData(staging, stats, self.interactions),
            folder=folder,
            report=self.report,
        )
        self.encoder_report = outcome.report
        self.counts["encoded"] += outcome.encoded_count
        if self.options.notice:
            self.options.notice(outcome.describe())
        if outcome.tuned_catalogue is not None:
            for name in ("raw.npy", "hashes.npy", TUNED_LAYER_FILE):
                (folder / name).replace(self.work / name)
            self.encoder.replace_model(outcome.tuned_catalogue.encoder)
            self.content_hash = hash_content(
                self.options, staging.compute_digest(), self.encoder.key
            )
            raw, space = outcome.tuned_catalogue.raw, outcome.tuned_catalogue.space
        shutil.rmtree(folder, ignore_errors=True)
        return raw, space

    def learn_taste(
        self, raw: NDArray[np.float16], space: MeaningSpace, facts: CatalogueStats
    ) -> TasteModel | None:
        """Interactions to a taste model; without interactions, none."""
        if not learning.has_training_data(self.options):
            return None
        self.report("learn", 0, 0)
        interactions = self.interactions
        meaning = space.map_stored_items(raw)
        self.earlier_tuning = learning.find_earlier_tuning(
            self.options, self.parent, len(interactions)
        )
        model = learning.train_taste(
            learning.TasteTrainingData(interactions, facts.ids, meaning),
            folder=self.work / "taste",
            known=self.earlier_tuning,
            trials=self.trials_file,
            step=lambda said: self.report(f"learn: {said}", 0, 0),
        )
        self.taste_report = {
            **model.report,
            **({"encoder": self.encoder_report} if self.encoder_report else {}),
        }
        self.report("learn", 1, 1)
        return model

    def check_release(
        self, manifest: Manifest, stats: CatalogueStats, taste: TasteModel | None
    ) -> dict[str, Any] | None:
        """Compare what was learned with the live snapshot; refuse what is clearly worse."""
        if taste is None or self.examine is None:
            return None
        finished = FinishedBuild(
            root=self.root,
            work=self.work,
            manifest=manifest,
            facts=stats,
            encoder=self.encoder.model,
            interactions=self.interactions,
            taste=taste,
            kept=self.earlier_tuning.settings if self.earlier_tuning else None,
            min_recall=self.options.min_recall,
        )
        return self.examine(finished, report=self.report)

    def build_manifest(
        self, sources: list[str], stats: CatalogueStats, layout: Layout, index: dict[str, Any]
    ) -> Manifest:
        """Everything the snapshot says about itself, but the checksums."""
        model = self.encoder.model
        return Manifest(
            id=f"{self.started_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
            created_at=self.started_at.isoformat(timespec="seconds"),
            encoder=model.fingerprint if model else None,
            encoder_source=self.encoder.source if model else None,
            encoder_stamp=self.encoder.stamp,
            probe=tuple(round(number, 6) for number in self.encoder.compute_probe()),
            language=stats.language,
            rating_scale=stats.rating_scale,
            layout=layout,
            index=index,
            counts=self.counts,
            sources=tuple(Path(s).name if "://" not in s else s.split("://")[0] for s in sources),
            parent=self.parent.id,
            applied_seq=self.options.applied_seq,
            learned=self.taste_report is not None,
            content=self.content_hash,
            inputs=self.inputs_hash,
        )

    def choose_index_options(self, raw: NDArray[np.float16]) -> IndexOptions:
        """What is asked for, and the live snapshot's index if its vectors are nearly these."""
        index_options = IndexOptions(self.options.index, self.options.min_recall)
        live_manifest = self.parent.manifest
        if live_manifest is None or self.options.force_full:
            return index_options
        if self.parent.compute_changed_share(raw) > _MAX_CHANGED_SHARE:
            return index_options
        return replace(
            index_options,
            known_facts=live_manifest.index,
            trained_file=self.parent.folder / "index.faiss",
        )

    def report_unchanged(self) -> BuildSummary:
        """What the caller is told if the live snapshot stays."""
        live_manifest = self.parent.manifest
        if live_manifest is None:
            raise SnapshotError(f"{self.root} has no live snapshot; run the build again")
        kept_counts = ("items", "rejected", "duplicates")
        self.counts |= {name: live_manifest.counts[name] for name in kept_counts}
        return self.build_summary(live_manifest, unchanged=True)

    def build_summary(self, manifest: Manifest, *, unchanged: bool = False) -> BuildSummary:
        """What the caller is told."""
        return BuildSummary(
            snapshot=manifest.id,
            index=manifest.index["kind"],
            recall=manifest.index["recall"],
            bytes_per_vector=manifest.index["bytes_per_vector"],
            index_note=manifest.index.get("note", ""),
            unchanged=unchanged,
            seconds=round((datetime.now(UTC) - self.started_at).total_seconds(), 2),
            out=str(self.root),
            **self.counts,
        )
