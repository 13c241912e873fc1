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

from indexer.ann import IndexWish, Layout, build_index_file, check_index_name
from indexer.build import taste_training as learning
from indexer.build.collector import Collecting
from indexer.build.encoder_selection import ChosenEncoder
from indexer.build.finished import Examine, FinishedBuild
from indexer.build.folder import full_disk_told, locked, working_folder
from indexer.build.incremental_reuse import Parent, content_of, inputs_of
from indexer.build.item_files import store_items
from indexer.build.options import BuildOptions, BuildSummary, Report
from indexer.build.raw_vectors import RawVectors
from indexer.build.staging import Staging
from indexer.errors import CatalogError, SnapshotError
from indexer.language import (
    MeaningSpace,
    Moments,
    background_of,
    chunks,
    fit_meaning_space,
    identity_space,
)
from indexer.reading import Interaction
from indexer.snapshot import TUNED_LAYER, BlockVectors, Facts, Manifest, file_facts, publish
from indexer.taste import TasteModel

_COUNTED = (
    "items",
    "rejected",
    "duplicates",
    "encoded",
    "reused",
    "interactions",
    "rejected_interactions",
)
_FEW_CHANGES = 0.01  # of the vectors: then what was measured of an index guides the next


def build_snapshot(
    sources: Sequence[str],
    root: Path,
    options: BuildOptions,
    *,
    report: Report,
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
        ReleaseError: If `examine` refuses it.
    """
    check_index_name(options.index)
    if options.tune_encoder and not learning.has_lessons(options):
        raise CatalogError(
            "tune_encoder has nothing to learn from; give interactions (--interactions)"
        )
    with locked(root), working_folder(root) as work, full_disk_told(root):
        return _Build(root, work, options, report, examine).run(list(sources))


class _Build:
    """The state of one build: the working folder and what the stages found out."""

    def __init__(
        self,
        root: Path,
        work: Path,
        options: BuildOptions,
        report: Report,
        examine: Examine | None,
    ) -> None:
        self.root, self.work, self.options, self.report = root, work, options, report
        self.examine = examine
        self.started = datetime.now(UTC)
        self.trials = root / "tried.jsonl"  # outlives a killed build, as encoded vectors do
        self.counts = dict.fromkeys(_COUNTED, 0)
        self.learned: dict[str, Any] | None = None
        self.tuning: dict[str, Any] | None = None  # what came of tuning the encoder
        self.known: learning.Earlier | None = None
        self.dim = 0  # of raw vectors; 0 until the first is seen
        self.parent = Parent(root)
        self.encoder = ChosenEncoder(root, options, self.parent)
        self.content = self.inputs = ""

    @cached_property
    def lessons(self) -> Sequence[Interaction]:
        """What can be learned from, read once."""
        return learning.read_lessons(self.options, self.work, self.counts)

    def spares(self) -> bool:
        """Whether nothing need be published if nothing has changed."""
        return bool(self.options.since) and not self.options.force_full

    def run(self, sources: list[str]) -> BuildSummary:
        """Read, and publish a snapshot if there is anything new."""
        self.inputs = inputs_of(self.options, sources, lambda: self.encoder.stamp)
        if self.spares() and self.parent.holds(inputs=self.inputs):
            return self.unchanged()
        staging = Staging(self.work / "staging.sqlite")
        try:
            self.collect(sources, staging)
            self.content = content_of(self.options, staging.digest(), self.encoder.key)
            if self.spares() and self.parent.holds(content=self.content):
                return self.unchanged()
            scale, count = self.options.rating_scale, self.counts["items"]
            facts = store_items(staging, count, self.work, scale, self.report)
            raw = self.write_raw_vectors(staging, facts)
            space = self.fit_space(raw)
            if self.options.tune_encoder:
                raw, space = self.tune_encoder(staging, facts, raw, space)
        finally:
            staging.close()
            (self.work / "staging.sqlite").unlink()
        space.save(self.work / "space.safetensors")
        if self.encoder.layer:
            shutil.copyfile(self.encoder.layer, self.work / TUNED_LAYER)
        taste = self.learn(raw, space, facts)
        layout = Layout(meaning=space.dim, taste=taste.targets.shape[1] if taste else 0)
        index = build_index_file(
            self.work / "index.faiss",
            BlockVectors(raw, space, layout, facts, taste),
            layout,
            wish=self.index_wish(raw),
            report=self.report,
        )
        manifest = self.manifest(sources, facts, layout, index)
        release = self.examined(manifest, facts, taste)
        report = {"counts": self.counts, "learned": self.learned, "release": release}
        (self.work / "report.json").write_text(json.dumps(report), encoding="utf-8")
        manifest = replace(manifest, files=file_facts(self.work))
        publish(self.work, self.root, manifest)
        self.encoder.forget_waiting()  # the snapshot holds it all
        self.trials.unlink(missing_ok=True)
        return self.summary(manifest)

    def collect(self, sources: list[str], staging: Staging) -> None:
        """Rows to staged items; bad rows to rejected.jsonl."""
        collecting = Collecting(self.options, lambda: self.encoder.model, staging, self.report)
        found = collecting.collect(sources, self.work)
        self.dim = found.dim
        for name in ("items", "rejected", "duplicates"):
            self.counts[name] = getattr(found, name)

    def write_raw_vectors(self, staging: Staging, facts: Facts) -> NDArray[np.float16]:
        """Texts to raw vectors, none encoded that an earlier build or a killed one has encoded."""
        self.encoder.tell_why_anew()
        vectors = RawVectors(self.work, (self.counts["items"], self.dim))
        cache = self.encoder.known_vectors(self.dim)
        scale, model = facts.rating_scale, self.encoder.model
        raw = vectors.write(staging, scale, model, cache, self.report)
        self.counts |= {"encoded": vectors.encoded, "reused": vectors.reused}
        return raw

    def fit_space(self, raw: NDArray[np.float16]) -> MeaningSpace:
        """The statistics of this catalogue's vectors, kept in the snapshot."""
        if self.encoder.model is None:
            return identity_space(self.dim)
        moments = Moments.of(chunks(raw), self.dim)
        return fit_meaning_space(moments, background_of(self.encoder.model))

    def tune_encoder(
        self, staging: Staging, facts: Facts, raw: NDArray[np.float16], space: MeaningSpace
    ) -> tuple[NDArray[np.float16], MeaningSpace]:
        """Go on with an encoder whose last layer was tuned, if that is clearly better."""
        from indexer.build.encoder_tuning import Described, Lessons, try_tuning

        model = self.encoder.model
        if model is None:
            raise TypeError(self.options)
        folder = self.work / "tuned"
        trial = try_tuning(
            self.options.model,
            Described(model, raw, space),
            Lessons(staging, facts, self.lessons),
            folder=folder,
            report=self.report,
        )
        self.tuning = trial.told
        self.counts["encoded"] += trial.encoded
        if self.options.notice:
            self.options.notice(trial.sentence())
        if trial.tuned is not None:
            for name in ("raw.npy", "hashes.npy", TUNED_LAYER):
                (folder / name).replace(self.work / name)
            self.encoder.go_on_with(trial.tuned.encoder)
            self.content = content_of(self.options, staging.digest(), self.encoder.key)
            raw, space = trial.tuned.raw, trial.tuned.space
        shutil.rmtree(folder, ignore_errors=True)
        return raw, space

    def learn(
        self, raw: NDArray[np.float16], space: MeaningSpace, facts: Facts
    ) -> TasteModel | None:
        """Interactions to a taste model; without interactions, none."""
        if not learning.has_lessons(self.options):
            return None
        self.report("learn", 0, 0)
        lessons = self.lessons
        meaning = space.every_item(raw)
        self.known = learning.earlier(self.options, self.parent, len(lessons))
        model = learning.learn(
            learning.LearnedFrom(lessons, facts.ids, meaning),
            folder=self.work / "taste",
            known=self.known,
            trials=self.trials,
            step=lambda said: self.report(f"learn: {said}", 0, 0),
        )
        self.learned = {**model.report, **({"encoder": self.tuning} if self.tuning else {})}
        self.report("learn", 1, 1)
        return model

    def examined(
        self, manifest: Manifest, facts: Facts, taste: TasteModel | None
    ) -> dict[str, Any] | None:
        """Compare what was learned with the live snapshot; refuse what is clearly worse."""
        if taste is None or self.examine is None:
            return None
        finished = FinishedBuild(
            root=self.root,
            work=self.work,
            manifest=manifest,
            facts=facts,
            encoder=self.encoder.model,
            interactions=self.lessons,
            taste=taste,
            kept=self.known.settings if self.known else None,
            min_recall=self.options.min_recall,
        )
        return self.examine(finished, report=self.report)

    def manifest(
        self, sources: list[str], facts: Facts, layout: Layout, index: dict[str, Any]
    ) -> Manifest:
        """Everything the snapshot says about itself, but the checksums."""
        model = self.encoder.model
        return Manifest(
            id=f"{self.started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
            created_at=self.started.isoformat(timespec="seconds"),
            encoder=model.fingerprint if model else None,
            encoder_source=self.encoder.source if model else None,
            encoder_stamp=self.encoder.stamp,
            probe=tuple(round(number, 6) for number in self.encoder.probe()),
            language=facts.language,
            rating_scale=facts.rating_scale,
            layout=layout,
            index=index,
            counts=self.counts,
            sources=tuple(Path(s).name if "://" not in s else s.split("://")[0] for s in sources),
            parent=self.parent.id,
            applied_seq=self.options.applied_seq,
            learned=self.learned is not None,
            content=self.content,
            inputs=self.inputs,
        )

    def index_wish(self, raw: NDArray[np.float16]) -> IndexWish:
        """What is asked for, and the live snapshot's index if its vectors are nearly these."""
        wish = IndexWish(self.options.index, self.options.min_recall)
        before = self.parent.manifest
        if before is None or self.options.force_full:
            return wish
        if self.parent.changed_share(raw) > _FEW_CHANGES:
            return wish
        return replace(wish, known=before.index, trained=self.parent.folder / "index.faiss")

    def unchanged(self) -> BuildSummary:
        """What the caller is told if the live snapshot stays."""
        before = self.parent.manifest
        if before is None:
            raise SnapshotError(f"{self.root} has no live snapshot; run the build again")
        kept = ("items", "rejected", "duplicates")
        self.counts |= {name: before.counts[name] for name in kept}
        return self.summary(before, unchanged=True)

    def summary(self, manifest: Manifest, *, unchanged: bool = False) -> BuildSummary:
        """What the caller is told."""
        return BuildSummary(
            snapshot=manifest.id,
            index=manifest.index["kind"],
            recall=manifest.index["recall"],
            bytes_per_vector=manifest.index["bytes_per_vector"],
            index_note=manifest.index.get("note", ""),
            unchanged=unchanged,
            seconds=round((datetime.now(UTC) - self.started).total_seconds(), 2),
            out=str(self.root),
            **self.counts,
        )
