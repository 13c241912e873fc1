"""A model's sentence to whether it says only what the reasons and the item say. Pure.

Every word must come from the facts (the fields of the item and the causes in words) or be one of
the connectives below, which claim nothing. So praise, promises, opinions and names of other items
do not pass, nor do links, markup or words of a prompt.
"""

import re
from collections.abc import Sequence

from indexer.normal_forms import normalize
from service.llm.prompt_inputs import Language, PromptItem

MAX_CHARS = 300

# What a sentence may add to the facts. The kind of an item (a film, a book) and a time (today,
# recently) are claims, so they are not here.
_CONNECTIVES_TEXT = """
a an the this that these those it its is are was were be been has have had of in on at to for from
by with and or as also too so because since about into like likes liked similar close near same both
more which who whose where when while your you you've you're yours i we recommend recommended
recommendation recommends suggestion suggested suggest suggests here matches match matching matched
fits fit fitting suits suit goes go shares share sharing shared reflects reflect connects relates
related relating interest interests interested taste preference preferences history past earlier now
moment asked ask said say mentioned enjoy enjoyed watched read bought viewed clicked rated played
finished tag tags tagged title titled item genre genres category categories topic topics theme
themes kind kinds style one another other product products story stories made based given
considering their there they them within between around over under how what
"""
_CONNECTIVES_ZH_TEXT = """
推荐 因为 所以 由于 因此 而且 并且 同时 以及 或者 这个 这部 这本 这款 这首 这张 这件 它的
它是 你的 您的 你 您 我们 喜欢 喜欢过 看过 看完 买过 读过 听过 点击过 评分过 播放过 分享过
评论过 提到 提到过 说过 想要 想看 想找 感兴趣 兴趣 偏好 口味 历史 记录 现在 此刻 时间 当前 符合
适合 匹配 接近 类似 相似 相关 属于 包含 具有 有 是 与 和 跟 同 的 了 过 在 对 为 也 都 又 很 而
及 之 其 以 于 中 里 上 下 个 部 本 款 首 张 件 种 类 商品 产品 作品 内容 标签 类型 题材 主题
风格 故事 一部 一本 一款 一首 一个 向 给 将 把 被 让 从 到 来自 根据 基于 考虑到 结合 或 这 那
它 此
"""
CONNECTIVES = frozenset(_CONNECTIVES_TEXT.split())
CONNECTIVES_ZH = frozenset(_CONNECTIVES_ZH_TEXT.split())

_WORD_PATTERN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_CJK_RUN = re.compile(r"[\u3400-\u9fff]+")
_CJK_CHARACTER = re.compile(r"[\u3400-\u9fff]")
_ALLOWED_PUNCTUATION = set(" ,.;:!'\"“”‘’《》「」（）()，。；：、！-–—&/%·…")
_SENTENCE_END = re.compile(r"[.!。！]+(?=\s|$)|[。！](?=.)")

# The recommended item itself was not liked, bought or seen: such a claim reverses the roles.
_ACTION_PATTERN = (
    r"(?:liked|likes?|enjoyed|watched|read|bought|purchased|viewed|clicked|rated|played|finished)"
)
_ACTION_PATTERN_ZH = r"(?:喜欢|看过|看完|买过|读过|听过|点击过|评分过|播放过|分享过|评论过)"
# Words for the same action. An action must be named as what it was: a view is no purchase.
_ACTION_SYNONYMS = (
    ("liked", "enjoy", "enjoyed"), ("bought", "purchased"), ("watched", "read", "finished"),
    ("viewed",), ("clicked",), ("rated",), ("played",),
    ("said", "say", "asked", "mentioned", "wish"),
    ("喜欢", "感兴趣"), ("买过",), ("看过", "看完", "读过"), ("听过", "播放过"), ("点击过",),
    ("评分过",), ("分享过",), ("评论过",), ("说过", "提到", "愿望"),
)  # fmt: skip
_NOT_ACTIONS = {"like", "reads"}  # as in "is like another" and "your wish reads"
_YOU_LIKE_PATTERN = re.compile(r"\byou(?: also)? like\b")
_NEGATED_ACTION = re.compile("不喜欢|不感兴趣")  # contains the characters of what it negates
_MIN_TITLE_CHARS = 3  # a shorter title may occur by chance


def is_grounded(sentence: str, item: PromptItem, causes: Sequence[str], language: Language) -> bool:
    """Whether a sentence may be returned to the user.

    Args:
        sentence: What the model wrote.
        item: The recommended item.
        causes: The exact reasons in words.
        language: Of the sentence.
    """
    text = normalize("NFKC", sentence).strip()
    facts = _join_facts(item, causes)
    return (
        0 < len(text) <= MAX_CHARS
        and _is_one_sentence(text, facts)
        and _has_only_known_punctuation(text, facts)
        and (language == "en" or _CJK_CHARACTER.search(text) is not None)
        and _has_only_known_words(text, facts)
        and _has_only_known_chinese(text, facts, language)
        and not _reverses_roles(text, item, causes)
        and _claims_only_known_actions(text, facts, causes)
        and _states_a_reason(text, item, causes)
    )


def _join_facts(item: PromptItem, causes: Sequence[str]) -> str:
    parts = [item.title, *item.tags, item.about, *item.facts, *item.facts.values(), *causes]
    return normalize("NFKC", " | ".join(parts)).casefold()


def _is_one_sentence(text: str, facts: str) -> bool:
    """Whether the text ends at its first full stop; those inside a title do not count."""
    stops = [stop for stop in _SENTENCE_END.finditer(text) if stop.end() < len(text)]
    return all(text[: stop.end()].casefold()[-6:] in facts for stop in stops)


def _has_only_known_punctuation(text: str, facts: str) -> bool:
    marks = {char for char in text if not char.isalnum() and not _CJK_CHARACTER.match(char)}
    return all(mark in _ALLOWED_PUNCTUATION or mark in facts for mark in marks) and not (
        marks & set("<>{}[]`|\\\n\r")
    )


def _has_only_known_words(text: str, facts: str) -> bool:
    known_stems = {_stem(word) for word in _split_words(facts)}
    known_stems |= {_stem(word) for word in CONNECTIVES}
    words = _split_words(text.casefold())
    return all(_stem(word) in known_stems for word in words)


def _has_only_known_chinese(text: str, facts: str, language: Language) -> bool:
    """Whether connectives and pieces of the facts (two characters or more) cover the Chinese.

    In a sentence of another language each run of Chinese must be in the facts as a whole.
    """
    runs = [run.group() for run in _CJK_RUN.finditer(text.casefold())]
    if language != "zh":
        return all(run in facts for run in runs)
    return all(_is_covered(run, facts) for run in runs)


def _is_covered(run: str, facts: str) -> bool:
    """Whether a run of Chinese can be split into connectives and pieces of the facts."""
    is_reachable = [True] + [False] * len(run)
    for start in range(len(run)):
        if not is_reachable[start]:
            continue
        for end in range(start + 1, len(run) + 1):
            piece = run[start:end]
            if piece in CONNECTIVES_ZH or (end - start >= 2 and piece in facts):
                is_reachable[end] = True
    return is_reachable[-1]


def _reverses_roles(text: str, item: PromptItem, causes: Sequence[str]) -> bool:
    """Whether the text says that the user liked, bought or saw the recommended item."""
    title = item.title.casefold()
    if len(title) < _MIN_TITLE_CHARS or any(title in cause.casefold() for cause in causes):
        return False
    quoted = r"[\s“\"'《「‘]*" + re.escape(title)
    lowered = text.casefold()
    return bool(
        re.search(_ACTION_PATTERN + quoted, lowered)
        or re.search(_ACTION_PATTERN_ZH + "[了过的]*" + quoted, lowered)
    )


def _claims_only_known_actions(text: str, facts: str, causes: Sequence[str]) -> bool:
    """Whether each action of the text is among the causes; words quoted from facts do not count."""
    causes_text = normalize("NFKC", " | ".join(causes)).casefold()
    return _find_actions(text.casefold(), facts) <= _find_actions(causes_text)


def _find_actions(text: str, quoted: str = "") -> set[int]:
    """Return the positions in `_ACTION_SYNONYMS` of the actions in a text, without quoted words."""
    text, quoted = (_NEGATED_ACTION.sub(" ", both) for both in (text, quoted))
    text = _YOU_LIKE_PATTERN.sub("you liked", text)
    quoted_words = {*_split_words(quoted)}
    if "rating" in quoted_words:
        quoted_words.add("rated")
    words = {_stem(word) for word in _split_words(text) if word not in quoted_words | _NOT_ACTIONS}
    return {
        action
        for action, synonyms in enumerate(_ACTION_SYNONYMS)
        if any(
            synonym in text and synonym not in quoted
            if _CJK_CHARACTER.match(synonym)
            else _stem(synonym) in words
            for synonym in synonyms
        )
    }


def _states_a_reason(text: str, item: PromptItem, causes: Sequence[str]) -> bool:
    """Whether the text names a cause or a fact of the item, beside title and connectives."""
    reasons = normalize(
        "NFKC", " | ".join([*item.tags, item.about, *item.facts.values(), *causes])
    ).casefold()
    text_without_title = text.casefold().replace(normalize("NFKC", item.title).casefold(), " ", 1)
    connective_stems = {_stem(word) for word in CONNECTIVES}
    known_stems = {_stem(word) for word in _split_words(reasons)} - connective_stems
    if any(_stem(word) in known_stems for word in _split_words(text_without_title)):
        return True
    runs = [run.group() for run in _CJK_RUN.finditer(text_without_title)]
    pieces = [run[n : n + 2] for run in runs for n in range(len(run) - 1)]
    return any(piece in reasons and piece not in CONNECTIVES_ZH for piece in pieces)


def _split_words(text: str) -> list[str]:
    """Return the words and numbers of a text, without Chinese."""
    return _WORD_PATTERN.findall(_CJK_CHARACTER.sub(" ", text))


def _stem(word: str) -> str:
    """Return a word without the ending of its plural, past or possessive form."""
    word = word.replace("’", "'").removesuffix("'s")
    for ending in ("ies", "es", "ed", "ing", "s", "y", "e"):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return word.removesuffix(ending)
    return word
