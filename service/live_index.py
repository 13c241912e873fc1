"""A snapshot and a live store to an `Index` that knows users and live items."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from typing_extensions import override

from indexer import Answer, Index, RequestError
from indexer.answer import list_items, search, similar
from indexer.arrays import Vectors
from indexer.index import Examples
from indexer.language import Encoder
from indexer.live import LiveCatalogue
from indexer.request import Request, Scenario
from service.answering import recommend_to_user
from service.edge import load_secret
from service.live import LiveStore, RequestView, RequestViews, find_url_beside
from service.store import LiveDatabase, raise_as_failure

_IDS_PER_READ = 1_000
_T = TypeVar("_T")


def open_live_index(
    path: Path,
    encoder: Encoder | None,
    scenarios: Mapping[str, Scenario],
    *,
    root: Path,
    live: bool | str,
) -> "LiveIndex":
    """Open a snapshot with a live store; see `Index.open`.

    Args:
        path: Directory of the snapshot.
        encoder: An already loaded model; None: loaded when first needed.
        scenarios: By name.
        root: Index directory.
        live: URL of the live store, or true for the one in the index directory, if there is one.

    Raises:
        SettingsError: If the store cannot be opened.
    """
    url = live if isinstance(live, str) else find_url_beside(root)
    store = None
    if url is not None:
        secret = load_secret(None, os.environ)
        store = LiveStore.from_database(LiveDatabase.open(url), secret, time.time)
    return LiveIndex(path, encoder, scenarios, store)


class LiveIndex(Index):
    """One snapshot and the live store, open: each call answers from what the store holds then.

    Args:
        path: Directory of the snapshot.
        encoder: See `SnapshotCatalogue`.
        scenarios: By name.
        store: None: there is none, and nobody is known.
    """

    def __init__(
        self,
        path: Path,
        encoder: Encoder | None,
        scenarios: Mapping[str, Scenario],
        store: LiveStore | None,
    ) -> None:
        super().__init__(path, encoder, scenarios)
        self._store = store
        self._views = RequestViews(store)

    @override
    def close(self) -> None:
        """Close the files and the store."""
        super().close()
        if self._store is not None:
            self._store.database.close()

    # The items that are shown. What `Catalogue` names stays that of the snapshot, beside which the
    # live catalogue is laid.

    @override
    def __len__(self) -> int:
        return len(self._load_catalogue())

    @override
    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and item_id in self._load_catalogue().rows([item_id])

    @override
    def __iter__(self) -> Iterator[str]:
        """Yield the ids of all items in order, as they are now."""
        catalogue = self._load_catalogue()
        rows = catalogue.sort_by_id(np.arange(catalogue.count))
        if catalogue.deleted is not None:
            rows = rows[~catalogue.deleted[rows]]
        for start in range(0, len(rows), _IDS_PER_READ):
            yield from catalogue.ids(rows[start : start + _IDS_PER_READ].tolist())

    @override
    def get(self, item_id: str) -> dict[str, Any] | None:
        """Return the fields of an item, or None if there is none of that id."""
        return self._load_catalogue().get(item_id)

    @override
    def page(
        self, *, after: int = -1, limit: int = 100, condition: Any = None
    ) -> list[tuple[int, dict[str, Any]]]:
        """Return up to `limit` (place, item) with places above `after`, in order of id.

        Places count the items that pass, and change with the store.

        Raises:
            FilterError: If the filter `condition` does not fit the catalogue.
        """
        items, _ = list_items(
            self._load_catalogue(), after=None, limit=after + 1 + limit, condition=condition
        )
        return list(enumerate(items))[after + 1 :]

    @override
    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Return the meaning vectors of items, `(len(ids), d) float32`, unit length.

        Raises:
            RequestError: If an id is not in the catalogue.
        """
        catalogue = self._load_catalogue()
        rows = catalogue.rows(ids)
        missing = [item_id for item_id in ids if item_id not in rows]
        if missing:
            raise RequestError(f"no item {missing[0]!r} in the catalogue")
        width = self.manifest.layout.meaning
        return catalogue.item_vectors(np.array([rows[i] for i in ids], np.int64))[:, :width]

    def _load_catalogue(self) -> LiveCatalogue:
        return self._answer(lambda view: view.catalogue)

    # Lists.

    @override
    def _recommend(self, request: Request) -> Answer:
        now = time.time()
        return self._answer(lambda view: recommend_to_user(view, request, now=now))

    @override
    def _search(self, request: Request) -> Answer:
        return self._answer(lambda view: search(view.catalogue, request))

    @override
    def _find_similar(self, items: Examples, texts: Examples, request: Request) -> Answer:
        return self._answer(lambda view: similar(view.catalogue, items, texts, request))

    def _answer(self, call: Callable[[RequestView], _T]) -> _T:
        """Return what a call returns for the present state.

        Raises:
            LiveStoreError: If the store cannot be read now.
        """
        with raise_as_failure():
            return self._views.answer(self, call)
