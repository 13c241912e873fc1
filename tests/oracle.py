"""Raw rows and a request body to the right answer, by brute force and as plainly as possible.

A second opinion for the product: it is written from API.md and the docstrings and shares no code
with `indexer`. Only settings that are chosen by measurement (weights, half-lives) are read there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import Index
from indexer.language import whitening
from indexer.query.word_terms import WORDS_WEIGHT
from indexer.request.scenarios import SCENARIOS
from indexer.snapshot import item_vectors as block_vectors
from indexer.taste.settings import PROFILE_SHARE
from tests.words_oracle import share_words

filter_oracle = import_module("tests.indexer.metadata.filter_oracle")

Numbers = NDArray[np.float64]
Encode = Callable[[Sequence[str]], Any]
REASONS = ("deleted", "unavailable", "requested", "seen", "filter", "min_score", "cap")
PRIOR_GAIN = block_vectors.PRIOR_SCALE
SHARED = PROFILE_SHARE


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def unit(vectors: Any) -> Numbers:
    """Rows of length 1."""
    wide = np.asarray(vectors, np.float64)
    lengths: Numbers = np.linalg.norm(wide, axis=-1, keepdims=True)
    scaled: Numbers = wide / np.where(lengths > 0, lengths, 1)
    return scaled


def stored(vectors: Any) -> Numbers:
    """Unit vectors as a snapshot keeps them: rounded to half precision."""
    rounded: Numbers = unit(np.asarray(vectors, np.float32)).astype(np.float16).astype(np.float64)
    return rounded


@dataclass(frozen=True)
class Space:
    """Means of items and queries, the whitening matrix, and the one that undoes it for likeness."""

    item_mean: Numbers
    query_mean: Numbers
    matrix: Numbers
    likeness: Numbers

    def items(self, raw: Any) -> Numbers:
        return unit((np.asarray(raw, np.float64) - self.item_mean) @ self.matrix)

    def queries(self, raw: Any) -> Numbers:
        return unit((np.asarray(raw, np.float64) - self.query_mean) @ self.matrix)

    def alike(self, meaning: Numbers) -> Numbers:
        """Scaled so that a vector's product with its own image is 1."""
        turned = meaning @ self.likeness
        image: Numbers = turned / (turned * meaning).sum(axis=-1, keepdims=True)
        return image


def shrunk_space(raw: Numbers, item_texts: Any, query_texts: Any, power: float) -> Space:
    """Mean and covariance of a catalogue, mixed with those of the shipped texts by its size."""
    count, dim = raw.shape
    background = np.asarray(item_texts, np.float64)
    spread = ((background - background.mean(axis=0)) ** 2).sum(axis=1).mean() / dim
    trust = count / (count + 50)
    mean = trust * raw.mean(axis=0) + (1 - trust) * background.mean(axis=0)
    trust = count / (count + 1_000)
    covariance = trust * np.cov(raw.T, bias=True) + (1 - trust) * spread * np.eye(dim)
    values, directions = np.linalg.eigh(covariance)
    values = values + 0.01 * values.mean()
    scales = values / values.mean()
    matrix = directions @ np.diag(scales ** (-power / 2)) @ directions.T
    likeness = directions @ np.diag(scales ** (whitening.SIMILARITY_POWER / 2)) @ directions.T
    queries = np.asarray(query_texts, np.float64).mean(axis=0)
    return Space(mean, queries + mean - background.mean(axis=0), matrix, likeness)


@dataclass(frozen=True)
class Expected:
    """The right answer, best first; `shares` splits an item's score by input."""

    ids: list[str]
    scores: dict[str, float]
    excluded: dict[str, int]
    eligible: int
    shares: Callable[[str], dict[str, float]]


class World:
    """A catalogue as its raw rows and vectors, answered by looking at every item."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        vectors: Mapping[str, Any],
        *,
        space: Space | None = None,
        encode: Encode | None = None,
        scale: tuple[float, float] = (1, 5),
    ) -> None:
        self.items = {str(row["id"]): row for row in rows}  # the last duplicate wins
        self.ids = sorted(self.items)
        raw = stored(np.stack([vectors[item_id] for item_id in self.ids]))
        self.meaning = space.items(raw) if space else unit(raw)
        self.row = {item_id: row for row, item_id in enumerate(self.ids)}
        self.space, self.encode, self.scale = space, encode, scale
        self.prior = self._priors()
        self.representative = np.zeros(len(self.ids))
        self._passed: dict[str, NDArray[np.bool_]] = {}
        self._word_shares: dict[str, dict[str, float]] = {}
        self._unavailable = self._where(lambda item: item.get("available") is False)

    def take_representatives(self, index: Index) -> None:
        """Take over what items gain in a list for nobody; which they are is tested elsewhere."""
        vectors = index.item_vectors(np.arange(len(self.ids)))
        self.representative = vectors[:, index.manifest.layout.part_column].astype(np.float64)

    def _is_for_nobody(self, body: Mapping[str, Any]) -> bool:
        past = self._past(body, SCENARIOS[body.get("scenario") or "default"])
        said = [body.get(name) for name in ("interests", "query", "spoken")]
        return not any(said) and all(part[1] <= 0 for part in past)

    def _priors(self) -> Numbers:
        low, high = self.scale
        rated = {i: (item["rating"] - low) / (high - low)
                 for i, item in self.items.items() if item.get("rating") is not None}  # fmt: skip
        middle = sum(rated.values()) / len(rated) if rated else 0.0
        gains = [PRIOR_GAIN * (rated[i] - middle) if i in rated else 0.0 for i in self.ids]
        return np.array(gains)

    def answer(self, body: Mapping[str, Any]) -> Expected:
        """What `recommend(**body)` must say (all eligible items, whatever `k`)."""
        reasons = self._out(body)
        out = np.logical_or.reduce([*reasons.values()])
        names, vectors, coefficients = self._request(body, ~out)
        parts = self.meaning @ vectors.T if names else np.zeros((len(self.ids), 0))
        products = parts @ coefficients.T  # (n, q)
        factor = float(dict(body.get("weights") or {}).get("prior", 1.0))
        prior = factor * self.prior
        standing = factor * self.representative * self._is_for_nobody(body)
        boosts = [b["weight"] * self._passing(b["filter"]) for b in body.get("boost") or []]
        gained = np.sum(boosts, axis=0) if boosts else np.zeros(len(self.ids))
        worded = self._word_terms(body)
        scores = products.max(axis=1) + prior + standing + gained + worded
        best = products.argmax(axis=1)
        if body.get("min_score") is not None:
            reasons["min_score"] = scores < body["min_score"]
        left = np.ones(len(self.ids), np.bool_)
        excluded = dict.fromkeys(REASONS, 0)
        for reason, out in reasons.items():
            excluded[reason] = int((left & out).sum())
            left &= ~out
        eligible = np.flatnonzero(left)
        eligible = eligible[np.argsort(-scores[eligible].round(6), kind="stable")]
        kept = self._within_caps(eligible.tolist(), body)
        excluded["cap"] = len(eligible) - len(kept)
        eligible = np.array(kept, np.int64)

        def shares(item_id: str) -> dict[str, float]:
            row = self.row[item_id]
            told = dict(zip(names, parts[row] * coefficients[best[row]], strict=True))
            boosted = {f"boost:{n}": float(boost[row]) for n, boost in enumerate(boosts)}
            words = {"words": float(worded[row])} if worded[row] else {}
            of_prior = {"popularity": float(prior[row]), "representative": float(standing[row])}
            return {**told, **boosted, **words, **of_prior}

        return Expected(
            [self.ids[row] for row in eligible],
            dict(zip(self.ids, scores.tolist(), strict=True)),
            excluded,
            len(eligible),
            shares,
        )

    def _word_terms(self, body: Mapping[str, Any]) -> Numbers:
        """What the words of the query add to each row."""
        if not body.get("query"):
            return np.zeros(len(self.ids))
        if body["query"] not in self._word_shares:
            self._word_shares[body["query"]] = share_words(self.items, body["query"])
        shares = self._word_shares[body["query"]]
        scenario = SCENARIOS[body.get("scenario") or "default"]
        weight = WORDS_WEIGHT * scenario.query_weight * self._lead(body)
        return np.array([weight * shares.get(item_id, 0.0) for item_id in self.ids])

    def _lead(self, body: Mapping[str, Any]) -> float:
        """How much more a query weighs beside a profile."""
        scenario = SCENARIOS[body.get("scenario") or "default"]
        past = [part[1] for part in self._past(body, scenario) if part[0].startswith("item:")]
        return scenario.lead_weight if any(past) or body.get("interests") else 1.0

    def _out(self, body: Mapping[str, Any]) -> dict[str, NDArray[np.bool_]]:
        """Reason to the rows that are out for it, in the order of counting."""
        scenario = SCENARIOS[body.get("scenario") or "default"]
        again = body.get("include_seen")
        comes_again = again is None and scenario.include_seen
        met = {
            str(entry["item_id"])
            for entry in map(_entry, body.get("history") or [])
            if "item_id" in entry
            and _hides(scenario, entry.get("event", "click"), everything=again is False)
        }
        out = {
            "unavailable": self._unavailable,
            "requested": np.isin(self.ids, body.get("exclude") or [""]),
            "seen": np.isin(self.ids, [] if again or comes_again else [*met]),
        }
        if body.get("filter") is not None:
            out["filter"] = ~self._passing(body["filter"])
        return out

    def _within_caps(self, rows: list[int], body: Mapping[str, Any]) -> list[int]:
        """Walk down the ranking, pinned items first, and pass over what is used up."""
        caps = body.get("max_per")
        if caps is None:
            caps = SCENARIOS[body.get("scenario") or "default"].max_per
        pins = sorted(body.get("pin") or [], key=lambda pin: pin["rank"])
        first = [self.row[pin["item_id"]] for pin in pins if pin["item_id"] in self.row]
        first = [row for row in first if row in rows]
        used: dict[Any, int] = {}
        kept = set()
        for row in [*first, *(row for row in rows if row not in first)]:
            held = [self.items[self.ids[row]].get(field) for field in caps]
            values = [
                (field, value)
                for field, value in zip(caps, held, strict=True)
                for value in (set(value) if isinstance(value, list) else {value} - {None})
            ]
            if all(used.get(value, 0) < caps[value[0]] for value in values):
                kept.add(row)
                used.update({value: used.get(value, 0) + 1 for value in values})
        return [row for row in rows if row in kept]

    def _where(self, condition: Callable[[Mapping[str, Any]], bool]) -> NDArray[np.bool_]:
        return np.array([condition(self.items[item_id]) for item_id in self.ids], np.bool_)

    def _passing(self, wanted: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Rows that pass a filter; parts of large worlds are asked for again and again."""
        if len(self.ids) > 1_000 and [*wanted] in (["and"], ["or"]):
            (name, parts), *_ = wanted.items()
            together = np.logical_and if name == "and" else np.logical_or
            rows: NDArray[np.bool_] = together.reduce([self._passing(part) for part in parts])
            return rows
        key = json.dumps(wanted)
        if key not in self._passed:
            self._passed[key] = self._where(
                lambda item: filter_oracle.passes(wanted, item, dates=())
            )
        return self._passed[key]

    def _request(
        self, body: Mapping[str, Any], left: NDArray[np.bool_]
    ) -> tuple[list[str], Numbers, Numbers]:
        """Names and vectors of the inputs, and their weight in each request vector.

        `left` are the items that may be shown, whose best decide how interests are balanced.
        """
        scenario = SCENARIOS[body.get("scenario") or "default"]
        profile = self._past(body, scenario)
        for text in body.get("interests") or []:
            weight = scenario.interest_weight
            profile.append((f"interest:{text}", weight, self._said(text), False))
        constant: list[tuple[str, float, Any]] = []
        if body.get("query"):
            weight = scenario.query_weight * self._lead(body)
            constant.append(("query", weight, self._said(body["query"])))
        for name, words in (body.get("spoken") or {}).items():
            weight = scenario.context_weight * min(1, 3 / len(body["spoken"]))
            constant.append((f"context:{name}", weight, self._said(words)))
        names = [part[0] for part in profile] + [part[0] for part in constant]
        vectors = np.array([part[2] for part in [*profile, *constant]], np.float64)
        vectors = vectors.reshape(len(names), self.meaning.shape[1])
        fixed = np.array([part[1] for part in constant], np.float64)
        block = dict(body.get("weights") or {})
        factor = float(block.get("meaning", 1.0))
        own = vectors[: len(profile)]
        groups = _interests(profile, own)
        mixes = _mixes(profile, own, scenario.recent_vectors)
        older = _without_opposed_newest(profile, own)
        if len(groups) > 1:
            shown = np.flatnonzero(left)
            prior = self.prior[shown] * float(block.get("prior", 1.0))
            mixes = _balance(
                [_mixes(profile, own, scenario.recent_vectors, group) for group, _ in groups],
                np.array([share for _, share in groups]),
                factor * own @ self.meaning[shown].T,
                prior,
            )
        elif older is not None:
            mixes.append(older * np.linalg.norm(mixes[0] @ own))
        return names, vectors, factor * np.array([[*mix, *fixed] for mix in mixes])

    def _past(self, body: Mapping[str, Any], scenario: Any) -> list[tuple[str, float, Any, bool]]:
        """Name, weight and vector of what the history says, and whether it is an item."""
        profile: list[tuple[str, float, Any, bool]] = []
        entries = [_entry(entry) for entry in body.get("history") or []]
        timed = sorted(entries, key=lambda entry: entry.get("at", float("-inf")))
        reactions = [self._reaction(entry, scenario) for entry in timed]
        refunded = _find_refunded(timed)
        for place, entry in enumerate(timed):
            if place in refunded:
                continue
            weight = reactions[place] * 0.5 ** (
                (len(timed) - 1 - place) / scenario.half_life_events
            )
            if scenario.half_life_s and "at" in entry:
                weight *= 0.5 ** (max(0, body["at"] - entry["at"]) / scenario.half_life_s)
            if "item_id" not in entry:
                profile.append((f"text:{entry['text']}", weight, self._said(entry["text"]), False))
            elif str(entry["item_id"]) in self.row:
                vector = self.meaning[self.row[str(entry["item_id"])]]
                if weight * _last_opinion(timed, reactions, place) >= 0:
                    profile.append((f"item:{entry['item_id']}", weight, vector, True))
        return profile

    def _said(self, text: str) -> Numbers:
        assert self.encode is not None
        assert self.space is not None
        said: Numbers = self.space.queries(self.encode([text]))[0]
        return said

    def _reaction(self, entry: Mapping[str, Any], scenario: Any) -> float:
        event = entry.get("event", "click")
        if event == "rating":
            middle, half = sum(self.scale) / 2, (self.scale[1] - self.scale[0]) / 2
            said = float(np.clip((entry["value"] - middle) / half, -1, 1))
        else:
            said = float(scenario.event_weights.get(event, 0.0))
        return said if "item_id" in entry or said < 0 else 1.0


Profile = list[tuple[str, float, Any, bool]]


def _interests(profile: Profile, vectors: Numbers) -> list[tuple[list[int], float]]:
    """The places of each interest's inputs, and its share of a list.

    Every declared interest is one, unless it says nearly what another one does. A short history is
    one, or two if its newest item and what is like it have nothing to do with the rest.
    """
    liked = [place for place, part in enumerate(profile) if part[1] > 0]
    declared = [place for place in liked if profile[place][0].startswith("interest:")]
    past = [place for place in liked if place not in declared]
    items = [place for place in past if profile[place][3]]
    assert len(items) < 8, "histories of more items are not in this oracle"
    history = [past] if past else []
    if items:
        newest = next(g for g in _join(items, vectors, 0.1) if items[-1] in g)
        older = [place for place in items if place not in newest]
        history = [older, newest] if older else [items]
        centres = [vectors[group].mean(axis=0) for group in history]
        for text in (place for place in past if place not in items):
            nearest = int(np.argmax([vectors[text] @ centre for centre in centres]))
            history[nearest] = [*history[nearest], text]
    whole = sum(profile[place][1] for place in past)
    shares = [
        whole * sum(profile[place][3] for place in group) / len(items) if items else whole
        for group in history
    ]
    interests = _join(declared, vectors, 0.6)
    shares += [sum(profile[place][1] for place in group) for group in interests]
    return [
        (group, share / sum(shares))
        for group, share in zip([*history, *interests], shares, strict=True)
    ]


def _join(places: list[int], vectors: Numbers, floor: float) -> list[list[int]]:
    """Groups of places: the two most alike on average are joined as long as that is `floor`."""
    groups = [[place] for place in places]
    while len(groups) > 1:
        alike, first, second = max(
            (float((vectors[one] @ vectors[other].T).mean()), -a, -b)
            for a, one in enumerate(groups)
            for b, other in enumerate(groups[:a])
        )
        if alike < floor:
            break
        groups[-second] = groups[-second] + groups.pop(-first)
    return groups


def _balance(
    mixes: list[list[Any]], shares: Numbers, products: Numbers, prior: Numbers
) -> list[Any]:
    """Each interest's mixes times a number, so that the first ten hold its share of them.

    `products` are those of the inputs with the items that may be shown, `prior` their priors.
    """
    ranks = np.maximum(1, np.round(10 * shares).astype(int))
    first = int(shares.argmax())
    wholes = np.array([own[0] @ products for own in mixes]) + prior
    near = sorted({int(row) for own in wholes for row in np.argsort(-own, kind="stable")[:20]})
    reached = np.array([np.max(np.array(own) @ products[:, near], axis=0) for own in mixes])
    sizes = np.ones(len(mixes))
    if near:
        heights = np.maximum(reached.max(axis=1), 1e-9)
        starts = np.clip(heights[first] / heights, 0.25, 4)
        sizes = starts.copy()
        for _ in range(4):
            owner = (reached * sizes[:, None]).argmax(axis=0)
            if {*owner.tolist()} != {*range(len(mixes))}:
                sizes = np.ones(len(mixes))
                break
            own_scores = np.sort((reached[first] + prior[near])[owner == first])[::-1]
            aim = own_scores[min(ranks[first], len(own_scores)) - 1]
            for place in range(len(mixes)):
                mine = owner == place
                needed = np.sort((aim - prior[near][mine]) / np.maximum(reached[place][mine], 1e-9))
                wanted = needed[min(ranks[place], len(needed)) - 1]
                if place != first:
                    sizes[place] = np.clip(wanted, starts[place] / 2, starts[place] * 2)
    return [size * mix for size, own in zip(sizes, mixes, strict=True) for mix in own]


def _without_opposed_newest(profile: Profile, vectors: Numbers) -> Any:
    """The profile without its newest liked item, if that item's vector opposes it."""
    liked = [place for place, part in enumerate(profile) if part[3] and part[1] > 0]
    weights = np.array([part[1] for part in profile], np.float64)
    if len(liked) < 2:
        return None
    weights[liked[-1]] = 0
    if vectors[liked[-1]] @ (weights @ vectors) >= 0:
        return None
    return _to_length_one(weights, vectors)


def _mixes(
    profile: Profile, vectors: Numbers, most: int, group: Sequence[int] | None = None
) -> list[Any]:
    """The whole profile, then it mixed with each of the last liked items.

    It is at unit length, and down to a quarter of that the more dislikes outweigh likes. With a
    group, of what is liked only that counts.
    """
    weights = np.array([part[1] for part in profile], np.float64)
    if group is not None:
        weights[[w > 0 and place not in group for place, w in enumerate(weights)]] = 0
        profile = [(p[0], float(w), *p[2:]) for p, w in zip(profile, weights, strict=True)]
    whole = _to_length_one(weights, vectors)
    liking, against = weights[weights > 0].sum(), -weights[weights < 0].sum()
    if against > liking:
        whole = whole * (1 + 3 * liking / against) / 4
    mixes = [whole]
    if np.count_nonzero(weights) > 1 and most:
        liked = [row for row, part in enumerate(profile) if part[3] and part[1] > 0]
        for row in liked[-most:]:
            own = np.eye(len(profile))[row]
            mixes.append(_to_length_one(SHARED * whole + (1 - SHARED) * own, vectors))
    return mixes


def _to_length_one(weights: Numbers, vectors: Numbers) -> Numbers:
    """Weights whose vector is 1 long, but never more than twice over the strongest input."""
    if not len(weights) or not weights.any():
        return weights
    scaled: Numbers = weights / max(np.linalg.norm(weights @ vectors), np.abs(weights).max() / 2)
    return scaled


def _find_refunded(timed: Sequence[Mapping[str, Any]]) -> set[int]:
    """Places of purchases that a later refund takes back, the latest of an item first."""
    refunded: set[int] = set()
    for place, entry in enumerate(timed):
        if entry.get("event") == "refund" and "item_id" in entry:
            bought = [
                earlier
                for earlier in range(place)
                if timed[earlier].get("event") == "purchase"
                and timed[earlier].get("item_id") == entry["item_id"]
                and earlier not in refunded
            ]
            refunded.update(bought[-1:])
    return refunded


def _last_opinion(
    timed: Sequence[Mapping[str, Any]], reactions: Sequence[float], place: int
) -> float:
    """What was thought of an entry's item last, after the entry; 0: nothing was."""
    told = [
        reactions[later]
        for later in range(place + 1, len(timed))
        if timed[later].get("item_id", "") == timed[place].get("item_id")
        and timed[later].get("event") in ("like", "dislike", "rating", "review", "hide")
    ]
    return told[-1] if told else 0.0


def _hides(scenario: Any, event: str, *, everything: bool) -> bool:
    """Whether an item does not come again after an event."""
    if scenario.hidden_by is not None and not everything:
        return event in scenario.hidden_by
    return event not in ("search", "impression")


def _entry(entry: Any) -> Mapping[str, Any]:
    return entry if isinstance(entry, Mapping) else {"item_id": entry}


def space_of(encoder: Any, raw: Numbers) -> Space:
    """The space that a build fits for an encoder without a shipped background."""
    texts = json.loads(
        (Path(whitening.__file__).parent / "background" / "texts.json").read_text("utf-8")
    )
    return shrunk_space(
        raw,
        encoder.encode_items(texts["items"]),
        encoder.encode_queries(texts["queries"]),
        whitening.WHITENING_POWER,
    )
