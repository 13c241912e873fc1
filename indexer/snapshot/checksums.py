"""Files of a snapshot to checksums, and back: which files are not what the manifest says."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexer.errors import SnapshotError
from indexer.language import Fingerprint
from indexer.snapshot.manifest import MANIFEST_FILE, Manifest, read_manifest

TUNED_LAYER_FILE = "encoder.safetensors"
_SAMPLE_BLOCKS, _SAMPLE_BYTES = 32, 4_096
_REPAIR_HINT = "roll back with zhiyin snapshots, or rebuild"


def collect_file_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size, SHA-256 and sample hash of every file below a folder except the manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST_FILE)
    return {
        file.relative_to(folder).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": compute_sha256(file),
            "sample": compute_sample_hash(file),
        }
        for file in files
    }


def compute_sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal text."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def compute_sample_hash(file: Path) -> str:
    """Return a hash of 32 blocks of 4 KiB spread over a file: quick, however large the file is."""
    last = max(0, file.stat().st_size - _SAMPLE_BYTES)
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in range(_SAMPLE_BLOCKS):
            stream.seek(last * block // (_SAMPLE_BLOCKS - 1))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def check_files(folder: Path, manifest: Manifest) -> None:
    """Check that the files of a snapshot are there, complete and of the same build.

    Two builds often write files of equal size, so a sample of each file's content is compared too.
    Damage that only a full checksum can find is left to `find_damaged_files`.

    Raises:
        SnapshotError: On the first file of another size or sample than the manifest says.
    """
    for name, facts in manifest.files.items():
        file = folder / name
        size = file.stat().st_size if file.exists() else None
        if size != facts["bytes"]:
            state = "is missing" if size is None else f"has {size} bytes"
            raise SnapshotError(f"{file} {state}, expected {facts['bytes']} bytes; {_REPAIR_HINT}")
        if "sample" in facts and compute_sample_hash(file) != facts["sample"]:
            raise SnapshotError(f"{file} is damaged or of another build; {_REPAIR_HINT}")


def find_damaged_files(folder: Path, manifest: Manifest) -> list[str]:
    """Return one sentence for each file that differs from its recorded size or checksum."""
    findings = []
    for name, facts in manifest.files.items():
        file = folder / name
        if not file.exists():
            findings.append(f"{name} is missing")
        elif file.stat().st_size != facts["bytes"]:
            findings.append(f"{name} has {file.stat().st_size} bytes, expected {facts['bytes']}")
        elif compute_sha256(file) != facts["sha256"]:
            findings.append(f"{name} differs from its checksum")
    return findings


def find_tuned_layer(folder: Path, manifest: Manifest) -> Path | None:
    """Return the file of the encoder's tuned last layer; None if the encoder was not tuned.

    Raises:
        SnapshotError: If the file is missing or differs from its checksum. A small damage would
            otherwise go unnoticed and make every vector slightly wrong.
    """
    facts = manifest.files.get(TUNED_LAYER_FILE)
    if facts is None:
        return None
    layer = folder / TUNED_LAYER_FILE
    if not layer.exists() or compute_sha256(layer) != facts["sha256"]:
        state = "differs from its checksum" if layer.exists() else "is missing"
        raise SnapshotError(f"{layer} {state}; {_REPAIR_HINT}")
    return layer


def find_reusable_encoder(folder: Path) -> Fingerprint | None:
    """Return the encoder whose raw vectors a later build may copy from a snapshot.

    Returns None if the raw vectors are damaged, or no encoder made them: a damaged snapshot is no
    reason to stop a build, since the build replaces it.
    """
    try:
        manifest = read_manifest(folder)
    except SnapshotError:
        return None
    vector_files = {name: manifest.files[name] for name in ("raw.npy", "hashes.npy")}
    is_damaged = find_damaged_files(folder, replace(manifest, files=vector_files))
    return None if is_damaged else manifest.encoder
