"""The name of an event, in usual English or Chinese words, to what it says about its item. Pure.

One table for every door: files, databases, HTTP and Python know the same words. A name that is not
here counts nothing until `scenarios.toml` gives it a weight.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

from indexer.normal_forms import normalize


class Event(StrEnum):
    """The events with a built-in meaning; others need a weight in `scenarios.toml`."""

    VIEW = "view"
    CLICK = "click"
    SEARCH = "search"
    LIKE = "like"
    DISLIKE = "dislike"
    SKIP = "skip"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    RATING = "rating"
    REVIEW = "review"
    SHARE = "share"
    PLAY = "play"
    FINISH = "finish"
    IMPRESSION = "impression"
    NOT_INTERESTED = "not_interested"
    HIDE = "hide"
    BLOCK = "block"
    REPORT = "report"
    UNSUBSCRIBE = "unsubscribe"
    UNLIKE = "unlike"
    REFUND = "refund"
    RETURN = "return"
    CANCEL = "cancel"
    REMOVE_FROM_CART = "remove_from_cart"


# Weight of an event as evidence about its item, from -1 (fewer like this) to 1 (more like this).
EVENT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "purchase": 1.0,
        "like": 1.0,
        "finish": 0.9,
        "add_to_cart": 0.8,
        "share": 0.8,
        "review": 0.7,
        "play": 0.6,
        "click": 0.6,
        "search": 1.0,
        "view": 0.4,
        "cancel": -0.2,
        "remove_from_cart": -0.2,
        "unlike": -0.2,
        "skip": -0.3,
        "refund": -0.4,
        "return": -0.4,
        "unsubscribe": -0.4,
        "dislike": -0.6,
        "hide": -0.6,
        "not_interested": -0.6,
        "block": -0.8,
        "report": -0.8,
    }
)
# Of the top of the rating scale, from which a rating is liking: 4 of 5, 8 of 10, 1 of 0/1.
LIKED_SHARE = 0.8
RATING_MAJORITY = 0.5  # of events with a rating, from which one without says nothing about liking
RATING_WEIGHT = 1.0  # of a rating that is liking; the others are weighed by their value
# Built-in events without a weight: a rating is weighed by its value, an impression is not counted.
NEUTRAL_EVENTS = ("rating", "impression")
BUILT_IN_EVENTS = frozenset([*EVENT_WEIGHTS, *NEUTRAL_EVENTS])
NEGATIVE_EVENTS = frozenset(name for name, weight in EVENT_WEIGHTS.items() if weight < 0)
# What each of these takes back: the last event of that kind by the same user on the same item.
UNDONE_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "refund": "purchase",
        "return": "purchase",
        "cancel": "purchase",
        "remove_from_cart": "add_to_cart",
        "unlike": "like",
        "unsubscribe": "like",
    }
)
# What an event with a negative value is: minus one bought is a return.
_REVERSED_EVENTS: Mapping[str, str] = MappingProxyType(
    {"purchase": "return", "add_to_cart": "remove_from_cart", "like": "dislike"}
)
# Events whose value can only say how often or how long; that of a purchase may be money.
COUNTED_EVENTS = frozenset(["view", "click", "play"])
MAX_COUNT_STRENGTH = 2.0  # times the usual event of its kind that a large count is worth, at most
# Events whose value of 0 is a grade or a price, and not that they did not happen.
_VALUED_EVENTS = frozenset(
    [
        "rating",
        "review",
        "purchase",
        "add_to_cart",
        "refund",
        "return",
        "cancel",
        "remove_from_cart",
    ]
)
_NEAREST_CUTOFF = 0.6
_MAX_COMPARED_CHARS = 100  # of an unknown name: comparing takes time quadratic in its length

_WORDS = {
    "purchase": "buy buys bought order orders ordered pay paid payment checkout transaction "
    "transactions sale sold purchased purchases conversion 购买 下单 支付 付款 成交 交易 买 已购",
    "view": "pv viewed views page_view pageview pageviews item_view view_item product_view "
    "detail_view detail_page_view browse browsed visit visited 浏览 查看 访问",
    "click": "clicked clicks clk tap tapped open opened 点击 点开",
    "impression": "impressions show shown exposure exposed display displayed 曝光 展示 展现",
    "like": "liked likes fav faved favorite favorites favorited favourite favourites favourited "
    "love loved heart starred bookmark bookmarked save saved wishlist add_to_wishlist upvote "
    "thumbs_up thumb_up collect collected follow followed subscribe subscribed "
    "收藏 喜欢 点赞 赞 关注 想看 想读 想听 订阅 加入收藏",
    "add_to_cart": "cart carted addtocart add_cart add_to_basket add_to_bag basket "
    "加购 加入购物车 加购物车",
    "play": "plays played playing listen listens listened watch watched watching stream streamed "
    "playback scrobble 播放 收听 观看 听 在看 在听",
    "finish": "finished complete completed read 完播 看完 读完 听完 看过 读过 听过",
    "rating": "rate rated rates ratings 评分 打分",
    "review": "reviewed reviews comment commented comments 评论 评价 点评",
    "share": "shared shares forward forwarded repost reposted retweet 分享 转发",
    "search": "searched searches 搜索",
    "skip": "skipped skips 跳过 划走",
    "dislike": "disliked dislikes downvote thumbs_down thumb_down hate hated 不喜欢 踩 点踩 讨厌",
    "not_interested": "notinterested uninterested no_interest 不感兴趣 没兴趣 无兴趣",
    "hide": "hidden mute muted 隐藏",
    "block": "blocked ban banned blacklist 拉黑 屏蔽",
    "report": "reported flag flagged complaint 举报 投诉",
    "unsubscribe": "unsubscribed unfollow unfollowed 退订 取消订阅 取消关注 取关",
    "unlike": "unliked unfav unfavorite unfavourite unsave remove_from_wishlist "
    "取消收藏 取消点赞 取消喜欢 取消赞",
    "refund": "refunded refunds chargeback 退款",
    "return": "returned returns 退货 退回",
    "cancel": "cancelled canceled cancels cancellation cancel_order 取消 取消订单",
    "remove_from_cart": "removefromcart remove_cart remove_from_basket uncart "
    "移出购物车 从购物车移除 删除购物车 取消加购",
}
_EVENT_BY_WORD = {word: name for name, words in _WORDS.items() for word in words.split()}
_SEPARATORS = re.compile(r"[\s\-]+")
_CAMEL_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def find_event(name: str, own_names: Collection[str] = ()) -> str | None:
    """Return the event that a name means; None if it is not known.

    Args:
        name: As a caller or a file spells it: in any case, camelCase, full width, with spaces or
            hyphens.
        own_names: Names with a weight in `scenarios.toml`; they beat the built-in words.
    """
    if name in own_names or name in BUILT_IN_EVENTS:
        return name
    plain = normalize_event_word(name)
    if plain in own_names or plain in BUILT_IN_EVENTS:
        return plain
    if plain in _EVENT_BY_WORD:
        return _EVENT_BY_WORD[plain]
    words = _CAMEL_HUMP.sub("_", name.strip())
    return find_event(words.lower(), own_names) if words != name.strip() else None


def normalize_event_word(word: str) -> str:
    """Return a word for an event without what spellings differ in: case, spaces, full width."""
    return _SEPARATORS.sub("_", normalize("NFKC", word).strip().lower())


def settle_event(event: str, value: float | None) -> tuple[str, float | None]:
    """Return the event and value of what happened.

    Minus two bought are two returned. No clicks, views or plays at all are an impression: the item
    was at most shown.
    """
    if value == 0 and event in COUNTED_EVENTS:
        return "impression", None
    reversed_event = _REVERSED_EVENTS.get(event)
    if value is None or value >= 0 or reversed_event is None:
        return event, value
    return reversed_event, -value


def find_undone(events: Sequence[tuple[Hashable, str]]) -> set[int]:
    """Return the positions of the events that a later one took back, by the rule of all doors.

    Args:
        events: Whose and about what each is, and its name; in order of time.
    """
    undone = set()
    undoing: Counter[tuple[Hashable, str]] = Counter()
    for position in range(len(events) - 1, -1, -1):
        about, name = events[position]
        taken_back = UNDONE_EVENTS.get(name)
        if taken_back is not None:
            undoing[about, taken_back] += 1
        elif undoing.get((about, name), 0) > 0:
            undoing[about, name] -= 1
            undone.add(position)
    return undone


def suggest_event(name: str, own_names: Iterable[str] = ()) -> str:
    """Return the end of a message about an unknown name: the nearest known one, or all.

    Behaviour codes such as 1 to 4 mean something else in each data set, and are near to none.
    """
    if name.strip().isdecimal():
        return "a number says nothing: write a word for each, such as view or purchase."
    known = sorted(BUILT_IN_EVENTS.union(own_names))
    lower = name.lower()[:_MAX_COMPARED_CHARS]
    candidates = [*known, *_EVENT_BY_WORD]
    close = difflib.get_close_matches(lower, candidates, n=1, cutoff=_NEAREST_CUTOFF)
    # "veiw" is less similar to "view" than to other words
    anagram = next((word for word in candidates if sorted(word) == sorted(lower)), None)
    nearest = anagram or (close[0] if close else None)
    if nearest is None:
        return f"known are {', '.join(known)}."
    return f"did you mean {_EVENT_BY_WORD.get(nearest, nearest)!r}?"


def has_happened(event: str, value: float | None) -> bool:
    """Return whether an event happened at all: a like or a play with the value 0 did not."""
    return value != 0 or event in _VALUED_EVENTS


def measure_count(event: str, value: float | None) -> float:
    """Return how much the count of an event is worth, from 0, before it is limited.

    One counts 1, and each doubling about 1 more. Without a count, or for an event whose value is
    none, it is 1; 0 for what did not happen.
    """
    if not has_happened(event, value):
        return 0.0
    is_counted = value is not None and value > 0 and event in COUNTED_EVENTS
    return math.log2(1 + value) if is_counted and value is not None else 1.0
