"""A catalogue to a published snapshot: the pipeline, spelled once.

row -> Item -> text -> raw vector -> meaning vector -> index -> snapshot
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from indexer import learning, snapshot
from indexer.ann.builder import IndexWish, build_index_file
from indexer.ann.plan import check_index_name
from indexer.block_vectors import BlockVectors, Facts
from indexer.build_folder import full_disk_told, locked, working_folder
from indexer.build_options import BuildOptions, BuildSummary, Report
from indexer.encoder import Encoder, Vectors, load_encoder
from indexer.errors import CatalogError, SnapshotError
from indexer.fingerprint import PROBE_TEXT
from indexer.metadata.columns import ColumnsWriter
from indexer.metadata.store_writer import MetadataWriter
from indexer.reading.catalog import Item, Rejection, read_catalog, rejection_line
from indexer.reading.interactions import infer_rating_scale
from indexer.snapshot import Layout, Manifest
from indexer.staging import DeletedId, Staging
from indexer.taste.model import TasteModel
from indexer.text import TEXT_VERSION, describe, is_chinese, title_of
from indexer.vector_cache import VectorCache, text_hash
from indexer.whitening import (
    MeaningSpace,
    Moments,
    background_of,
    fit_meaning_space,
    identity_space,
)

NO_MODEL = "none"  # --model none: every row brings its vector, and no text can be asked
_COUNTED = (
    "items",
    "rejected",
    "duplicates",
    "encoded",
    "reused",
    "interactions",
    "rejected_interactions",
)
_ENCODE_CHUNK = 2_048
_MAP_CHUNK = 16_384


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
            `max_rejected` (share), `force_full` (encode all
            anew), `since` ("last": publish nothing if nothing has changed), `notice` (is told in a
            sentence when all must be encoded anew), `encoder` (an object in place of a model
            name), `changes` (what has changed since the catalogue was written; it beats the
            catalogue), `live_events` (to learn from after the interactions), `is_erased` (which
            interactions to leave out), `applied_seq` (number of the last change).

    Raises:
        CatalogError: If a source cannot be read, or too many rows are bad; nothing is published.
        SnapshotError: If another build is running in `out`, or it cannot be written.
        EncoderUnavailableError: If the model cannot be loaded.
    """
    sources = [catalog] if isinstance(catalog, str | Path) else list(catalog)
    picked = replace(options or BuildOptions(), **chosen)
    check_index_name(picked.index)
    root = Path(out)
    if picked.since not in (None, "last"):
        raise CatalogError(f"unknown since {picked.since!r}; only 'last' is known")
    with locked(root), working_folder(root) as work, full_disk_told(root):
        build = _Build(root, work, picked, report or (lambda *_: None))
        return build.run([str(source) for source in sources])


class _Build:
    """The state of one build: the working folder and what the stages found out."""

    def __init__(self, root: Path, work: Path, options: BuildOptions, report: Report) -> None:
        self.root, self.work, self.options, self.report = root, work, options, report
        self.started = datetime.now(UTC)
        self.counts = dict.fromkeys(_COUNTED, 0)
        self.learned: dict[str, Any] | None = None
        self.dim = 0  # of raw vectors; 0 until the first is seen
        self.parent = _parent_of(root)
        self.content = ""

    @cached_property
    def encoder(self) -> Encoder | None:
        """The language model, loaded when the first row turns out to be readable."""
        encoder = _encoder_for(self.options)
        self.dim = encoder.fingerprint.dim if encoder else self.dim
        return encoder

    def run(self, sources: list[str]) -> BuildSummary:
        staging = Staging(self.work / "staging.sqlite")
        try:
            self.read(sources, staging)
            self.content = self.content_of(staging)
            if self.has_changed_nothing():
                return self.summary(self.parent_manifest, unchanged=True)
            facts = self.write_metadata(staging)
            raw = self.write_raw_vectors(staging, facts)
        finally:
            staging.close()
            (self.work / "staging.sqlite").unlink()
        space = self.fit_space(raw)
        taste = self.learn(raw, space, facts)
        layout = Layout(meaning=space.dim, taste=taste.targets.shape[1] if taste else 0)
        index = build_index_file(
            self.work / "index.faiss",
            BlockVectors(raw, space, layout, facts, taste),
            layout,
            wish=IndexWish(self.options.index, self.options.min_recall),
            report=self.report,
        )
        manifest = self.manifest(sources, facts, layout, index)
        report = {"counts": self.counts, "learned": self.learned}
        (self.work / "report.json").write_text(json.dumps(report), encoding="utf-8")
        manifest = replace(manifest, files=snapshot.file_facts(self.work))
        snapshot.publish(self.work, self.root, manifest)
        if self.encoder:
            self.journal_of(self.encoder).unlink(missing_ok=True)  # the snapshot holds it all
        return self.summary(manifest)

    def read(self, sources: list[str], staging: Staging) -> None:
        """Rows to staged items; bad rows to rejected.jsonl."""
        options = self.options
        with (self.work / "rejected.jsonl").open("w", encoding="utf-8") as rejected:
            rows = read_catalog(sources, query=options.query, mapping=options.fields)
            for done, row in enumerate(rows):
                checked = self.fitting(row) if isinstance(row, Item) else row
                if isinstance(checked, Item):
                    staging.add(checked)
                else:
                    self.counts["rejected"] += 1
                    rejected.write(rejection_line(checked) + "\n")
                if done % 1_000 == 0:
                    self.report("read", done, 0)
            added = staging.added
            changed = self.apply_changes(staging, rejected)
        self.counts["items"] = staging.finish()
        self.counts["duplicates"] = added + changed - self.counts["items"]
        self.report("read", staging.added, staging.added)
        self.refuse_bad_catalogue(sources, staging.added)

    def apply_changes(self, staging: Staging, rejected: TextIO) -> int:
        """Lay live changes over the catalogue; return how many items they add in all."""
        more = 0
        for change in self.options.changes:
            there = change.id in staging
            checked = change if isinstance(change, DeletedId) else self.fitting(change)
            if isinstance(checked, Item):
                staging.add(checked)
                more += not there
            elif isinstance(checked, DeletedId):
                staging.remove(change.id)
                more -= there
            else:
                self.counts["rejected"] += 1
                rejected.write(rejection_line(checked) + "\n")
        return more

    def fitting(self, item: Item) -> Item | Rejection:
        """An item whose vector fits, or the reason against it."""
        encoder = self.encoder
        if item.vector is None:
            if encoder is not None:
                return item
            reason = "the row has no vector, and with --model none no text is encoded"
        else:
            self.dim = self.dim or len(item.vector)
            if len(item.vector) == self.dim:
                return item
            reason = f"vector has {len(item.vector)} numbers, expected {self.dim}"
        return Rejection(item.source or "catalogue", item.line, reason, {"id": item.id})

    def refuse_bad_catalogue(self, sources: list[str], accepted: int) -> None:
        """Stop before anything is published if too many rows are bad."""
        rejected = self.counts["rejected"]
        names = ", ".join(sources)
        share = rejected / max(accepted + rejected, 1)
        if accepted and share <= self.options.max_rejected:
            return
        lines = (self.work / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
        first = json.loads(lines[0]) if lines else None
        where = f" (first: {first['source']}:{first['line']}: {first['reason']})" if first else ""
        if not accepted:
            raise CatalogError(f"{names} has no usable row{where}; nothing was published")
        raise CatalogError(
            f"{rejected} of {accepted + rejected} rows of {names} are bad{where}, more than the "
            f"{self.options.max_rejected:.2%} allowed; fix them or raise --max-rejected"
        )

    def content_of(self, staging: Staging) -> str:
        """A hash of everything that decides what the snapshot holds; "" if that is not known."""
        options = self.options
        if options.live_events or options.is_erased or "://" in (options.interactions or ""):
            return ""
        learned_from = (
            snapshot.sha256_of(Path(options.interactions)) if options.interactions else ""
        )
        parts = (
            staging.digest().hex(),
            self.encoder.fingerprint.key if self.encoder else TEXT_VERSION,
            (options.index, options.min_recall, options.rating_scale, options.applied_seq),
            (learned_from, options.context, sorted(options.fields.items())),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @cached_property
    def parent_manifest(self) -> Manifest:
        """What the live snapshot says of itself."""
        return snapshot.read_manifest(snapshot.snapshot_path(self.root, self.parent))

    def has_changed_nothing(self) -> bool:
        """Whether the live snapshot is sound and already what this build would make."""
        if not (self.options.since and self.content and self.parent) or self.options.force_full:
            return False
        try:
            snapshot.check_sizes(
                snapshot.snapshot_path(self.root, self.parent), self.parent_manifest
            )
        except SnapshotError:
            return False
        return self.parent_manifest.content == self.content

    def tell_if_all_is_encoded_anew(self) -> None:
        """Say so before hours of encoding begin."""
        reason = self.why_all_is_encoded_anew()
        if reason and self.options.notice:
            self.options.notice(f"every text is encoded again: {reason}")

    def why_all_is_encoded_anew(self) -> str:
        """In words; empty if vectors of the live snapshot can be kept."""
        if not (self.parent and self.encoder):
            return ""
        if self.options.force_full:
            return "--force-full was given"
        try:
            before = self.parent_manifest.encoder
        except SnapshotError:
            return "the live snapshot is damaged"
        now = self.encoder.fingerprint
        if before is None or before == now:
            return ""
        if replace(before, text_version=now.text_version) == now:
            return (
                f"the text template changed (version {before.text_version} to {now.text_version})"
            )
        return f"the model changed ({before.name} to {now.name})"

    def write_metadata(self, staging: Staging) -> Facts:
        """Items to SQLite and columns; in passing, learn the catalogue's language and ratings."""
        ratings = np.full(self.counts["items"], np.nan, np.float32)
        chinese = 0
        ids: list[str] = []
        (self.work / "columns").mkdir()
        with (
            MetadataWriter(self.work / "catalog.sqlite") as metadata,
            ColumnsWriter(self.work / "columns") as columns,
        ):
            for row, item in enumerate(staging.items()):
                metadata.add(row, item.fields)
                columns.add(item.fields)
                ratings[row] = item.fields.get("rating", np.nan)
                ids.append(item.id)
                chinese += is_chinese(title_of(item.fields))
                if row % 1_000 == 0:
                    self.report("store", row, self.counts["items"])
            metadata.finish()
            columns.finish()
        self.report("store", self.counts["items"], self.counts["items"])
        given = ratings[~np.isnan(ratings)].tolist()
        scale = self.options.rating_scale or infer_rating_scale(given)
        return Facts(scale, "zh" if 2 * chinese > self.counts["items"] else "en", ratings, ids)

    def write_raw_vectors(self, staging: Staging, facts: Facts) -> NDArray[np.float16]:
        """Texts to raw vectors, none encoded that an earlier build or a killed one has encoded."""
        count = self.counts["items"]
        self.tell_if_all_is_encoded_anew()
        raw = np.lib.format.open_memmap(
            self.work / "raw.npy", mode="w+", dtype="<f2", shape=(count, self.dim)
        )
        with (self.work / "raw.npy").open("r+b") as file:
            # A mapped page that finds no room on the disk later kills the process.
            os.posix_fallocate(file.fileno(), 0, (self.work / "raw.npy").stat().st_size)
        hashes = np.zeros(count, "V16")
        todo: list[tuple[int, str]] = []
        cache = self.cache_of(self.encoder) if self.encoder else None
        key = self.encoder.fingerprint.key if self.encoder else ""
        for row, item in enumerate(staging.items()):
            if item.vector is not None:
                wide = item.vector.astype(np.float64)  # squares of float32 can over- or underflow
                raw[row] = wide / np.linalg.norm(wide)
                continue
            text = describe(item.fields, rating_scale=facts.rating_scale)
            name = text_hash(key, text)
            hashes[row] = np.void(name)
            known = cache.get(name) if cache and not self.options.force_full else None
            if known is None:
                todo.append((row, text))
            else:
                raw[row] = known
                self.counts["reused"] += 1
        if self.encoder and cache is not None:
            self.encode(todo, raw, hashes, cache)
        raw.flush()
        np.save(self.work / "hashes.npy", hashes)
        return raw

    def encode(
        self,
        todo: list[tuple[int, str]],
        raw: NDArray[np.float16],
        hashes: NDArray[np.void],
        cache: VectorCache,
    ) -> None:
        """Encode in chunks, equal texts once; each chunk is durable before the next begins."""
        if self.encoder is None:
            return
        rows_of: dict[str, list[int]] = {}
        for row, text in todo:
            rows_of.setdefault(text, []).append(row)
        texts = sorted(rows_of, key=len, reverse=True)
        done = 0
        for start in range(0, len(texts), _ENCODE_CHUNK):
            chunk = texts[start : start + _ENCODE_CHUNK]

            def progress(finished: int) -> None:
                nonlocal done
                done += finished
                self.report("encode", done, len(texts))

            vectors = self.encoder.encode_items(chunk, progress)
            for text, vector in zip(chunk, vectors, strict=True):
                raw[rows_of[text]] = vector
            cache.append([hashes[rows_of[text][0]].tobytes() for text in chunk], vectors)
        self.counts["encoded"] = len(texts)
        self.counts["reused"] += len(todo) - len(texts)

    def journal_of(self, encoder: Encoder) -> Path:
        """Where vectors wait for a snapshot to hold them."""
        return self.root / "encoded" / f"{encoder.fingerprint.key}.bin"

    def cache_of(self, encoder: Encoder) -> VectorCache:
        """What earlier builds have encoded."""
        cache = VectorCache(self.journal_of(encoder), self.dim)
        if self.parent and not self.options.force_full:
            folder = snapshot.snapshot_path(self.root, self.parent)
            if snapshot.vectors_of(folder) == encoder.fingerprint:
                cache.add_snapshot(folder)
        return cache

    def fit_space(self, raw: NDArray[np.float16]) -> MeaningSpace:
        """The statistics of this catalogue's vectors, kept in the snapshot."""
        if self.encoder is None:
            space = identity_space(self.dim)
        else:
            moments = Moments.of(_chunks(raw), self.dim)
            space = fit_meaning_space(moments, background_of(self.encoder))
        space.save(self.work / "space.safetensors")
        return space

    def learn(
        self, raw: NDArray[np.float16], space: MeaningSpace, facts: Facts
    ) -> TasteModel | None:
        """Interactions to a taste model; without interactions, none."""
        if not learning.has_lessons(self.options):
            return None
        self.report("learn", 0, 0)
        interactions = learning.read_lessons(self.options, self.work, self.counts)
        meaning = np.concatenate([space.items(chunk) for chunk in _chunks(raw)])
        model = learning.learn(interactions, facts.ids, meaning, folder=self.work / "taste")
        self.learned = dict(model.report)
        self.report("learn", 1, 1)
        return model

    def manifest(
        self, sources: list[str], facts: Facts, layout: Layout, index: dict[str, Any]
    ) -> Manifest:
        """Everything the snapshot says about itself, but the checksums."""
        encoder = self.encoder
        probe = encoder.encode_items([PROBE_TEXT])[0] if encoder else ()
        return Manifest(
            id=f"{self.started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
            created_at=self.started.isoformat(timespec="seconds"),
            encoder=encoder.fingerprint if encoder else None,
            encoder_source=_source_of(self.options, encoder),
            probe=tuple(round(float(number), 6) for number in probe),
            language=facts.language,
            rating_scale=facts.rating_scale,
            layout=layout,
            index=index,
            counts=self.counts,
            sources=tuple(Path(s).name if "://" not in s else s.split("://")[0] for s in sources),
            parent=self.parent,
            applied_seq=self.options.applied_seq,
            learned=self.learned is not None,
            content=self.content,
        )

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


def _chunks(raw: NDArray[np.float16]) -> Iterator[Vectors]:
    for start in range(0, len(raw), _MAP_CHUNK):
        yield raw[start : start + _MAP_CHUNK].astype(np.float32)


def _encoder_for(options: BuildOptions) -> Encoder | None:
    if options.encoder or options.model == NO_MODEL:
        return options.encoder
    return load_encoder(options.model)


def _source_of(options: BuildOptions, encoder: Encoder | None) -> str | None:
    if encoder is None:
        return None
    if options.model and Path(options.model).is_dir():
        return str(Path(options.model).resolve())
    return options.model or encoder.fingerprint.name


def _parent_of(root: Path) -> str | None:
    try:
        return snapshot.snapshot_path(root).name
    except SnapshotError:
        return None
