"""A catalogue to a published index: built, compared with the live one, published or refused.

In: a catalogue, an index directory and options of a build.
Out: a snapshot with its release report, or a `ReleaseError`; findings about a published snapshot.
"""

from indexer.release.publish import build_index
from indexer.release.verification import verify_snapshot

__all__ = [
    "build_index",
    "verify_snapshot",
]
