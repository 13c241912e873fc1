"""Unchecked value to a location, or to the name of a place. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from indexer.reading.field_parsers import (
    VALUE,
    BadValueError,
    is_missing,
    is_number,
    parse_json,
    parse_number,
)

_LATITUDES, _LONGITUDES = ("lat", "latitude"), ("lon", "lng", "long", "longitude")
COORDINATE_FIELDS = (*_LATITUDES, *_LONGITUDES)
_COORDINATE_NAMES = frozenset(COORDINATE_FIELDS)
_GEOJSON_KEYS = frozenset(("type", "coordinates", "geometry", "bbox", "crs", "properties"))
_MAX_CHARS = 200  # no pair of degrees is longer
_DEGREES_PAIR = re.compile(r"([-+\d.]++)\s*+,\s*+([-+\d.]++)")
_WKT_POINT = re.compile(
    r"(?:SRID=\d++;)?\s*+POINT\s*+Z?\s*+\(\s*+([-+\d.]++)\s++([-+\d.]++)(?:\s++[-+\d.]++)?+\s*+\)",
    re.IGNORECASE,
)


def parse_location(name: str, value: Any) -> dict[str, Any]:
    """Return `{"lat", "lon"}` in degrees.

    Args:
        name: Of the field.
        value: An object with both, a GeoJSON point, `[lon, lat]` as GeoJSON writes it, the JSON
            text of one of these, `"lat,lon"`, or `POINT(lon lat)`.

    Raises:
        BadValueError: If it is none of these, or not on Earth.
    """
    raw = _unwrap_geojson(parse_json(value) if isinstance(value, str) else value)
    if isinstance(raw, str):
        raw = _parse_pair(raw)
    if isinstance(raw, list) and len(raw) in (2, 3) and all(map(is_number, raw)):
        return _parse_geojson_pair(name, raw)
    if not isinstance(raw, Mapping) or find_coordinates(raw) is None:
        raise BadValueError(
            f'{name} must be {{"lat", "lon"}}, [lon, lat] or "lat,lon", not {VALUE}; '
            "a place name belongs in another column, such as city",
            value,
        )
    extras = {key: part for key, part in raw.items() if key not in COORDINATE_FIELDS}
    return {**parse_coordinates(name, raw), **extras}


def is_place_name(value: Any) -> bool:
    """Whether a location is no coordinates but words: `Shanghai`, or an object of words."""
    if isinstance(value, str):
        parsed = parse_json(value)
        if isinstance(parsed, str):
            return _parse_pair(parsed) is parsed and any(map(str.isalpha, parsed))
        value = parsed
    if not isinstance(value, Mapping) or find_coordinates(value) is not None:
        return False
    has_words = any(isinstance(part, str) and part.strip() for part in value.values())
    return has_words and _GEOJSON_KEYS.isdisjoint(value)


def find_coordinates(values: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Return the raw latitude and longitude of an object or a row; None unless it has both."""
    if _COORDINATE_NAMES.isdisjoint(values):
        return None
    lat = next((values[key] for key in _LATITUDES if not is_missing(values.get(key))), None)
    lon = next((values[key] for key in _LONGITUDES if not is_missing(values.get(key))), None)
    return None if lat is None or lon is None else (lat, lon)


def parse_coordinates(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"lat", "lon"}` in degrees of an object or a row that has both coordinates."""
    lat, lon = find_coordinates(values) or (None, None)
    return {
        "lat": _parse_degrees(f"{name} lat", lat, 90),
        "lon": _parse_degrees(f"{name} lon", lon, 180),
    }


def _unwrap_geojson(raw: Any) -> Any:
    """The position of a GeoJSON point or of a feature that is one; anything else unchanged."""
    geometry = raw.get("geometry") if isinstance(raw, Mapping) else None
    point = geometry if isinstance(geometry, Mapping) else raw
    if not isinstance(point, Mapping) or point.get("type", "Point") != "Point":
        return raw
    position = point.get("coordinates")
    return list(position) if isinstance(position, list | tuple) else raw


def _parse_pair(text: str) -> Any:
    """Return the coordinates as an object; the text itself if it is no pair of them."""
    stripped = text.strip()
    if len(stripped) > _MAX_CHARS:
        return text
    if match := _WKT_POINT.fullmatch(stripped):
        return {"lat": match[2], "lon": match[1]}
    match = _DEGREES_PAIR.fullmatch(stripped)
    return {"lat": match[1], "lon": match[2]} if match else text


def _parse_geojson_pair(name: str, pair: list[Any]) -> dict[str, Any]:
    try:
        return parse_coordinates(name, {"lon": pair[0], "lat": pair[1]})
    except BadValueError as error:
        raise BadValueError(
            f"{error}; a list is [lon, lat], as in GeoJSON: {VALUE}", pair
        ) from None


def _parse_degrees(name: str, value: Any, limit: int) -> float:
    degrees = parse_number(name, value)
    if abs(degrees) > limit:
        raise BadValueError(f"{name} must be between -{limit} and {limit}, not {VALUE}", value)
    return degrees
