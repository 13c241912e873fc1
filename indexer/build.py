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

from indexer import learning, snapshot
from indexer.ann.builder import IndexWish, build_index_file
from indexer.ann.plan import check_index_name
from indexer.block_vectors import BlockVectors, Facts
from indexer.build_folder import full_disk_told, locked, working_folder
from indexer.build_options import BuildOptions, BuildSummary, Report, with_chosen
from indexer.chosen_encoder import ChosenEncoder
from indexer.collecting import Collecting
from indexer.errors import CatalogError, SnapshotError
from indexer.raw_vectors import RawVectors
from indexer.reading.interactions import Interaction
from indexer.since_last import Parent, content_of, inputs_of
from indexer.snapshot import Layout, Manifest
from indexer.staging import Staging
from indexer.storing import store_items
from indexer.taste.model import TasteModel
from indexer.whitening import (
    MeaningSpace,
    Moments,
    background_of,
    chunks,
    fit_meaning_space,
    identity_space,
)

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


def build_index(
    catalog: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    report: Report | None = None,
    options: BuildOptions | None = None,
    **chosen: Any,
) -> BuildSummary:
    """Build an index over a catalogue and publish it in `out`.

    Args:
        catalog: Files (JSONL, CSV, TSV, Parquet, each plain or .gz) or SQLAlchemy URLs.
        out: Index directory; a running service picks the new snapshot up by itself.
        report: Called with (stage, done, total) for a progress bar.
        options: All options at once; `chosen` keywords override single ones.
        chosen: `query` (SQL for URLs), `model` (name or directory; default the bundled
            multilingual one; "none" if every row has a vector), `fields` (our field -> theirs),
            `interactions` (file or URL to learn taste from), `interactions_query` (SQL for that
            URL), `context` (its columns that are known when asking), `rating_scale` (default:
            inferred from the data), `index` ("auto", "flat", "hnsw", "ivf" or a FAISS factory
            string), `min_recall` (that the index must reach for every kind of request),
            `max_rejected` (share), `force_full` (encode all anew), `since` ("last": publish
            nothing if nothing has changed, keep what was tuned), `examine` (compare what was
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
    picked = with_chosen(options or BuildOptions(), chosen)
    check_index_name(picked.index)
    if picked.tune_encoder and not learning.has_lessons(picked):
        raise CatalogError(
            "tune_encoder has nothing to learn from; give interactions (--interactions)"
        )
    root = Path(out)
    with locked(root), working_folder(root) as work, full_disk_told(root):
        build = _Build(root, work, picked, report or (lambda *_: None))
        return build.run([str(source) for source in sources])


class _Build:
    """The state of one build: the working folder and what the stages found out."""

    def __init__(self, root: Path, work: Path, options: BuildOptions, report: Report) -> None:
        self.root, self.work, self.options, self.report = root, work, options, report
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
            shutil.copyfile(self.encoder.layer, self.work / snapshot.TUNED_LAYER)
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
        manifest = replace(manifest, files=snapshot.file_facts(self.work))
        snapshot.publish(self.work, self.root, manifest)
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
        from indexer.tuned_encoder import Described, Lessons, try_tuning

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
            for name in ("raw.npy", "hashes.npy", snapshot.TUNED_LAYER):
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
        if taste is None or not self.options.examine:
            return None
        from indexer.release.examine import examine, keep
        from indexer.release.live import Candidate

        made = Candidate(
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
        told = examine(made, report=self.report)
        keep(told, made, force=self.options.force)
        return told

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
