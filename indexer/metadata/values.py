"""Item to its values by dotted path: strings, booleans, numbers and locations. Pure.

Null, an empty list or object, NaN and infinities count as missing. The parts of an object have
paths of their own (`attrs.color`); the elements of a list have the path of the list, so the parts
of a list of objects are lists. A key that contains a dot itself is the same path.
"""

import math
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.reading import parse_date_instant

MAX_NESTING = 16  # values nested deeper are stored and returned, but cannot be filtered on
EARTH_RADIUS_KM = 6371.0088

_DATE_PATHS = ("created_at",)


class GeoPoint(NamedTuple):
    """A point on Earth, in degrees."""

    lat: float
    lon: float


class NonValue(Enum):
    """The content of a path that has no value of its own."""

    OBJECT = "an object with something inside"
    MISSING = "named, but missing"


Number: TypeAlias = int | float  # an int only if a float cannot be trusted to hold it
Value: TypeAlias = str | bool | Number | GeoPoint | NonValue
Leaf: TypeAlias = tuple[str, Value, bool]  # path, value, whether it was in a list


def collect_elements(fields: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects in the lists of an item with the path of their list.

    Lists within these objects belong to the objects: their elements are those of the object.
    """
    waiting = [(name, value, 1) for name, value in fields.items()]
    while waiting:
        path, value, depth = waiting.pop()
        if depth >= MAX_NESTING:
            continue
        if isinstance(value, list | tuple):
            for part in value:
                if isinstance(part, Mapping):
                    yield path, part
            waiting += [(path, part, depth + 1) for part in value if isinstance(part, list | tuple)]
        elif isinstance(value, Mapping):
            waiting += [(f"{path}.{key}", part, depth + 1) for key, part in value.items()]


def collect_leaves(fields: Mapping[str, Any]) -> list[Leaf]:
    """Return every value of an item with its path, in the item's order."""
    leaves: list[Leaf] = []
    for name, value in fields.items():
        _walk(name, value, (False, 1), leaves)
    return leaves


class DateGuess:
    """Whether the strings of a field are dates: all of them are, and not all are only years.

    A field that items have for their date holds dates even if all are only years.
    """

    def __init__(self, path: str) -> None:
        self._has_full_date = path in _DATE_PATHS
        self._are_dates = True

    @property
    def is_open(self) -> bool:
        """Whether a further string could still be one of dates."""
        return self._are_dates

    @property
    def holds(self) -> bool:
        """Whether the strings so far are dates."""
        return self._are_dates and self._has_full_date

    def observe(self, text: str | bool) -> float:  # noqa: FBT001  # a value, not a switch
        """Note a string or boolean; return the Unix seconds it stands for, 0 if it is no date."""
        seconds = parse_date_instant(text) if isinstance(text, str) else None
        if seconds is None:
            self._are_dates = False
            return 0.0
        self._has_full_date = self._has_full_date or not str(text).strip().isdigit()
        return seconds


def to_finite_float(value: Any) -> float | None:
    """Return a finite number as a float; None for booleans, NaN, infinities and other types."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def to_exact_number(value: Any) -> Number | None:
    """Return a finite number that equals the given one; None for what `to_finite_float` refuses.

    It is an `int` if it is whole, of at most 64 bits and beyond 2^53, where neighbouring whole
    numbers are the same float; else a `float`.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 2**53 < abs(value) < 2**64:
        return value
    return to_finite_float(value)


def split_number(number: Number) -> tuple[float, float]:
    """Return the nearest float of a number, and what remains: both together are exact."""
    nearest = float(number)
    return nearest, float(number - int(nearest)) if isinstance(number, int) else 0.0


def to_unit_vectors(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points on the unit sphere, `(3, n) float64`, for degrees `(n,)`."""
    phi, theta = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)])


def is_within(points: NDArray[np.float64], centre: GeoPoint, km: float) -> NDArray[np.bool_]:
    """Whether the great-circle distance to `centre` is at most `km`.

    The haversine of an angle is a quarter of the squared chord, so comparing squared chords is the
    haversine formula without trigonometry for each row, and exact at any distance.

    Args:
        points: `(3, n) float64` from `to_unit_vectors`; NaN is never within.
        centre: The middle of the circle.
        km: Its radius, at least 0.
    """
    middle = to_unit_vectors(np.array([centre.lat]), np.array([centre.lon]))[:, 0]
    half_angle = min(km / (2 * EARTH_RADIUS_KM), math.pi / 2)
    # Half the circumference reaches every point: rounding must not lose the antipode.
    limit = math.inf if half_angle == math.pi / 2 else 4 * math.sin(half_angle) ** 2
    squared_chord = np.square(points[0] - middle[0])
    for axis in (1, 2):
        squared_chord += np.square(points[axis] - middle[axis])
    within: NDArray[np.bool_] = squared_chord <= limit
    return within


def _walk(path: str, value: Any, where: tuple[bool, int], leaves: list[Leaf]) -> None:
    """Append the leaves of a value; `where` is whether it is in a list, and its depth."""
    in_list, depth = where
    if isinstance(value, str | bool):
        leaves.append((path, value, in_list))
    elif isinstance(value, int | float):
        number = to_exact_number(value)
        leaves.append((path, NonValue.MISSING if number is None else number, in_list))
    elif isinstance(value, list | tuple) and value and depth < MAX_NESTING:
        for part in value:
            _walk(path, part, (True, depth + 1), leaves)
    elif isinstance(value, Mapping) and value and depth < MAX_NESTING:
        _walk_object(path, value, where, leaves)
    else:
        leaves.append((path, NonValue.MISSING, in_list or isinstance(value, list | tuple)))


def _walk_object(
    path: str, value: Mapping[str, Any], where: tuple[bool, int], leaves: list[Leaf]
) -> None:
    in_list, depth = where
    geo_point, before = _parse_geo_point(value), len(leaves)
    for key, part in value.items():
        if geo_point is None or key not in ("lat", "lon"):
            _walk(f"{path}.{key}", part, (in_list, depth + 1), leaves)
    holds_something = any(leaf[1] is not NonValue.MISSING for leaf in leaves[before:])
    own_value = geo_point or (NonValue.OBJECT if holds_something else NonValue.MISSING)
    leaves.append((path, own_value, in_list))


def _parse_geo_point(value: Mapping[str, Any]) -> GeoPoint | None:
    lat, lon = to_finite_float(value.get("lat")), to_finite_float(value.get("lon"))
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180:
        return None
    return GeoPoint(lat, lon)
