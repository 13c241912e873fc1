"""An interactions file to how much better recommendations are with live state than without.

The file is cut in time. The events before the cut are posted to a service over HTTP; those after it
are replayed in order of time. Before each replayed event that is positive, and whose item is new to
its user, three lists are requested; then the event is posted. The lists are compared by NDCG@10,
that event's item being the only relevant one:

- live: the service knows every event so far;
- frozen: it knows the events before the cut; items that the user met since are excluded;
- mean: the items nearest to the plain mean of the vectors of all items the user liked so far.

Intervals are 95% bootstrap over users.
"""

import math
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import Index, RequestError
from indexer.evaluation import LogRows, read_log_rows
from indexer.progress import StageProgress
from indexer.query import build_history_inputs
from indexer.reading import EventReading, Interaction, ItemNames, ValueKind
from indexer.request import (
    HistoryEntry,
    Scenario,
    collect_known_events,
    find_scenario,
    load_index_scenarios,
)
from service.jobs.own_service import Caller, Service

K = 10
ARMS = ("live", "frozen", "mean")
_RESAMPLES, _BATCH = 2_000, 1_000
_ITEMS_PER_READ = 1_000


@dataclass(slots=True)
class _Person:
    """Ids of a user's items so far in the replay, in order of time.

    Attributes:
        met: Items of all events.
        liked: Items of positive events that the catalogue has.
        since: Items of the events after the cut.
    """

    met: list[str] = field(default_factory=list)
    liked: list[str] = field(default_factory=list)
    since: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Case:
    """One comparison.

    Attributes:
        gains: NDCG@10 of each of `ARMS`.
        was_known: Whether the user has events before the cut.
    """

    user: str
    gains: tuple[float, ...]
    was_known: bool


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What is replayed.

    Attributes:
        root: Index directory; it must not have been built with the events that are replayed.
        interactions: File or URL of interactions, every row with a time.
        last: Share of the events that is replayed, from 0 to 1.
        most: The most cases; of more, an evenly spaced part is taken.
        query: A SELECT or the name of a table, for a database.
        fields: Our names to the source's columns.
        context: Columns that are circumstances; None: the usual ones.
        event: The event of rows that name none; None: as their values say.
        value_kind: What the values are; None: inferred.
    """

    root: Path
    interactions: str
    last: float = 0.1
    most: int = 2_000
    query: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    context: tuple[str, ...] | None = None
    event: str | None = None
    value_kind: ValueKind | None = None


def replay_events(plan: ReplayPlan, *, report: StageProgress) -> dict[str, Any]:
    """Start a service, replay the last events through it, and return the figures.

    Args:
        plan: What is replayed.
        report: Called with (stage, done, total).

    Raises:
        CatalogError: If the file cannot be read, or more than 1% of its rows are bad.
        RequestError: If a row has no time, or no event gives a case.
    """
    scenarios = load_index_scenarios(plan.root)
    index = Index.open(plan.root)
    found = _read_events(plan, index, collect_known_events(scenarios))
    events = _sort_events(found.interactions, plan.interactions)
    cut = math.floor(len(events) * (1 - plan.last))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'replay.sqlite'}"
        with Service(plan.root, url) as service:
            replay = _Replay(index, find_scenario(None, scenarios), service.connect(), report)
            replay.store(events[:cut])
            cases = replay.run(events[cut:], plan.most)
    if not cases:
        raise RequestError(f"{plan.interactions} has nothing to ask for after the cut")
    known = [case for case in cases if case.was_known]
    return {
        "index": index.id,
        "interactions": Path(plan.interactions).name,
        "events": len(events),
        "rejected": found.rejected,
        "notes": list(found.notes),
        "replayed": len(events) - cut,
        **_compute_figures(cases),
        "users_known_at_the_cut": _compute_figures(known) if known else None,
    }


def _read_events(plan: ReplayPlan, index: Index, known_names: Collection[str]) -> LogRows:
    ids = frozenset(index)
    reading = EventReading(
        plan.event,
        plan.value_kind,
        own_names=known_names,
        item_names=ItemNames(ids.intersection, lambda: _iterate_items(index)),
    )
    return read_log_rows(
        plan.interactions,
        context=plan.context,
        fields=plan.fields,
        query=plan.query,
        reading=reading,
    )


def _iterate_items(index: Index) -> Iterator[dict[str, Any]]:
    for start in range(0, len(index), _ITEMS_PER_READ):
        for _, item in index.page(after=start - 1, limit=_ITEMS_PER_READ):
            yield item


def _sort_events(interactions: Sequence[Interaction], file: str) -> list[Interaction]:
    """Return the events that name an item, in order of time."""
    rows = [row for row in interactions if row.item_id]
    if not rows or any(row.at is None for row in rows):
        raise RequestError(f"{file} has rows without a time; replaying needs an order")
    return sorted(rows, key=lambda row: row.at or 0.0)


class _Replay:
    """The state of a replay.

    Each user of the file is two users of the service: "live NAME" has all events so far, and
    "frozen NAME" those before the cut.
    """

    def __init__(
        self, index: Index, scenario: Scenario, caller: Caller, report: StageProgress
    ) -> None:
        self._scenario, self._caller, self._report = scenario, caller, report
        self._scale = index.manifest.rating_scale
        self._people: dict[str, _Person] = defaultdict(_Person)
        self._known: set[str] = set()
        self._row = {item_id: row for row, item_id in enumerate(index)}
        self._vectors = index.vectors(list(self._row))

    def store(self, events: Sequence[Interaction]) -> None:
        """Post the events before the cut, for the live and the frozen user."""
        for start in range(0, len(events), _BATCH // 2):
            batch = events[start : start + _BATCH // 2]
            self._post([_build_event(event, arm) for event in batch for arm in ("live", "frozen")])
            self._report("store", start, len(events))
        for event in events:
            self._remember(event)
            self._known.add(event.user_id)
        for person in self._people.values():
            person.since.clear()

    def run(self, events: Sequence[Interaction], most: int) -> list[_Case]:
        """Replay events; return at most `most` cases, evenly spaced."""
        chosen = set(_pick_evenly(list(self._iter_cases(events)), most))
        cases = []
        for number, event in enumerate(events):
            if number in chosen:
                cases.append(self._compare(event))
            self._post([_build_event(event, "live")])
            self._remember(event)
            self._report("replay", number, len(events))
        return cases

    def _iter_cases(self, events: Sequence[Interaction]) -> Iterator[int]:
        """Yield the position of each positive event on a new item, of users with earlier events."""
        met = {user: set(person.met) for user, person in self._people.items()}
        for number, event in enumerate(events):
            before = met.setdefault(event.user_id, set())
            is_new = event.item_id in self._row and event.item_id not in before
            if before and is_new and self._compute_weight(event) > 0:
                yield number
            before.add(event.item_id)

    def _compare(self, event: Interaction) -> _Case:
        person = self._people[event.user_id]
        lists = {
            "live": self._fetch_recommendations({"user_id": f"live {event.user_id}"}),
            "frozen": self._fetch_recommendations(
                {"user_id": f"frozen {event.user_id}", "exclude": person.since[-1_000:]}
            ),
            "mean": self._rank_by_mean(person),
        }
        gains = tuple(_compute_gain(lists[arm], event.item_id) for arm in ARMS)
        return _Case(event.user_id, gains, event.user_id in self._known)

    def _fetch_recommendations(self, body: dict[str, Any]) -> list[str]:
        request = {**body, "k": K, "explain": False, "fields": [], "include_seen": False}
        return [hit["id"] for hit in self._caller.post("/v1/recommend", request)["items"]]

    def _rank_by_mean(self, person: _Person) -> list[str]:
        """Return the items nearest to the mean of the liked ones, without those already met."""
        rows = [self._row[item_id] for item_id in person.liked]
        if not rows:
            return []
        scores = self._vectors @ self._vectors[rows].mean(axis=0)
        scores[[self._row[item_id] for item_id in person.met if item_id in self._row]] = -np.inf
        ids = list(self._row)
        return [ids[row] for row in np.argsort(-scores, kind="stable")[:K]]

    def _remember(self, event: Interaction) -> None:
        person = self._people[event.user_id]
        person.met.append(event.item_id)
        person.since.append(event.item_id)
        if event.item_id in self._row and self._compute_weight(event) > 0:
            person.liked.append(event.item_id)

    def _compute_weight(self, event: Interaction) -> float:
        """Return the weight that the service gives an event; above 0 it is positive."""
        entry = HistoryEntry(event.item_id, event=str(event.event), value=event.value)
        (query_input,) = build_history_inputs(
            [entry], scenario=self._scenario, now=0.0, rating_scale=self._scale
        )
        return query_input.weight

    def _post(self, events: list[dict[str, Any]]) -> None:
        self._caller.post("/v1/events", {"events": events})


def _build_event(event: Interaction, arm: str) -> dict[str, Any]:
    fields = {
        "user_id": f"{arm} {event.user_id}",
        "item_id": event.item_id,
        "event": str(event.event),
        "value": event.value,
        "at": event.at,
        "text": event.text,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _pick_evenly(numbers: Sequence[int], most: int) -> list[int]:
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[place * len(numbers) // most] for place in range(most)]


def _compute_gain(ids: Sequence[str], wanted: str) -> float:
    return 1 / math.log2(ids.index(wanted) + 2) if wanted in ids else 0.0


def _compute_figures(cases: Sequence[_Case]) -> dict[str, Any]:
    """Return the mean of each arm, and the ratio of live to each other arm, with intervals."""
    users = sorted({case.user for case in cases})
    place = {user: number for number, user in enumerate(users)}
    sums = np.zeros((len(users), len(ARMS) + 1))
    for case in cases:
        sums[place[case.user]] += (*case.gains, 1.0)
    rng = np.random.default_rng(0)
    resamples = rng.integers(0, len(users), (_RESAMPLES, len(users)))
    means = _compute_means(np.stack([sums[picked].sum(axis=0) for picked in resamples]))
    whole = _compute_means(sums.sum(axis=0)[np.newaxis])[0]
    fields: dict[str, Any] = {"cases": len(cases), "users": len(users)}
    for number, arm in enumerate(ARMS):
        fields[f"ndcg@{K}_{arm}"] = _summarise(whole[number], means[:, number])
    for number, arm in enumerate(ARMS[1:], 1):
        with np.errstate(divide="ignore", invalid="ignore"):
            fields[f"live_over_{arm}"] = _summarise(
                whole[0] / whole[number], means[:, 0] / means[:, number]
            )
    return fields


def _compute_means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = sums[:, :-1] / np.maximum(sums[:, -1:], 1)
    return means


def _summarise(value: float, resampled: NDArray[np.float64]) -> list[float | None]:
    """Return the value and its 2.5% and 97.5% quantiles; None where a ratio has a zero divisor."""
    low, high = np.quantile(resampled, [0.025, 0.975], method="lower")
    return [
        round(float(number), 4) if math.isfinite(number) else None for number in (value, low, high)
    ]
