"""What a caller of a build may choose, and what it is told afterwards."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from indexer.build.staging import DeletedId
from indexer.errors import CatalogError
from indexer.language import Encoder
from indexer.reading import Interaction, Item, suggest_name

NO_MODEL = "none"  # as a model: every row brings its vector, and no text can be asked

# What a stage reports: its name, units done, units in all (0: unknown).
StageProgress = Callable[[str, int, int], None]


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
    tune_encoder: bool = False
    notice: Callable[[str], None] | None = None
    encoder: Encoder | None = None
    changes: Iterable[Item | DeletedId] = ()
    live_events: Sequence[Interaction] = ()
    is_erased: Callable[[Interaction], bool] | None = None
    applied_seq: int = 0

    def __post_init__(self) -> None:
        """Refuse what no build can be made of, before anything is read.

        Raises:
            CatalogError: Naming the option, what it holds and what it may hold.
        """
        if self.since not in (None, "last"):
            raise CatalogError(f"unknown since {self.since!r}; only 'last' is known")
        if not 0 <= self.max_rejected <= 1:
            raise CatalogError(f"max_rejected is {self.max_rejected}; give a share from 0 to 1")
        if not 0 < self.min_recall <= 1:
            raise CatalogError(f"min_recall is {self.min_recall}; give a share from above 0 to 1")
        if self.rating_scale is not None:
            _check_rating_scale(self.rating_scale)
        if self.tune_encoder:
            self._check_tuning()

    def _check_tuning(self) -> None:
        if self.since is not None:
            raise CatalogError(
                "tune_encoder tunes anew, since='last' (--since last) keeps what was tuned; "
                "give one of them"
            )
        if self.encoder is not None or self.model == NO_MODEL:
            raise CatalogError(
                f"tune_encoder cannot tune the model {self.model or 'given as encoder'!r}; "
                f"give the name or directory of a language model (--model)"
            )


def override_options(options: BuildOptions, overrides: Mapping[str, Any]) -> BuildOptions:
    """Return the options with single ones replaced; a path may be given as one.

    Raises:
        TypeError: If there is none of that name; it tells the nearest one.
        CatalogError: If a value is out of its range.
    """
    known = [option.name for option in fields(BuildOptions)]
    for name in overrides:
        if name not in known:
            raise TypeError(f"build_index has no option {name!r}; {suggest_name(name, known)}")
    values: dict[str, Any] = {
        name: str(value) if isinstance(value, Path) else value for name, value in overrides.items()
    }
    return replace(options, **values)


def _check_rating_scale(rating_scale: Sequence[float]) -> None:
    is_pair = len(rating_scale) == 2 and all(math.isfinite(end) for end in rating_scale)
    if not (is_pair and rating_scale[0] < rating_scale[1]):
        raise CatalogError(
            f"rating_scale is {tuple(rating_scale)}; give the lowest and a higher possible rating, such "
            f"as (1, 5)"
        )


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
