"""A catalogue to a published index: built, held out, examined, published or refused.

In: what `build_index` is given.
Out: a snapshot with its report, or a `ReleaseError`; and `verify_snapshot`, which checks one later.
"""

from indexer.release.publish import build_index
from indexer.release.verification import verify_snapshot

__all__ = [
    "build_index",
    "verify_snapshot",
]
