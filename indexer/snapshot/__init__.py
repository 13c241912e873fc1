"""The files of a build to one immutable directory, published by one rename.

In: the files of a build and a `Manifest` that describes them.
Out: the path of the live snapshot or a named one, its files checked; locks, and old ones deleted.
"""

from indexer.snapshot.arrivals import (
    ARRIVALS_FILE,
    Times,
    read_arrival_dates,
    read_arrival_years,
    read_arrivals,
)
from indexer.snapshot.checksums import (
    TUNED_LAYER_FILE,
    check_files,
    collect_file_facts,
    compute_sha256,
    find_damaged_files,
    find_reusable_encoder,
    find_tuned_layer,
)
from indexer.snapshot.directory import (
    find_snapshot,
    list_ids,
    locate_snapshots,
    make_current,
    publish,
    read_current_id,
)
from indexer.snapshot.item_vectors import (
    PRIOR_SCALE,
    BlockVectors,
    CatalogueStats,
    ItemPrior,
)
from indexer.snapshot.manifest import Manifest, read_manifest
from indexer.snapshot.retention import lock_snapshot, prune, sweep_leftovers

__all__ = [
    "ARRIVALS_FILE",
    "PRIOR_SCALE",
    "TUNED_LAYER_FILE",
    "BlockVectors",
    "CatalogueStats",
    "ItemPrior",
    "Manifest",
    "Times",
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
    "read_arrival_dates",
    "read_arrival_years",
    "read_arrivals",
    "read_current_id",
    "read_manifest",
    "sweep_leftovers",
]
