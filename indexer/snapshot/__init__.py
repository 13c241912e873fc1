"""All of an index as one immutable directory, published by one rename.

In: the files of a build and a `Manifest` that describes them.
Out: the path of the live snapshot or a named one, checked; older ones held or pruned.
"""

from indexer.snapshot.directory import (
    MANIFEST,
    TUNED_LAYER,
    Manifest,
    check_sizes,
    current_id,
    damaged_files,
    file_facts,
    list_ids,
    make_current,
    publish,
    read_manifest,
    sha256_of,
    snapshot_path,
    snapshots_dir,
    tuned_layer_of,
    vectors_of,
)
from indexer.snapshot.item_vectors import PRIOR_SCALE, BlockVectors, Facts
from indexer.snapshot.retention import hold, prune, sweep

__all__ = [
    "MANIFEST",
    "PRIOR_SCALE",
    "TUNED_LAYER",
    "BlockVectors",
    "Facts",
    "Manifest",
    "check_sizes",
    "current_id",
    "damaged_files",
    "file_facts",
    "hold",
    "list_ids",
    "make_current",
    "prune",
    "publish",
    "read_manifest",
    "sha256_of",
    "snapshot_path",
    "snapshots_dir",
    "sweep",
    "tuned_layer_of",
    "vectors_of",
]
