"""A loaded encoder to a verdict: may its vectors be compared with those of a snapshot?"""

from collections.abc import Sequence

import numpy as np

from indexer.errors import SnapshotError
from indexer.language.encoder import Encoder
from indexer.language.fingerprint import MIN_PROBE_COSINE, PROBE_TEXT, Fingerprint


def check_encoder(
    encoder: Encoder, expected: Fingerprint, probe: Sequence[float], *, snapshot_id: str
) -> None:
    """Refuse an encoder that did not make the vectors of a snapshot.

    Name and dimension must be equal, and the encoder must give `PROBE_TEXT` nearly the vector that
    it had when the snapshot was built.

    Args:
        encoder: The loaded encoder.
        expected: Fingerprint of the encoder that made the vectors.
        probe: `(r,)`, the unit vector of `PROBE_TEXT` that the build stored.
        snapshot_id: Named in the error.

    Raises:
        SnapshotError: If it is another encoder, or another version of it.
    """
    actual = encoder.fingerprint
    if (expected.name, expected.dim) != (actual.name, actual.dim):
        raise SnapshotError(
            f"snapshot {snapshot_id} was built with {expected.name} ({expected.dim} dimensions), "
            f"not {actual.name} ({actual.dim}); open it with its own model or rebuild"
        )
    cosine = float(encoder.encode_items([PROBE_TEXT])[0] @ np.array(probe, np.float32))
    # Written as "not close": a NaN is neither close nor far, and must be refused.
    if not cosine >= MIN_PROBE_COSINE or expected.text_version != actual.text_version:
        raise SnapshotError(
            f"snapshot {snapshot_id} was built with another version of {expected.name} (its probe "
            f"text has cosine {cosine:.3f}); open it with that version or rebuild"
        )
