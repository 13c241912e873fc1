"""What a build measured to `manifest.json` and back: the facts a snapshot records about itself."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from indexer.ann import Layout
from indexer.errors import SnapshotError
from indexer.language import Fingerprint

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
REBUILD_HINT = "build one with zhiyin build"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one snapshot; `files` is filled in last, when all files are written.

    Attributes:
        id: Name of the snapshot's folder: UTC time and a random suffix.
        created_at: ISO 8601 time at which the build began, UTC.
        encoder: Fingerprint of the language model; None if every row brought its vector.
        encoder_source: What to load the model by: a bundled name, a hub name or a directory.
        probe: Raw vector of the probe text, to recognise a wrong encoder of the same dimension.
        language: "zh" or "en", the language that context words are written in.
        rating_scale: Lowest and highest possible rating.
        layout: Widths of the blocks of an item vector.
        index: Kind, recall against exact search, and the index planner's other measurements.
        counts: Numbers of items, rejected rows, duplicates, encoded and reused texts, interactions.
        files: File name, relative to the snapshot, to its "bytes", "sha256" and "sample" hash.
        sources: Names of the catalogue's sources, without directories or passwords.
        parent: Id of the snapshot that was live when this one was built.
        learned: Whether `taste/` holds a model learned from interactions.
        interactions: What rows of interactions without an event were taken for: "event", and
            "value_is" if they had values; empty if all had one.
        content: Hash of everything that decides what the snapshot holds: equal hashes mean equal
            snapshots. Empty if something that counts cannot be hashed.
        inputs: Hash of the source files themselves and of the options; empty if the build read
            anything that is not a file.
        encoder_stamp: Hash of the model's files, by which they are known to be unchanged without
            loading them.
        applied_seq: Sequence number of the last live change that the build included.
        format_version: Version of this format.
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
    interactions: dict[str, str] = field(default_factory=dict)
    content: str = ""
    inputs: str = ""
    encoder_stamp: str = ""
    applied_seq: int = 0
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Return the manifest as JSON text, indented for people."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Parse the JSON text of a manifest.

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
            raise SnapshotError(f"the manifest is damaged ({error}); {REBUILD_HINT}") from error


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of one snapshot folder.

    Raises:
        SnapshotError: If it is missing, damaged or of a newer format.
    """
    try:
        text = (folder / MANIFEST_FILE).read_bytes()
    except OSError as error:
        raise SnapshotError(f"{folder} has no {MANIFEST_FILE}; {REBUILD_HINT}") from error
    try:
        return Manifest.from_json(text)
    except SnapshotError as error:
        raise SnapshotError(f"{folder / MANIFEST_FILE}: {error}") from error
