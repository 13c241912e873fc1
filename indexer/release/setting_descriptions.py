"""Taste settings to sentences: what counts, how much, and how far back in the history."""

from collections.abc import Mapping
from typing import Any

_WEIGHTS = (
    ("neighbour_weight", "What is picked soon after what", "item-item taste"),
    ("text_weight", "Taste predicted from text, which new items have too", "text taste"),
    ("prior_weight", "What is popular", "popularity"),
    ("repeat_weight", "A user's own items coming again", "habit"),
    ("context_gain", "What was done in the same circumstances", "history by circumstances"),
    ("context_weight", "What is liked in the circumstances of now", "circumstances"),
)
_REACHES = (
    ("meaning_reach", "meaning"), ("taste_reach", "taste"), ("repeat_reach", "habit"),
)  # fmt: skip
_POPULARITY_AFFINITY = "prior_lean"
_SCALE = "scale"
_MOMENT_SHARE = "moment_share"
_DESCRIBED = {
    _POPULARITY_AFFINITY,
    _SCALE,
    _MOMENT_SHARE,
    *(name for name, *_ in (*_WEIGHTS, *_REACHES)),
}


def describe_settings(settings: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every setting, those of unused blocks among them."""
    sentences = [_describe_weight(settings, *row) for row in _WEIGHTS if row[0] in settings]
    sentences += [
        f"For {what}, an event {settings[name]:g} events ago counts a quarter of the last one."
        if name != "repeat_reach"
        else f"For {what}, the reach is {settings[name]:g} events."
        for name, what in _REACHES
        if name in settings and (name != "repeat_reach" or settings.get("repeat_weight"))
    ]
    if settings.get(_POPULARITY_AFFINITY) and settings.get("prior_weight"):
        sentences.append(
            f"To a user whose picks are one standard deviation more popular than picks are, what "
            f"is popular counts up to {settings[_POPULARITY_AFFINITY]:.0%} more; to one whose "
            f"picks are less so, less."
        )
    if settings.get(_MOMENT_SHARE, 1.0) != 1.0:
        sentences.append(
            f"Words about the moment of a request, such as a season, count "
            f"{settings[_MOMENT_SHARE]:g} times what the scenario says: what was learned is worth "
            f"more."
        )
    sentences += _describe_scale(settings.get(_SCALE) or {})
    rest = {name: value for name, value in settings.items() if name not in _DESCRIBED}
    sentences += [
        f"{name.replace('_', ' ')}: {_format_value(value)}." for name, value in rest.items()
    ]
    return sentences


def _describe_scale(scale: Mapping[str, Any]) -> list[str]:
    """Return what ratings and counts are worth, in words; `scale` is an `EventScale`."""
    sentences = []
    like_from = scale.get("like_from")
    if like_from is not None:
        sentences.append(
            f"A rating from {like_from:g} on is liking, also a lower one above its user's mean."
        )
        if scale.get("likes_unrated"):
            sentences.append("Most events have no rating, and count as liking without one.")
    sentences += [
        f"The value of a {name} is a count: more is more."
        for name, _ in scale.get("count_units", ())
    ]
    sentences += [
        f"The event {name!r} has the weight {weight:g} of scenarios.toml."
        for name, weight in scale.get("own_weights", ())
    ]
    return sentences


def _describe_weight(settings: Mapping[str, Any], name: str, what: str, block: str) -> str:
    weight = settings[name]
    if not weight:
        return f"{what} ({block}) is not used: there was no evidence that it helps."
    return f"{what} ({block}) counts with weight {weight:g}, against 1 for meaning."


def _format_value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(str(part) for part in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
