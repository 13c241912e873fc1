"""Exact reasons to their description in words, and to a sentence that needs no language model.

Only reasons with a positive share are described: one that lowered the score of an item is no reason
to recommend it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from service.llm.prompt_inputs import Language, PromptItem
from service.llm.sanitiser import clean_own_text

MAX_CAUSES = 3
_MAX_TEXT_CHARS = 80
_EVENT_PHRASES: Mapping[str, tuple[str, str]] = {
    "like": ("you liked {}", "你喜欢过{}"),
    "purchase": ("you bought {}", "你买过{}"),
    "finish": ("you finished {}", "你看完过{}"),
    "add_to_cart": ("you put {} into the cart", "你把{}放进过购物车"),
    "share": ("you shared {}", "你分享过{}"),
    "review": ("you reviewed {}", "你评论过{}"),
    "play": ("you played {}", "你播放过{}"),
    "click": ("you clicked {}", "你点击过{}"),
    "view": ("you viewed {}", "你看过{}"),
    "rating": ("you rated {}", "你评分过{}"),
    "dislike": ("you disliked {}", "你不喜欢{}"),
    "skip": ("you skipped {}", "你跳过了{}"),
}
_DEFAULT_EVENT_PHRASE = ("you met {}", "你接触过{}")
_KIND_PHRASES: Mapping[str, tuple[str, str]] = {
    "popularity": ("it is popular with everybody", "它很受欢迎"),
    "trending": ("it is popular now", "它近来很受欢迎"),
    "freshness": ("it is new", "它很新"),
    "ideal": ("it is close to what was imagined for you", "它接近为你设想的内容"),
}


def describe_reasons(
    reasons: Sequence[Mapping[str, Any]], titles: Mapping[str, str], language: Language
) -> list[str]:
    """Return at most `MAX_CAUSES` positive reasons in words, the largest first.

    Args:
        reasons: Of one hit, with their exact shares of the score.
        titles: Id to sanitised title, for the items that reasons name.
        language: Of the words.
    """
    causes = [
        text
        for reason in sorted(reasons, key=lambda reason: -reason["share"])
        if reason["share"] > 0 and (text := _describe_reason(reason, titles, language))
    ]
    return list(dict.fromkeys(causes))[:MAX_CAUSES]


def render_sentence(item: PromptItem, causes: Sequence[str], language: Language) -> str:
    """Return one sentence that says the causes and nothing else."""
    title = _quote(item.title)
    if language == "zh":
        because = "，".join(causes) if causes else "它是现有内容中最合适的"
        return f"推荐{title}，因为{because}。"
    because = join_phrases(causes) if causes else "it is the best of what there is"
    return f"{title}, because {because}."


def join_phrases(parts: Sequence[str]) -> str:
    """Return English phrases joined by commas and "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _describe_reason(
    reason: Mapping[str, Any], titles: Mapping[str, str], language: Language
) -> str:
    chinese = language == "zh"
    kind = reason["kind"]
    if kind == "history" and "item_id" in reason:
        title = titles.get(reason["item_id"])
        phrase = _EVENT_PHRASES.get(str(reason.get("event")), _DEFAULT_EVENT_PHRASE)[chinese]
        return phrase.replace("{}", _quote(title)) if title else ""
    text = clean_own_text(str(reason.get("text") or ""), _MAX_TEXT_CHARS)
    if kind in ("history", "interest", "query"):
        template = {
            "history": ("you said {}", "你说过{}"),
            "interest": ("you are interested in {}", "你对{}感兴趣"),
            "query": ("your wish reads {}", "你的愿望是{}"),
        }[kind][chinese]
        return template.replace("{}", _quote(text)) if text else ""
    if kind == "context":
        return _describe_context(reason, language)
    return _KIND_PHRASES.get(kind, ("", ""))[chinese]


def _describe_context(reason: Mapping[str, Any], language: Language) -> str:
    value = reason.get("value")
    if isinstance(value, Mapping):
        return "它离你很近" if language == "zh" else "it is near you"
    field = clean_own_text(str(reason.get("field")), _MAX_TEXT_CHARS).replace("_", " ")
    text = clean_own_text(str(value), _MAX_TEXT_CHARS)
    if field == "time":
        return "考虑到现在的时间" if language == "zh" else "of the time"
    return f"当前{field}是{text}" if language == "zh" else f"the {field} is {text}"


def _quote(text: str) -> str:
    return f"“{text}”"
