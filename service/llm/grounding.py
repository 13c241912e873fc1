"""A model's sentence to whether it says only what it was told. Pure.

Every word must come from the facts (the item's own fields and the exact causes) or be one of a few
words that join facts and claim nothing. So praise, promises, opinions and other items' names
cannot pass, nor links, markup or the words of a prompt.
"""

import re
import unicodedata
from collections.abc import Sequence

from service.llm.prompt_inputs import Language, PromptItem
from service.llm.vocabulary import CONNECTIVES, CONNECTIVES_ZH

MAX_CHARS = 300
_WORD_PATTERN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_CJK_RUN = re.compile(r"[\u3400-\u9fff]+")
_CJK_CHARACTER = re.compile(r"[\u3400-\u9fff]")
_ALLOWED_PUNCTUATION = set(" ,.;:!'\"“”‘’《》「」（）()，。；：、！-–—&/%·…")
_SENTENCE_END = re.compile(r"[.!。！]+(?=\s|$)|[。！](?=.)")

# Who did what to what must not be turned round: the item itself was not liked, bought or seen.
_ACTION_PATTERN = (
    r"(?:liked|likes?|enjoyed|watched|read|bought|purchased|viewed|clicked|rated|played|finished)"
)
_ACTION_PATTERN_ZH = r"(?:喜欢|看过|看完|买过|读过|听过|点击过|评分过|播放过|分享过|评论过)"
# What somebody did is told as it was: a view is no purchase. Words for the same stand together.
_ACTION_SYNONYMS = (
    ("liked", "enjoy", "enjoyed"), ("bought", "purchased"), ("watched", "read", "finished"),
    ("viewed",), ("clicked",), ("rated",), ("played",),
    ("said", "say", "asked", "mentioned", "wish"),
    ("喜欢", "感兴趣"), ("买过",), ("看过", "看完", "读过"), ("听过", "播放过"), ("点击过",),
    ("评分过",), ("分享过",), ("评论过",), ("说过", "提到", "愿望"),
)  # fmt: skip
_NOT_ACTIONS = {"like", "reads"}  # one thing is like another; "your wish reads" tells the wish
_YOU_LIKE_PATTERN = re.compile(r"\byou(?: also)? like\b")
_NEGATED_ACTION = re.compile("不喜欢|不感兴趣")  # holds the letters of what it denies
_MIN_TITLE_CHARS = 3  # a title this short proves nothing


def is_grounded(sentence: str, item: PromptItem, causes: Sequence[str], language: Language) -> bool:
    """Whether a sentence may be shown."""
    text = unicodedata.normalize("NFKC", sentence).strip()
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
    return unicodedata.normalize("NFKC", " | ".join(parts)).casefold()


def _is_one_sentence(text: str, facts: str) -> bool:
    """One sentence; a stop inside a title counts as none."""
    stops = [stop for stop in _SENTENCE_END.finditer(text) if stop.end() < len(text)]
    return all(text[: stop.end()].casefold()[-6:] in facts for stop in stops)


def _has_only_known_punctuation(text: str, facts: str) -> bool:
    marks = {char for char in text if not char.isalnum() and not _CJK_CHARACTER.match(char)}
    return all(mark in _ALLOWED_PUNCTUATION or mark in facts for mark in marks) and not (
        marks & set("<>{}[]`|\\\n\r")
    )


def _has_only_known_words(text: str, facts: str) -> bool:
    known_stems = {_stem(word) for word in _WORD_PATTERN.findall(_CJK_CHARACTER.sub(" ", facts))}
    known_stems |= {_stem(word) for word in CONNECTIVES}
    words = _WORD_PATTERN.findall(_CJK_CHARACTER.sub(" ", text).casefold())
    return all(_stem(word) in known_stems for word in words)


def _has_only_known_chinese(text: str, facts: str, language: Language) -> bool:
    """Each run of Chinese is covered by pieces of the facts (two characters or more) and joints.

    In another language Chinese is only quoted, whole.
    """
    runs = [run.group() for run in _CJK_RUN.finditer(text.casefold())]
    if language != "zh":
        return all(run in facts for run in runs)
    return all(_is_covered(run, facts) for run in runs)


def _is_covered(run: str, facts: str) -> bool:
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
    """What somebody did is among the causes; other facts may be repeated in their own words."""
    causes_text = unicodedata.normalize("NFKC", " | ".join(causes)).casefold()
    return _find_actions(text.casefold(), facts) <= _find_actions(causes_text)


def _find_actions(text: str, quoted: str = "") -> set[int]:
    """Places in `_ACTION_SYNONYMS` of all that a text says somebody did, but for words that it quotes."""
    text, quoted = (_NEGATED_ACTION.sub(" ", both) for both in (text, quoted))
    text = _YOU_LIKE_PATTERN.sub("you liked", text)
    quoted_words = {*_WORD_PATTERN.findall(_CJK_CHARACTER.sub(" ", quoted))}
    if "rating" in quoted_words:
        quoted_words.add("rated")
    words = {
        _stem(word)
        for word in _WORD_PATTERN.findall(_CJK_CHARACTER.sub(" ", text))
        if word not in quoted_words | _NOT_ACTIONS
    }
    return {
        action
        for action, deeds in enumerate(_ACTION_SYNONYMS)
        if any(
            deed in text and deed not in quoted
            if _CJK_CHARACTER.match(deed)
            else _stem(deed) in words
            for deed in deeds
        )
    }


def _states_a_reason(text: str, item: PromptItem, causes: Sequence[str]) -> bool:
    """It gives a cause or a fact of the item: a title and joints alone are no sentence."""
    reasons = unicodedata.normalize(
        "NFKC", " | ".join([*item.tags, item.about, *item.facts.values(), *causes])
    ).casefold()
    text_without_title = text.casefold().replace(
        unicodedata.normalize("NFKC", item.title).casefold(), " ", 1
    )
    connective_stems = {_stem(word) for word in CONNECTIVES}
    known_stems = {
        _stem(word) for word in _WORD_PATTERN.findall(_CJK_CHARACTER.sub(" ", reasons))
    } - connective_stems
    if any(
        _stem(word) in known_stems
        for word in _WORD_PATTERN.findall(_CJK_CHARACTER.sub(" ", text_without_title))
    ):
        return True
    runs = [run.group() for run in _CJK_RUN.finditer(text_without_title)]
    pieces = [run[n : n + 2] for run in runs for n in range(len(run) - 1)]
    return any(piece in reasons and piece not in CONNECTIVES_ZH for piece in pieces)


def _stem(word: str) -> str:
    """Plural, past and possessive forms of a word are that word."""
    word = word.replace("’", "'").removesuffix("'s")
    for ending in ("ies", "es", "ed", "ing", "s", "y", "e"):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return word.removesuffix(ending)
    return word
