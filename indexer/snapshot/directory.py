"""One immutable directory with everything an index needs, published by one rename.

    DIR/CURRENT                    the id of the live snapshot
    DIR/snapshots/<utc>-<hash>/    manifest.json, catalog.sqlite, columns/, raw.npy, hashes.npy,
                                   space.safetensors, index.faiss, rejected.jsonl, report.json,
                                   taste/ if it was learned, encoder.safetensors if it was tuned

Dense rows 0..n-1, in order of item id, are SQLite key, column row, vector row and FAISS id at once,
so nothing can drift apart. A build works in a hidden sibling and is renamed only when complete.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from indexer.ann import Layout
from indexer.durable import fsync
from indexer.errors import SnapshotError
from indexer.language import Fingerprint

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
TUNED_LAYER_FILE = "encoder.safetensors"
_SNAPSHOT_ID = re.compile(r"\w[\w.-]{0,99}")  # as a folder is called
_SAMPLE_BLOCKS, _SAMPLE_BYTES = 32, 4_096
_REBUILD_HINT = "build one with scripts/rebuild_index.py"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says about itself.

    Attributes:
        encoder: Fingerprint of the language model; None if all vectors were ready-made.
        encoder_stamp: By which its files are known to be unchanged, without loading it.
        encoder_source: What to load it by: a bundled name, a hub name or a directory.
        probe: The probe text's raw vector, to recognise a wrong encoder of the same dimension.
        language: "zh" or "en", in which context words are spoken.
        rating_scale: Lowest and highest possible rating.
        index: Kind, recall against exact search, and what else the index planner measured.
        counts: Items, rejected rows, duplicates, encoded and reused texts.
        files: Relative name to size in bytes and SHA-256.
        content: Hash of all that the build read and was asked for; equal for equal snapshots.
        inputs: The same of the files themselves; empty if they were not all.
        learned: Whether `taste/` holds a model learned from interactions.
        applied_seq: Sequence number of the last live change folded in.
    """

    id: str
    created_at: str
    encoder: Fingerprint | None
    encoder_source: str | None
    probe: tuple[float, ...]
    language: str
    rating_scale: tuple[float, float]
    layout: Layout
    index: dict[str, Any]
    counts: dict[str, int]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    parent: str | None = None
    learned: bool = False
    content: str = ""
    inputs: str = ""
    encoder_stamp: str = ""
    applied_seq: int = 0
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Return the manifest as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read a manifest.

        Raises:
            SnapshotError: If it is damaged or of a newer format.
        """
        try:
            raw = json.loads(text)
            version = raw["format_version"]
            if version > FORMAT_VERSION:
                raise SnapshotError(
                    f"the snapshot has format {version}, this release reads up to "
                    f"{FORMAT_VERSION}; install a newer release or rebuild"
                )
            encoder = raw["encoder"]
            return cls(
                **{
                    **raw,
                    "encoder": Fingerprint(**encoder) if encoder else None,
                    "probe": tuple(raw["probe"]),
                    "rating_scale": tuple(raw["rating_scale"]),
                    "layout": Layout(**raw["layout"]),
                    "sources": tuple(raw["sources"]),
                }
            )
        except (ValueError, LookupError, TypeError) as error:
            raise SnapshotError(f"the manifest is damaged ({error}); {_REBUILD_HINT}") from error


def locate_snapshots(root: Path) -> Path:
    """Where the snapshots of an index directory live."""
    return root / "snapshots"


def read_current_id(root: Path) -> str:
    """Return the id of the live snapshot.

    Raises:
        SnapshotError: If the directory has none.
    """
    try:
        current = (root / "CURRENT").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SnapshotError(f"{root} has no index (no file CURRENT); {_REBUILD_HINT}") from error
    except UnicodeDecodeError as error:
        raise SnapshotError(f"{root / 'CURRENT'} is damaged ({error}); {_REBUILD_HINT}") from error
    if not current or "/" in current or current.startswith("."):
        raise SnapshotError(
            f"{root / 'CURRENT'} holds {current[:60]!r}, no snapshot id; {_REBUILD_HINT}"
        )
    return current


def find_snapshot(root: Path, snapshot_id: str | None = None) -> Path:
    """Return the folder of a snapshot, the live one by default.

    Raises:
        SnapshotError: If there is none of that id.
    """
    chosen = snapshot_id or read_current_id(root)
    path = locate_snapshots(root) / chosen
    if not _SNAPSHOT_ID.fullmatch(chosen) or not path.is_dir():
        known = ", ".join(list_ids(root)[-5:]) or "none"
        raise SnapshotError(f"{root} has no snapshot {chosen[:100]!r}; the newest are: {known}")
    return path


def list_ids(root: Path) -> list[str]:
    """Return the ids of complete snapshots, oldest first."""
    folder = locate_snapshots(root)
    if not folder.is_dir():
        return []
    return sorted(
        p.name for p in folder.iterdir() if (p / MANIFEST_FILE).exists() and p.name[0] != "."
    )


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of one snapshot folder.

    Raises:
        SnapshotError: If it is missing or damaged.
    """
    try:
        text = (path / MANIFEST_FILE).read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path} has no {MANIFEST_FILE}; {_REBUILD_HINT}") from error
    try:
        return Manifest.from_json(text)
    except SnapshotError as error:
        raise SnapshotError(f"{path / MANIFEST_FILE}: {error}") from error


def check_files(path: Path, manifest: Manifest) -> None:
    """Refuse a snapshot with a missing, truncated or foreign file, by name.

    Files of two builds are often of one size, so a sample of each is compared too. What only a
    complete checksum can find is for `find_damaged_files`.

    Raises:
        SnapshotError: On the first file of another size or sample than the manifest says.
    """
    for name, facts in manifest.files.items():
        file = path / name
        size = file.stat().st_size if file.exists() else None
        if size != facts["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise SnapshotError(
                f"{file} {found}, expected {facts['bytes']} bytes; "
                f"roll back with scripts/snapshots.py, or rebuild"
            )
        if "sample" in facts and compute_sample_hash(file) != facts["sample"]:
            raise SnapshotError(
                f"{file} is damaged or of another build; "
                f"roll back with scripts/snapshots.py, or rebuild"
            )


def find_tuned_layer(path: Path, manifest: Manifest) -> Path | None:
    """Return the file of the tuned last layer of a snapshot's encoder; None if it has none.

    Raises:
        SnapshotError: If it is missing or differs from its checksum: a little damage would go
            unnoticed, and every vector be a little wrong.
    """
    facts = manifest.files.get(TUNED_LAYER_FILE)
    if facts is None:
        return None
    layer = path / TUNED_LAYER_FILE
    if not layer.exists() or compute_sha256(layer) != facts["sha256"]:
        found = "differs from its checksum" if layer.exists() else "is missing"
        raise SnapshotError(f"{layer} {found}; roll back with scripts/snapshots.py, or rebuild")
    return layer


def find_damaged_files(path: Path, manifest: Manifest) -> list[str]:
    """Return one sentence for each file that differs from its recorded size or checksum."""
    findings = []
    for name, facts in manifest.files.items():
        file = path / name
        if not file.exists():
            findings.append(f"{name} is missing")
        elif file.stat().st_size != facts["bytes"]:
            findings.append(f"{name} has {file.stat().st_size} bytes, expected {facts['bytes']}")
        elif compute_sha256(file) != facts["sha256"]:
            findings.append(f"{name} differs from its checksum")
    return findings


def find_reusable_encoder(path: Path) -> Fingerprint | None:
    """Return whose raw vectors a later build may take from a snapshot; None: nobody's.

    A damaged snapshot is no reason to stop a build, which is its remedy.
    """
    try:
        manifest = read_manifest(path)
    except SnapshotError:
        return None
    kept = {name: manifest.files[name] for name in ("raw.npy", "hashes.npy")}
    return None if find_damaged_files(path, replace(manifest, files=kept)) else manifest.encoder


def collect_file_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size, SHA-256 and sample of every file below a folder but the manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST_FILE)
    return {
        file.relative_to(folder).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": compute_sha256(file),
            "sample": compute_sample_hash(file),
        }
        for file in files
    }


def publish(work: Path, root: Path, manifest: Manifest) -> Path:
    """Make a complete working folder the live snapshot: fsync, rename, swap `CURRENT`."""
    (work / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    for path in _iter_parents_last(work):
        _make_readable(path)
        fsync(path)
    target = locate_snapshots(root) / manifest.id
    work.rename(target)
    fsync(target.parent)
    make_current(root, manifest.id)
    return target


def _make_readable(path: Path) -> None:
    """Give a file the mode of any new file: some writers leave theirs to the owner alone."""
    if path.is_file():
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)


def make_current(root: Path, snapshot_id: str) -> None:
    """Point `CURRENT` at a snapshot, atomically and durably."""
    temporary = root / f".CURRENT-{os.getpid()}"
    temporary.write_text(snapshot_id + "\n", encoding="utf-8")
    fsync(temporary)
    temporary.replace(root / "CURRENT")
    fsync(root)


def compute_sha256(file: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def compute_sample_hash(file: Path) -> str:
    """Return a hash of a few blocks from first to last: quick however large the file is."""
    last = max(0, file.stat().st_size - _SAMPLE_BYTES)
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in range(_SAMPLE_BLOCKS):
            stream.seek(last * block // (_SAMPLE_BLOCKS - 1))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _iter_parents_last(folder: Path) -> Iterator[Path]:
    yield from (p for p in folder.rglob("*") if p.is_file())
    yield from (p for p in folder.rglob("*") if p.is_dir())
    yield folder
