"""A country and a date to the name of its public holiday.

The dates come from the tables in the Python package `holidays`; no network is used.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import cache

# Common names of countries that the tables of `holidays` lack.
_COUNTRY_ALIASES = {
    "usa": "US", "america": "US", "uk": "GB", "greatbritain": "GB", "england": "GB",
    "korea": "KR", "russia": "RU", "czechrepublic": "CZ",
    "中国": "CN", "中华人民共和国": "CN", "美国": "US", "英国": "GB", "日本": "JP", "韩国": "KR",
    "德国": "DE", "法国": "FR", "意大利": "IT", "西班牙": "ES", "加拿大": "CA", "澳大利亚": "AU",
    "新加坡": "SG", "印度": "IN", "俄罗斯": "RU", "巴西": "BR", "香港": "HK", "中国香港": "HK",
    "台湾": "TW", "中国台湾": "TW", "澳门": "MO", "泰国": "TH", "越南": "VN", "马来西亚": "MY",
}  # fmt: skip
_SOUTHERN_COUNTRIES = frozenset(
    ("AR", "AU", "BO", "BR", "BW", "CL", "FJ", "LS", "MG", "MU", "MW", "MZ", "NA", "NZ", "PE", "PG",
     "PY", "SZ", "UY", "ZA", "ZM", "ZW")
)  # fmt: skip
_SUBSTITUTE_SUFFIX = re.compile(r"\s*[(（](observed|补假|substituted).*", re.IGNORECASE)
_UNNAMED_DAY_OFF = re.compile(r"day off|休息日|调休", re.IGNORECASE)


def find_country_code(country: str) -> str | None:
    """Return the ISO 3166 alpha-2 code of a country code or name; None if it is not known."""
    plain = re.sub(r"[\W_]+", "", country).casefold()
    if plain in _COUNTRY_ALIASES:
        return _COUNTRY_ALIASES[plain]
    return _load_country_codes().get(plain)


def find_country_name(code: str) -> str:
    """Return the English name of a country; the code itself if it is not known."""
    return _load_country_names().get(code, code)


def is_southern(code: str) -> bool:
    """Return whether July is in winter in a country."""
    return code in _SOUTHERN_COUNTRIES


def find_public_holiday(code: str, day: date, language: str) -> str | None:
    """Return the name of the public holiday on a day; None if it is not one.

    A day off in exchange for another day has no name in the tables; it is called "day off".

    Args:
        code: From `find_country_code`.
        day: In the user's time zone.
        language: "zh" or "en"; a name the tables do not have in it stays in their own language.
    """
    name = _load_holidays(code, day.year, language).get(day)
    if name is None:
        return None
    if _UNNAMED_DAY_OFF.search(name):
        return "公共假日" if language == "zh" else "day off"
    return _SUBSTITUTE_SUFFIX.sub("", name.split(";")[0]).strip()


@cache
def _load_holidays(code: str, year: int, language: str) -> Mapping[date, str]:
    import holidays

    wanted = "zh_CN" if language == "zh" else "en_US"
    return dict(holidays.country_holidays(code, years=year, language=wanted).items())


@cache
def _load_country_codes() -> Mapping[str, str]:
    from holidays.registry import COUNTRIES

    codes: dict[str, str] = {}
    for name, short, long, *_ in COUNTRIES.values():
        codes |= dict.fromkeys((name.casefold(), short.casefold(), long.casefold()), short)
    return codes


@cache
def _load_country_names() -> Mapping[str, str]:
    from holidays.registry import COUNTRIES

    return {
        short: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name) for name, short, *_ in COUNTRIES.values()
    }
