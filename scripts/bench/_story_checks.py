"""A list of items and what a person expects of it to what is wrong with it. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FIRST = 10  # places that a check looks at unless it says otherwise
_TEXT_FIELDS = (
    "title", "title_original", "description", "tags", "categories", "keywords", "tagline", "series",
)  # fmt: skip
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "gte": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "lte": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One item of a list.

    Attributes:
        id: Its id.
        score: What the list says it scores.
        item: Its fields.
        reasons: Kinds of the reasons, largest share first.
        interactions: Rows of the training log that name it; 0 where there is no log.
    """

    id: str
    score: float = 0.0
    item: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    interactions: int = 0

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return " ".join(str(self.item.get("title", self.id)).split())


@dataclass(frozen=True, slots=True)
class Lists:
    """The list of a story, and what it would be with less said.

    Attributes:
        shown: The list.
        less: What a check leaves out (such as "history.3") to the list without it.
    """

    shown: Sequence[Shown]
    less: Mapping[str, Sequence[Shown]] = field(default_factory=dict)


Options = Mapping[str, Any]


def find_fault(check: Options, lists: Lists) -> str:
    """Return what is wrong with a list, empty if nothing is.

    Args:
        check: One kind of `CHECKS` with its value, and its options.
        lists: The list, and those that the check compares it with.
    """
    kind = next(name for name in CHECKS if name in check)
    return CHECKS[kind](check, lists)


def matches(item: Mapping[str, Any], where: Options) -> bool:
    """Return whether all conditions hold of an item; none holds of a field it has not.

    Args:
        item: Its fields.
        where: Field to a value that it equals or contains, or to an object of `any` (one of these),
            `has` (one of these is a part of it, in any case), `gte`, `gt`, `lte`, `lt`. `text`
            stands for all of the item's texts, `or` for a list of such conditions.
    """
    return all(_holds(item, name, condition) for name, condition in where.items())


def _holds(item: Mapping[str, Any], name: str, condition: Any) -> bool:
    if name == "or":
        return any(matches(item, where) for where in condition)
    values = _values(item, name)
    if not isinstance(condition, Mapping):
        return condition in values
    return bool(values) and all(
        _compares(values, operator, operand) for operator, operand in condition.items()
    )


def _compares(values: Sequence[Any], operator: str, operand: Any) -> bool:
    if operator == "any":
        return any(value in operand for value in values)
    if operator == "has":
        texts = [str(value).casefold() for value in values]
        return any(part.casefold() in text for part in operand for text in texts)
    compare = _COMPARISONS[operator]
    return any(isinstance(value, int | float) and compare(value, operand) for value in values)


def _values(item: Mapping[str, Any], name: str) -> list[Any]:
    names = _TEXT_FIELDS if name == "text" else (name,)
    found = [item[name] for name in names if item.get(name) is not None]
    return [part for value in found for part in (value if isinstance(value, list) else [value])]


def _leading(check: Options, lists: Lists) -> Sequence[Shown]:
    return lists.shown[: check.get("first", FIRST)]


def _find_missing(check: Options, lists: Lists) -> str:
    leading = _leading(check, lists)
    wanted = set(check["contains_one_of"])
    return "" if any(shown.id in wanted for shown in leading) else f"none in {len(leading)}"


def _find_unwanted(check: Options, lists: Lists) -> str:
    unwanted = set(check["contains_none_of"])
    return ", ".join(shown.title for shown in _leading(check, lists) if shown.id in unwanted)


def _find_share(check: Options, lists: Lists) -> str:
    leading = _leading(check, lists)
    count = sum(matches(shown.item, check["share_of"]) for shown in leading)
    share = count / len(leading) if leading else 0.0
    fits = check.get("at_least", 0.0) <= share <= check.get("at_most", 1.0)
    return "" if fits else f"{count} of {len(leading)}"


def _find_monotony(check: Options, lists: Lists) -> str:
    values = _count_values(check, lists, check["variety"])
    return "" if len(values) >= check["at_least"] else f"only {', '.join(map(str, values))}"


def _find_repetition(check: Options, lists: Lists) -> str:
    values = _count_values(check, lists, check["same_at_most"])
    crowds = [f"{value}: {n}" for value, n in values.most_common() if n > check["at_most"]]
    return ", ".join(crowds)


def _count_values(check: Options, lists: Lists, name: str) -> Counter[Any]:
    """Value of a field to how many of the leading items have it, in order of appearance."""
    return Counter(
        value for shown in _leading(check, lists) for value in set(_values(shown.item, name))
    )


def _find_twins(check: Options, lists: Lists) -> str:
    titles = Counter(shown.title.casefold() for shown in lists.shown[: check["titles_differ"]])
    return ", ".join(title for title, count in titles.items() if count > 1)


def _find_order(check: Options, lists: Lists) -> str:
    leading = [shown.id for shown in lists.shown[: check["unordered"]]]
    numbers = all(item_id.isdecimal() for item_id in leading)
    in_order = sorted(leading, key=int) if numbers else sorted(leading)
    return "they are in order of their ids" if len(leading) > 1 and leading == in_order else ""


def _find_unknown(check: Options, lists: Lists) -> str:
    return ", ".join(
        f"{shown.title}: {shown.interactions}"
        for shown in lists.shown[: check["no_unknown_first"]]
        if shown.interactions < check["fewer_than"]
    )


def _find_inversion(check: Options, lists: Lists) -> str:
    above, below = check["rank_above"]
    places = {shown.id: place for place, shown in enumerate(lists.shown, 1)}
    if above not in places:
        return f"{above} is not among {len(places)}"
    fits = places[above] < places.get(below, len(places) + 1)
    return "" if fits else f"{above} is at {places[above]}, {below} at {places[below]}"


def _find_change(check: Options, lists: Lists) -> str:
    kept = {shown.id for shown in lists.less[check["without"]][: check.get("first", FIRST)]}
    leading = _leading(check, lists)
    new = sum(shown.id not in kept for shown in leading)
    fits = leading and new / len(leading) <= check["changes_at_most"]
    return "" if fits else f"{new} of {len(leading)} are others"


def _find_no_reason(check: Options, lists: Lists) -> str:
    given = lists.shown[0].reasons if lists.shown else ()
    return "" if check["reason"] in given else f"its reasons are {', '.join(given) or 'none'}"


def _find_wrong_reason(check: Options, lists: Lists) -> str:
    given = lists.shown[0].reasons if lists.shown else ()
    return f"its reasons are {', '.join(given)}" if check["no_reason"] in given else ""


def _find_low_score(check: Options, lists: Lists) -> str:
    low = [shown for shown in lists.shown if shown.score < check["scores_at_least"]]
    return ", ".join(f"{shown.title}: {shown.score:.2f}" for shown in low)


def _find_short_list(check: Options, lists: Lists) -> str:
    count = len(lists.shown)
    return "" if count >= check["count_at_least"] else f"only {count}"


def _find_long_list(check: Options, lists: Lists) -> str:
    count = len(lists.shown)
    return "" if count <= check["count_at_most"] else f"{count}"


# The kinds of checks; the value of each is under its own name in a check.
CHECKS: Mapping[str, Callable[[Options, Lists], str]] = {
    "contains_one_of": _find_missing,
    "contains_none_of": _find_unwanted,
    "share_of": _find_share,
    "variety": _find_monotony,
    "same_at_most": _find_repetition,
    "titles_differ": _find_twins,
    "unordered": _find_order,
    "no_unknown_first": _find_unknown,
    "rank_above": _find_inversion,
    "changes_at_most": _find_change,
    "reason": _find_no_reason,
    "no_reason": _find_wrong_reason,
    "scores_at_least": _find_low_score,
    "count_at_least": _find_short_list,
    "count_at_most": _find_long_list,
}

# The options of each kind: those it needs, and those it may have. `share_of` needs a bound as well.
OPTIONS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "contains_one_of": (frozenset(), frozenset({"first"})),
    "contains_none_of": (frozenset(), frozenset({"first"})),
    "share_of": (frozenset(), frozenset({"first", "at_least", "at_most"})),
    "variety": (frozenset({"at_least"}), frozenset({"first"})),
    "same_at_most": (frozenset({"at_most"}), frozenset({"first"})),
    "titles_differ": (frozenset(), frozenset()),
    "unordered": (frozenset(), frozenset()),
    "no_unknown_first": (frozenset({"fewer_than"}), frozenset()),
    "rank_above": (frozenset(), frozenset()),
    "changes_at_most": (frozenset({"without"}), frozenset({"first"})),
    "reason": (frozenset(), frozenset()),
    "no_reason": (frozenset(), frozenset()),
    "scores_at_least": (frozenset(), frozenset()),
    "count_at_least": (frozenset(), frozenset()),
    "count_at_most": (frozenset(), frozenset()),
}
