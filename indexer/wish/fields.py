"""A phrase of a wish and the fields of a catalogue to a filter of the one field it means. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from indexer.field_names import TAG_FIELDS
from indexer.metadata import FieldInfo, FieldType, Schema
from indexer.wish.phrase import Subject, WishPhrase

_YEAR_FIELDS = (
    "year", "release_year", "publication_year", "published_year", "production_year", "年份",
    "上映年份", "出版年份", "发行年份",
)  # fmt: skip
_DATE_FIELDS = (
    "release_date", "released", "released_at", "published", "published_at", "publication_date",
    "date", "created_at", "上映日期", "出版日期", "发布日期",
)  # fmt: skip
_PRICE_FIELDS = ("price", "cost", "sale_price", "unit_price", "价格", "售价", "单价")
_CURRENCY_FIELDS = ("currency", "price_currency", "币种", "货币")
_CURRENCY_SIGNS = {
    "€": "EUR", "$": "USD", "US$": "USD", "£": "GBP", "¥": "CNY", "￥": "CNY", "元": "CNY",
    "块": "CNY", "块钱": "CNY", "人民币": "CNY", "RMB": "CNY", "美元": "USD", "欧元": "EUR",
    "英镑": "GBP",
}  # fmt: skip
_CHILDREN_VALUES = (
    "children", "for children", "with children", "kids", "for kids", "with kids", "children's",
    "亲子", "儿童", "少儿", "适合孩子", "适合儿童", "童书",
)  # fmt: skip
_CHILDREN_SPELLINGS = tuple(
    dict.fromkeys(form for v in _CHILDREN_VALUES for form in (v, v.capitalize(), v.title()))
)
_EARLIEST_YEAR, _LATEST_YEAR = 500, 2200
_MIN_YEAR_SHARE = 0.9
_YEN_OR_YUAN = "¥"


def build_phrase_filter(
    phrase: WishPhrase, schema: Schema, matches_any: Callable[[Any], bool]
) -> dict[str, Any] | None:
    """Return the filter that a phrase means; None if no field is meant, or several may be.

    Args:
        phrase: From `find_phrases`.
        schema: The fields of the catalogue.
        matches_any: Whether any item passes a filter.
    """
    match phrase.subject:
        case Subject.YEAR:
            return _build_year_filter(phrase.bounds, schema)
        case Subject.PRICE:
            return _build_price_filter(phrase, schema)
        case Subject.CHILDREN:
            return _build_children_filter(schema, matches_any)


def _build_year_filter(bounds: Mapping[str, float], schema: Schema) -> dict[str, Any] | None:
    """Bound the year of items, or where they have none, their date."""
    years = [name for name in _YEAR_FIELDS if name in schema.fields]
    if years:
        info = schema.fields[years[0]]
        return {info.name: dict(bounds)} if len(years) == 1 and _holds_years(info) else None
    dates = [name for name in _DATE_FIELDS if name in schema.fields]
    if len(dates) != 1 or schema.fields[dates[0]].type is not FieldType.DATE:
        return None
    return {dates[0]: dict(_to_instants(operator, int(year)) for operator, year in bounds.items())}


def _holds_years(info: FieldInfo) -> bool:
    """Whether nearly all of the commonest values are years; a few odd ones do no harm."""
    if info.type not in (FieldType.NUMBER, FieldType.MIXED):
        return False
    if not info.top_values:
        return _is_year(info.minimum) and _is_year(info.maximum)
    total = sum(count for _, count in info.top_values)
    years = sum(count for value, count in info.top_values if _is_year(value))
    return years >= _MIN_YEAR_SHARE * total


def _is_year(value: object) -> bool:
    return isinstance(value, int | float) and _EARLIEST_YEAR <= value <= _LATEST_YEAR


def _to_instants(operator: str, year: int) -> tuple[str, str]:
    """Return the bound of a date that a bound of its year means."""
    if operator in ("lte", "gt"):  # the year is over with the first instant of the next
        return ("lt" if operator == "lte" else "gte"), f"{year + 1}-01-01"
    return operator, f"{year}-01-01"


def _build_price_filter(phrase: WishPhrase, schema: Schema) -> dict[str, Any] | None:
    """Bound the price, unless the catalogue names another currency than the phrase."""
    prices = [name for name in _PRICE_FIELDS if name in schema.fields]
    if len(prices) != 1 or schema.fields[prices[0]].type is not FieldType.NUMBER:
        return None
    for name in _CURRENCY_FIELDS:
        info = schema.fields.get(name)
        codes = {_name_currency(str(value)) for value, _ in info.top_values} if info else set()
        if codes and not _is_in_currency(phrase.currency, codes):
            return None
    return {prices[0]: dict(phrase.bounds)}


def _is_in_currency(currency: str | None, codes: set[str]) -> bool:
    """Whether all prices are in the currency of a phrase; ¥ is that of China and of Japan."""
    if currency == _YEN_OR_YUAN:
        return codes in ({"CNY"}, {"JPY"})
    return currency is not None and codes == {currency}


def _name_currency(word: str) -> str:
    """Return the ISO code of a currency that a catalogue names by its sign or in Chinese."""
    return _CURRENCY_SIGNS.get(word.strip(), word.strip().upper())


def _build_children_filter(
    schema: Schema, matches_any: Callable[[Any], bool]
) -> dict[str, Any] | None:
    """Ask for what a tag or a category of the catalogue says is for children."""
    parts = []
    for name in TAG_FIELDS:
        info = schema.fields.get(name)
        is_text = info is not None and info.type is FieldType.STRING
        if is_text and matches_any({name: {"any": [*_CHILDREN_SPELLINGS]}}):
            words = [word for word in _CHILDREN_SPELLINGS if matches_any({name: word})]
            parts.append({name: {"any": words}})
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"or": parts}
