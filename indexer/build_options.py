"""What a caller of a build may choose, and what it is told afterwards."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from indexer.encoder import Encoder
from indexer.reading.catalog import Item
from indexer.reading.interactions import Interaction
from indexer.staging import DeletedId

# What a stage reports: its name, units done, units in all (0: unknown).
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a caller of `build_index` may choose; see the function for the meaning."""

    query: str | None = None
    model: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    index: str = "auto"
    min_recall: float = 0.99
    interactions: str | None = None
    interactions_query: str | None = None
    context: tuple[str, ...] | None = None
    rating_scale: tuple[float, float] | None = None
    max_rejected: float = 0.01
    force_full: bool = False
    since: str | None = None
    force: bool = False
    examine: bool = True
    notice: Callable[[str], None] | None = None
    encoder: Encoder | None = None
    changes: Iterable[Item | DeletedId] = ()
    live_events: Sequence[Interaction] = ()
    is_erased: Callable[[Interaction], bool] | None = None
    applied_seq: int = 0


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """What a build did; what `--json` prints."""

    snapshot: str
    items: int
    rejected: int
    duplicates: int
    encoded: int
    reused: int
    interactions: int
    rejected_interactions: int
    index: str
    recall: float
    bytes_per_vector: float
    index_note: str
    unchanged: bool
    seconds: float
    out: str

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)
