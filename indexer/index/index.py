"""The Python face of an open snapshot: keywords of a request to an `Answer`."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from typing_extensions import override

from indexer.answer import Answer, recommend, search, similar
from indexer.arrays import Vectors
from indexer.errors import RequestError
from indexer.index.snapshot_catalogue import SnapshotCatalogue
from indexer.language import Encoder
from indexer.metadata import parse_filter
from indexer.request import (
    MAX_HISTORY_BATCH,
    Boost,
    ContextValue,
    HistoryEntry,
    Pin,
    Request,
    Scenario,
    Weights,
    load_index_scenarios,
    parse_request,
)
from indexer.snapshot import find_snapshot

ItemId: TypeAlias = str | int  # whole numbers become strings
Fields: TypeAlias = Mapping[str, Any]  # a JSON object
Examples: TypeAlias = str | Sequence[str] | Mapping[str, float]  # the last: with weights

_IDS_PER_READ = 1_000


class Index(SnapshotCatalogue):
    """One snapshot, opened: read-only, memory-mapped and thread-safe.

    `len(index)` is the number of items, `"m1" in index` tells whether there is one of that id,
    `index["m1"]` is its fields, and iteration gives the ids in order.
    """

    @classmethod
    def open(
        cls,
        root: str | Path,
        *,
        snapshot_id: str | None = None,
        encoder: Encoder | None = None,
        scenarios: Mapping[str, Scenario] | None = None,
        live: bool | str = False,
    ) -> "Index":
        """Open the live snapshot of an index directory, or a named one.

        Args:
            root: The directory that `build_index` wrote.
            snapshot_id: Of an older snapshot; default: the live one.
            encoder: An already loaded model to share; default: loaded when first needed.
            scenarios: By name; default: the presets and `scenarios.toml` in the directory.
            live: Whether users' events and live items count, as they do in the service: true for
                `live.sqlite` in the directory if it is there, or the SQLAlchemy URL of a live
                store.

        Raises:
            ScenarioError: If `scenarios.toml` cannot be used.
            SettingsError: If the live store cannot be opened.
            SnapshotError: If there is no snapshot, it is damaged, or `encoder` is not the one that
                made its vectors.
        """
        if scenarios is None:
            scenarios = load_index_scenarios(Path(root))
        path = find_snapshot(Path(root), snapshot_id)
        if not live:
            return cls(path, encoder, scenarios)
        # The live store belongs to the service, of which the indexer knows no more than this name.
        opened: Index = import_module("service.live_index").open_live_index(
            path, encoder, scenarios, root=Path(root), live=live
        )
        return opened

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.manifest.id

    @override
    def __repr__(self) -> str:
        encoder = self.manifest.encoder
        # The name may be a hub name or a directory: its last part tells which model it is.
        model = encoder.name.rstrip("/").rpartition("/")[2] if encoder else "no language model"
        return f"Index({self.id!r}, {self.count} items, {model})"

    def __len__(self) -> int:
        return self.count

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and item_id in self.rows([item_id])

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of all items in order, read page by page."""
        for start in range(0, self.count, _IDS_PER_READ):
            yield from self.ids(range(start, min(start + _IDS_PER_READ, self.count)))

    def __getitem__(self, item_id: str) -> dict[str, Any]:
        item = self.get(item_id)
        if item is None:
            raise KeyError(item_id)
        return item

    def get(self, item_id: str) -> dict[str, Any] | None:
        """Return the fields of an item, or None if there is none of that id."""
        rows = self.rows([item_id])
        return self.items(list(rows.values()))[0] if rows else None

    def page(
        self, *, after: int = -1, limit: int = 100, condition: Any = None
    ) -> list[tuple[int, dict[str, Any]]]:
        """Return up to `limit` (row, item) with rows above `after`, in order of id.

        Raises:
            FilterError: If the filter `condition` does not fit the catalogue.
        """
        if condition is None:
            return self._metadata.read_page(after, limit)
        mask = self.mask(parse_filter(condition, self.schema))
        rows = np.flatnonzero(mask[after + 1 :])[:limit] + after + 1
        return list(zip(rows.tolist(), self.items(rows.tolist()), strict=True))

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Return the meaning vectors of items, `(len(ids), d) float32`, unit length.

        Raises:
            RequestError: If an id is not in the catalogue.
        """
        rows = self.rows(ids)
        missing = [item_id for item_id in ids if item_id not in rows]
        if missing:
            raise RequestError(f"no item {missing[0]!r} in the catalogue")
        width = self.manifest.layout.meaning
        return self.item_vectors(np.array([rows[item_id] for item_id in ids]))[:, :width]

    def recommend(  # noqa: PLR0913  # the fields of POST /v1/recommend, by their names
        self,
        *,
        user_id: ItemId | None = None,
        session_id: ItemId | None = None,
        k: int | None = None,
        scenario: str | None = None,
        history: Sequence[ItemId | HistoryEntry | Fields] | None = None,
        interests: Sequence[str] | None = None,
        query: str | None = None,
        context: Mapping[str, ContextValue | None] | None = None,
        at: str | float | None = None,
        filter: Fields | None = None,
        exclude: Sequence[ItemId] | None = None,
        include_seen: bool | None = None,
        min_score: float | None = None,
        weights: Weights | Mapping[str, float] | None = None,
        fields: Sequence[str] | None = None,
        explain: bool | None = None,
        seed: int | None = None,
        diversity: float | None = None,
        max_per: Mapping[str, int] | None = None,
        boost: Sequence[Boost | Fields] | None = None,
        pin: Sequence[Pin | Fields] | None = None,
        explore: float | None = None,
        read_wish: bool | None = None,
        validate_only: bool | None = None,
    ) -> Answer:
        """Recommend items; the keywords are the fields of POST /v1/recommend.

        None means "not given", as null does in JSON. With no keyword at all the answer is what
        suits anybody.

        Args:
            user_id: Of whom. Their events count in an index opened with `live`; else the id only
                varies what exploration shows.
            session_id: The same, of a visitor without an account.
            k: Length of the list, 1 to 1,000; default 10.
            scenario: Name of a preset such as "video", or of one in `scenarios.toml`.
            history: What the user did, up to 20,000 entries: ids, or objects with `item_id` or
                `text`, and perhaps `event`, `value`, `at`, `context`.
            interests: What the user likes, each in a few words.
            query: What the user looks for now, in words.
            context: The circumstances: `time`, `place`, `weather`, `scene`, `device`, and any
                other word or number.
            at: Alias of `context["time"]`: RFC 3339 or Unix seconds; default: now.
            filter: Which items may be recommended, such as `{"rating": {"gte": 4}}`.
            exclude: Ids that are not to be recommended.
            include_seen: Whether items of the history may come again; default: as the scenario.
            min_score: Leave out items that score less.
            weights: Of the blocks of a vector: `meaning`, `taste`, `prior`; default 1 each.
            fields: Item fields to return; default: all.
            explain: Whether hits have reasons; default true.
            seed: Of exploration; default: derived from the request.
            diversity: From 0 (by score alone) to 1.
            max_per: Field to the number of items that may share one of its values.
            boost: Objects with a `filter`, and the `weight` that items which pass it gain.
            pin: Objects with an `item_id`, and the `rank` from 1 that it is shown at.
            explore: Probability, from 0 to 1, with which a rank shows an item from beyond the page.
            read_wish: Whether the query is read for filters that it plainly says, such as "before
                1970"; `Answer.understood` tells. Default true.
            validate_only: Return no hits, but how the request is read, in `Answer.reading`.

        Raises:
            RequestError: If the value of a keyword does not fit.
            FilterError: If a filter or cap does not fit the catalogue.
        """
        body = {
            "user_id": user_id,
            "session_id": session_id,
            "k": k,
            "scenario": scenario,
            "history": history,
            "interests": interests,
            "query": query,
            "context": context,
            "at": at,
            "filter": filter,
            "exclude": exclude,
            "include_seen": include_seen,
            "min_score": min_score,
            "weights": weights,
            "fields": fields,
            "explain": explain,
            "seed": seed,
            "diversity": diversity,
            "max_per": max_per,
            "boost": boost,
            "pin": pin,
            "explore": explore,
            "read_wish": read_wish,
            "validate_only": validate_only,
        }
        request = parse_request(body, max_history=MAX_HISTORY_BATCH, scenarios=self.scenarios)
        return self._recommend(request)

    def search(  # noqa: PLR0913  # the fields of POST /v1/search, by their names
        self,
        query: str,
        k: int = 10,
        *,
        filter: Fields | None = None,
        exclude: Sequence[ItemId] | None = None,
        min_score: float | None = None,
        fields: Sequence[str] | None = None,
        explain: bool | None = None,
        read_wish: bool | None = None,
    ) -> Answer:
        """Find items for a text: exact ids and titles first, then by meaning and words.

        Args:
            query: What is looked for.
            k: How many.
            filter: See `recommend`, also for the other keywords.
            exclude: Ids that are not to be found.
            min_score: Leave out items that score less.
            fields: Item fields to return.
            explain: Whether hits have reasons.
            read_wish: See `recommend`.

        Raises:
            RequestError: If the query is empty, or the value of a keyword does not fit.
            FilterError: If the filter does not fit the catalogue.
        """
        body = {
            "query": query,
            "k": k,
            "filter": filter,
            "exclude": exclude,
            "min_score": min_score,
            "fields": fields,
            "explain": explain,
            "read_wish": read_wish,
        }
        return self._search(parse_request(body))

    def similar(  # noqa: PLR0913  # the fields of POST /v1/similar, by their names
        self,
        items: Examples,
        texts: Examples | None = None,
        k: int = 10,
        *,
        filter: Fields | None = None,
        exclude: Sequence[ItemId] | None = None,
        min_score: float | None = None,
        fields: Sequence[str] | None = None,
        explain: bool | None = None,
    ) -> Answer:
        """Find items like some and unlike others.

        Args:
            items: An id, a list of ids, or ids with weights: `{"m1": 1.0, "m7": -0.5}`.
            texts: The same of texts: `{"gore": -1}`.
            k: How many.
            filter: See `recommend`, also for the other keywords.
            exclude: Ids that are not to be found; the examples never are.
            min_score: Leave out items that score less.
            fields: Item fields to return.
            explain: Whether hits have reasons.

        Raises:
            RequestError: If an id is unknown, or no example has a positive weight.
            FilterError: If the filter does not fit the catalogue.
        """
        body = {
            "k": k,
            "filter": filter,
            "exclude": exclude,
            "min_score": min_score,
            "fields": fields,
            "explain": explain,
        }
        return self._find_similar(items, texts or {}, parse_request(body))

    # What an index with a live store answers from the state of that store.

    def _recommend(self, request: Request) -> Answer:
        return recommend(self, request)

    def _search(self, request: Request) -> Answer:
        return search(self, request)

    def _find_similar(self, items: Examples, texts: Examples, request: Request) -> Answer:
        return similar(self, items, texts, request)
