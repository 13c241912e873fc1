"""All of an index as one immutable directory, published by one rename.

In: the files of a build and a `Manifest` that describes them.
Out: the path of the live snapshot or a named one, checked; older ones held or pruned.
"""

from indexer.snapshot.directory import (
    MANIFEST_FILE,
    TUNED_LAYER_FILE,
    Manifest,
    check_files,
    collect_file_facts,
    compute_sha256,
    find_damaged_files,
    find_reusable_encoder,
    find_snapshot,
    find_tuned_layer,
    list_ids,
    locate_snapshots,
    make_current,
    publish,
    read_current_id,
    read_manifest,
)
from indexer.snapshot.item_vectors import PRIOR_SCALE, BlockVectors, CatalogueStats
from indexer.snapshot.retention import lock_snapshot, prune, sweep_leftovers

__all__ = [
    "MANIFEST_FILE",
    "PRIOR_SCALE",
    "TUNED_LAYER_FILE",
    "BlockVectors",
    "CatalogueStats",
    "Manifest",
    "check_files",
    "collect_file_facts",
    "compute_sha256",
    "find_damaged_files",
    "find_reusable_encoder",
    "find_snapshot",
    "find_tuned_layer",
    "list_ids",
    "locate_snapshots",
    "lock_snapshot",
    "make_current",
    "prune",
    "publish",
    "read_current_id",
    "read_manifest",
    "sweep_leftovers",
]
