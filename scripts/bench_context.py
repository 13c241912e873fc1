#!/usr/bin/env python3
"""Does the moment tilt a list as people would expect, without drowning taste?

Forty pairs of a context and what it should favour over what, written down before measuring, twenty
in English and twenty in Chinese, over the sample catalogue. Each is asked for a user with taste,
with and without the context. A pair holds if the favoured group gains ranks on the other group and
does not lose places in the first 50 against it. Prints one JSON line: the share that holds, which
do not, and how much of the first 50 stays what it is without context.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from _cli import parser, run

from indexer import Index
from indexer.errors import CatalogError

_TOP = 50
# Users with taste, by what they liked last.
_TASTES = (
    ["film-rear-window", "book-and-then-there-were-none", "film-blade-runner"],
    ["music-goldberg-variations", "outing-british-museum", "news-hubble-launch"],
    ["film-farewell-my-concubine", "book-dream-of-the-red-chamber",
        "music-the-moon-represents-my-heart"],
    ["game-tetris", "film-clue", "podcast-this-american-life"],
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Pair:
    """A context, and which items it should favour over which."""

    name: str
    context: dict[str, Any]
    favoured: dict[str, Any]
    other: dict[str, Any]


def _tags(*names: str) -> dict[str, Any]:
    return {"tags": {"any": list(names)}}


def _kinds(*names: str) -> dict[str, Any]:
    return {"categories": {"any": list(names)}}


_EVENING, _MORNING = "2026-11-22T20:30:00+08:00", "2026-11-23T08:10:00+08:00"  # a Sunday, a Monday
_NIGHT, _NOON = "2026-11-27T23:40:00+08:00", "2026-11-28T12:30:00+08:00"  # Friday, Saturday
_SUMMER, _WINTER = "2026-07-18T15:00:00+08:00", "2026-12-26T16:00:00+08:00"
_COSY, _OUTDOOR = (
    _tags("cosy", "rainy day", "indoor", "雨天", "室内"),
    _tags("outdoor", "hiking", "户外", "徒步"),
)
_FAMILY = _tags("with children", "family", "family movie night", "亲子", "适合全家")
_HORROR = {"or": [_kinds("horror"), _tags("horror", "unsettling", "恐怖", "惊悚")]}
_SHORT = {"or": [_kinds("podcast", "news"), _tags("commute", "quick session", "通勤")]}
_LONG = _tags("long read", "epic", "长篇", "史诗", "big screen", "适合大银幕")
_PARTY = {
    "or": [
        _kinds("party"),
        _tags("party", "with friends", "聚会", "和朋友一起看", "movie night with friends"),
    ]
}
_SAD = _tags("melancholy", "grief", "bleak", "孤独", "催泪", "沉重")
_CALM = _tags("calm", "bedtime", "静心", "睡前", "安静")
_LOUD = _tags("adrenaline", "action", "intense", "动作", "热血")
_ROMANCE = {
    "or": [_kinds("romance"), _tags("romance", "date night", "romantic", "爱情", "浪漫", "约会")]
}
_WAR = _tags("war", "战争", "First World War", "courtroom", "犯罪")
_KITCHEN = {
    "or": [
        _kinds("kitchen", "cookery", "tea", "coffee"),
        _tags("cooking", "baking", "美食", "厨房"),
    ]
}
_SPACE = {"or": [_kinds("space", "technology"), _tags("space", "nasa", "太空")]}
_SPORT = {"or": [_kinds("sport", "sports"), _tags("workout", "running", "运动", "健身")]}
_POETRY = {"or": [_kinds("poetry", "philosophy", "literary fiction"), _tags("poetry", "古典名著")]}
_MUSEUM = {
    "or": [_kinds("museum", "historic site"), _tags("museum", "city break", "博物馆", "古建筑")]
}
_WINTERY, _SUMMERY = _tags("winter", "冬天", "下雪天", "holiday"), _tags("summer", "夏天")
_FUNNY = {"or": [_kinds("comedy"), _tags("comedy", "funny", "silly", "喜剧", "搞笑", "幽默")]}
_STUDY = _tags("study", "desk", "concentration", "stationery", "文具", "书法")
_RAINWEAR = {"or": [_kinds("rainwear"), _tags("rainy day", "雨天")]}

_PAIRS = (
    _Pair("rainy evening at home", {"time": _EVENING, "weather": "rain", "place": "home"},
          _COSY, _OUTDOOR),
    _Pair("with children", {"scene": "with children"}, _FAMILY, _HORROR),
    _Pair("Monday commute", {"time": _MORNING, "scene": "commute", "device": "phone"},
          _SHORT, _LONG),
    _Pair("with friends", {"scene": "with friends", "time": _NIGHT}, _PARTY, _SAD),
    _Pair("sunny noon", {"weather": "sunny", "time": _NOON}, _OUTDOOR, _COSY),
    _Pair("before sleep", {"scene": "before sleep", "time": _NIGHT}, _CALM, _LOUD),
    _Pair("with my partner", {"social": "my partner", "scene": "date night"}, _ROMANCE, _WAR),
    _Pair("in the kitchen", {"place": "the kitchen", "scene": "cooking"}, _KITCHEN, _SPACE),
    _Pair("at the gym", {"place": "the gym", "scene": "working out"}, _SPORT, _POETRY),
    _Pair("city trip", {"scene": "sightseeing", "place": "London"}, _MUSEUM, _SPACE),
    _Pair("snow in December", {"weather": "snow", "time": _WINTER}, _WINTERY, _SUMMERY),
    _Pair("July heat", {"weather": "hot", "time": _SUMMER}, _SUMMERY, _WINTERY),
    _Pair("wants cheering up", {"mood": "tired, in need of a laugh"}, _FUNNY, _WAR),
    _Pair("studying", {"scene": "studying", "place": "the library"}, _STUDY, _PARTY),
    _Pair("family on the sofa", {"social": "family", "device": "tv", "time": _EVENING},
          _FAMILY, _HORROR),
    _Pair("hiking day", {"scene": "hiking", "weather": "sunny"}, _OUTDOOR, _COSY),
    _Pair("caught in the rain", {"weather": "heavy rain", "scene": "walking outside"},
          _RAINWEAR, _SUMMERY),
    _Pair("Halloween", {"scene": "Halloween night"}, _HORROR, _FAMILY),
    _Pair("party", {"scene": "party at home", "social": "friends"}, _PARTY, _POETRY),
    _Pair("romantic mood", {"mood": "romantic", "time": _EVENING}, _ROMANCE, _SPORT),
    _Pair("雨夜在家", {"time": _EVENING, "weather": "下雨", "place": "家里"}, _COSY, _OUTDOOR),
    _Pair("带孩子", {"scene": "和孩子一起"}, _FAMILY, _HORROR),
    _Pair("通勤", {"time": _MORNING, "scene": "通勤路上", "device": "手机"}, _SHORT, _LONG),
    _Pair("朋友聚会", {"scene": "和朋友聚会", "time": _NIGHT}, _PARTY, _SAD),
    _Pair("晴天中午", {"weather": "晴天", "time": _NOON}, _OUTDOOR, _COSY),
    _Pair("睡前", {"scene": "睡前", "time": _NIGHT}, _CALM, _LOUD),
    _Pair("约会", {"social": "和恋人一起", "scene": "约会"}, _ROMANCE, _WAR),
    _Pair("做饭", {"place": "厨房", "scene": "做饭"}, _KITCHEN, _SPACE),
    _Pair("健身", {"place": "健身房", "scene": "锻炼"}, _SPORT, _POETRY),
    _Pair("旅游参观", {"scene": "旅游参观", "place": "北京"}, _MUSEUM, _SPACE),
    _Pair("下雪", {"weather": "下雪", "time": _WINTER}, _WINTERY, _SUMMERY),
    _Pair("盛夏", {"weather": "炎热", "time": _SUMMER}, _SUMMERY, _WINTERY),
    _Pair("想笑一笑", {"mood": "疲惫，想放松笑一笑"}, _FUNNY, _WAR),
    _Pair("学习", {"scene": "学习写字", "place": "书桌前"}, _STUDY, _PARTY),
    _Pair("全家看电视", {"social": "全家人", "device": "电视", "time": _EVENING}, _FAMILY, _HORROR),
    _Pair("登山", {"scene": "徒步登山", "weather": "晴天"}, _OUTDOOR, _COSY),
    _Pair("路上遇雨", {"weather": "大雨", "scene": "走在外面"}, _RAINWEAR, _SUMMERY),
    _Pair("万圣节", {"scene": "万圣节之夜，想看恐怖的"}, _HORROR, _FAMILY),
    _Pair("家里聚会", {"scene": "家里开派对", "social": "朋友"}, _PARTY, _POETRY),
    _Pair("浪漫心情", {"mood": "浪漫", "time": _EVENING}, _ROMANCE, _SPORT),
)  # fmt: skip


def main() -> int:
    """Ask with and without each context, compare ranks."""
    made = parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR", help="over scripts/sample")
    arguments = made.parse_args()
    index = Index.open(arguments.index)
    if "tags" not in index.schema.fields:
        raise CatalogError(f"{arguments.index} has no tags; build it over scripts/sample")
    started = time.perf_counter()
    told = [_measured(index, place, pair) for place, pair in enumerate(_PAIRS)]
    overlaps = np.array([overlap for _, overlap, _ in told])
    holds = [held for held, _, _ in told]
    print(
        json.dumps(
            {
                **vars(arguments),
                "pairs": len(_PAIRS),
                "hold": round(float(np.mean(holds)), 3),
                "hold_en": round(float(np.mean(holds[:20])), 3),
                "hold_zh": round(float(np.mean(holds[20:])), 3),
                "fail": [pair.name for pair, held in zip(_PAIRS, holds, strict=True) if not held],
                "mean_gain_ranks": round(float(np.mean([gain for _, _, gain in told])), 1),
                "overlap_at_50_mean": round(float(overlaps.mean()), 3),
                "overlap_at_50_min": round(float(overlaps.min()), 3),
                "s": round(time.perf_counter() - started, 1),
            },
            ensure_ascii=False,
        )
    )
    return 0


def _measured(index: Index, place: int, pair: _Pair) -> tuple[bool, float, float]:
    """Whether a pair holds, the overlap of the first 50, and how many ranks the favoured gain."""
    history = [{"item_id": i, "event": "like"} for i in _TASTES[place % len(_TASTES)]]
    body: dict[str, Any] = {"history": history, "k": len(index), "explain": False, "fields": []}
    plain = [hit.id for hit in index.recommend(**body)]
    told = [hit.id for hit in index.recommend(**body, context=pair.context)]
    favoured, other = (
        {hit.id for hit in index.recommend(**{**body, "filter": group})}
        for group in (pair.favoured, pair.other)
    )
    favoured, other = favoured - other, other - favoured
    gain = _lead(told, favoured, other) - _lead(plain, favoured, other)
    places = _places(told, favoured, other) - _places(plain, favoured, other)
    return gain > 0 and places >= 0, len({*plain[:_TOP]} & {*told[:_TOP]}) / _TOP, gain


def _lead(ranking: list[str], favoured: set[str], other: set[str]) -> float:
    """By how many ranks the one group is ahead of the other, on average."""
    rank = {item_id: place for place, item_id in enumerate(ranking)}
    behind, ahead = (np.mean([rank[i] for i in group]) for group in (other, favoured))
    return float(behind - ahead)


def _places(ranking: list[str], favoured: set[str], other: set[str]) -> int:
    first = set(ranking[:_TOP])
    return len(first & favoured) - len(first & other)


if __name__ == "__main__":
    run(main)
