"""Price, rating and availability in the shapes that shops give them to fields of an item. Pure.

A value may bring more than its field holds: a currency, the number of ratings, a stock count. That
becomes a field of its own, unless the item has one of that name.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from indexer.reading.field_parsers import (
    VALUE,
    BadValueError,
    is_missing,
    is_number,
    parse_json,
    parse_number,
)
from indexer.reading.plain_values import read_amount, read_availability, read_rating

_AMOUNT_KEYS = ("amount", "value", "price")
_CURRENCY_KEYS = ("currency", "currencyCode", "currency_code", "priceCurrency")
_RATING_KEYS = ("rate", "average", "ratingValue", "rating", "value", "score", "stars")
_COUNT_KEYS = ("count", "ratingCount", "rating_count", "reviewCount", "numRaters", "votes")


def parse_price(name: str, value: Any) -> dict[str, Any]:
    """Return the price as a number, with its `currency` if it says it.

    Args:
        name: Of the field.
        value: A number, an amount as `read_amount` reads it, or `{"amount": …, "currency": …}`.

    Raises:
        BadValueError: If it is none of these.
    """
    raw = parse_json(value) if isinstance(value, str) else value
    if isinstance(raw, Mapping):
        return _parse_object(name, raw, (_AMOUNT_KEYS, _CURRENCY_KEYS), "currency")
    amount = read_amount(raw) if isinstance(raw, str) else None
    if amount is None:
        return {name: parse_number(name, value)}
    currency = {"currency": amount.currency} if amount.currency else {}
    return {name: amount.number, **currency}


def parse_rating(name: str, value: Any) -> dict[str, Any]:
    """Return the rating as a number, with `rating_count` if it says it.

    Args:
        name: Of the field.
        value: A number, text as `read_rating` reads it, or `{"rate": …, "count": …}`.

    Raises:
        BadValueError: If it is none of these.
    """
    raw = parse_json(value) if isinstance(value, str) else value
    if isinstance(raw, Mapping):
        return _parse_object(name, raw, (_RATING_KEYS, _COUNT_KEYS), "rating_count")
    rating = read_rating(raw) if isinstance(raw, str) else None
    return {name: parse_number(name, value) if rating is None else rating}


def parse_available(name: str, value: Any) -> dict[str, Any]:
    """Return whether the item can be had, with its `stock` if the value is a count.

    Raises:
        BadValueError: If it is neither a boolean, a number nor words that `read_availability`
            knows.
    """
    if isinstance(value, bool):
        return {name: value}
    is_known = isinstance(value, str) and read_availability(value) is not None
    if not (is_known or is_number(value)):
        raise BadValueError(
            f"{name} must be true or false, a stock count or words such as 'in stock', not {VALUE}",
            value,
        )
    if is_known and not any(map(str.isdigit, value)):
        return {name: read_availability(value)}
    count = parse_number(name, value)
    return {name: count > 0} if count in (0, 1) else {name: count > 0, "stock": count}


def _parse_object(
    name: str, raw: Mapping[str, Any], keys: tuple[Iterable[str], Iterable[str]], companion: str
) -> dict[str, Any]:
    """Return the number of an object, what stands beside it, and the rest as `…_details`."""
    number_key, beside_key = (
        next((key for key in names if not is_missing(raw.get(key))), None) for names in keys
    )
    if number_key is None:
        raise BadValueError(f"{name} must be a number, not {VALUE}", raw)
    number = raw[number_key]
    parse = parse_rating if companion == "rating_count" else parse_price
    if isinstance(number, Mapping):
        raise BadValueError(f"{name} must be a number, not {VALUE}", raw)
    fields = parse(name, number)
    if beside_key is not None:
        fields[companion] = raw[beside_key]
    rest = {key: part for key, part in raw.items() if key not in (number_key, beside_key)}
    return {**fields, f"{name}_details": rest} if rest else fields
