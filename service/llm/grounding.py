"""A model's sentence to whether it says only what it was told. Pure.

Every word must come from the facts (the item's own fields and the exact causes) or be one of a few
words that join facts and claim nothing. So praise, promises, opinions and other items' names
cannot pass, nor links, markup or the words of a prompt.
"""

import re
import unicodedata
from collections.abc import Sequence

from service.llm.prompt_inputs import Language, Told
from service.llm.vocabulary import JOINING, JOINING_ZH

MAX_CHARS = 300
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_CJK_RUN = re.compile(r"[\u3400-\u9fff]+")
_CJK = re.compile(r"[\u3400-\u9fff]")
_ALLOWED_MARKS = set(" ,.;:!'\"“”‘’《》「」（）()，。；：、！-–—&/%·…")
_END = re.compile(r"[.!。！]+(?=\s|$)|[。！](?=.)")

# Who did what to what must not be turned round: the item itself was not liked, bought or seen.
_DID = (
    r"(?:liked|likes?|enjoyed|watched|read|bought|purchased|viewed|clicked|rated|played|finished)"
)
_DID_ZH = r"(?:喜欢|看过|看完|买过|读过|听过|点击过|评分过|播放过|分享过|评论过)"
# What somebody did is told as it was: a view is no purchase. Words for the same stand together.
_DEEDS = (
    ("liked", "enjoy", "enjoyed"), ("bought", "purchased"), ("watched", "read", "finished"),
    ("viewed",), ("clicked",), ("rated",), ("played",),
    ("said", "say", "asked", "mentioned", "wish"),
    ("喜欢", "感兴趣"), ("买过",), ("看过", "看完", "读过"), ("听过", "播放过"), ("点击过",),
    ("评分过",), ("分享过",), ("评论过",), ("说过", "提到", "愿望"),
)  # fmt: skip
_NO_DEED = {"like", "reads"}  # one thing is like another; "your wish reads" tells the wish
_YOU_LIKE = re.compile(r"\byou(?: also)? like\b")
_DENIED = re.compile("不喜欢|不感兴趣")  # holds the letters of what it denies
_STOP_TITLES = 3  # a title this short proves nothing


def is_grounded(sentence: str, item: Told, causes: Sequence[str], language: Language) -> bool:
    """Whether a sentence may be shown."""
    text = unicodedata.normalize("NFKC", sentence).strip()
    facts = _facts(item, causes)
    return (
        0 < len(text) <= MAX_CHARS
        and _is_one(text, facts)
        and _has_only_known_marks(text, facts)
        and (language == "en" or _CJK.search(text) is not None)
        and _words_are_known(text, facts)
        and _chinese_is_known(text, facts, language)
        and not _turns_round(text, item, causes)
        and _did_what_is_said(text, facts, causes)
        and _says_something(text, item, causes)
    )


def _facts(item: Told, causes: Sequence[str]) -> str:
    parts = [item.title, *item.tags, item.about, *item.facts, *item.facts.values(), *causes]
    return unicodedata.normalize("NFKC", " | ".join(parts)).casefold()


def _is_one(text: str, facts: str) -> bool:
    """One sentence; a stop inside a title counts as none."""
    stops = [found for found in _END.finditer(text) if found.end() < len(text)]
    return all(text[: found.end()].casefold()[-6:] in facts for found in stops)


def _has_only_known_marks(text: str, facts: str) -> bool:
    marks = {char for char in text if not char.isalnum() and not _CJK.match(char)}
    return all(mark in _ALLOWED_MARKS or mark in facts for mark in marks) and not (
        marks & set("<>{}[]`|\\\n\r")
    )


def _words_are_known(text: str, facts: str) -> bool:
    known = {_stem(word) for word in _WORD.findall(_CJK.sub(" ", facts))}
    known |= {_stem(word) for word in JOINING}
    words = _WORD.findall(_CJK.sub(" ", text).casefold())
    return all(_stem(word) in known for word in words)


def _chinese_is_known(text: str, facts: str, language: Language) -> bool:
    """Each run of Chinese is covered by pieces of the facts (two characters or more) and joints.

    In another language Chinese is only quoted, whole.
    """
    runs = [run.group() for run in _CJK_RUN.finditer(text.casefold())]
    if language != "zh":
        return all(run in facts for run in runs)
    return all(_covered(run, facts) for run in runs)


def _covered(run: str, facts: str) -> bool:
    reached = [True] + [False] * len(run)
    for start in range(len(run)):
        if not reached[start]:
            continue
        for end in range(start + 1, len(run) + 1):
            piece = run[start:end]
            if piece in JOINING_ZH or (end - start >= 2 and piece in facts):
                reached[end] = True
    return reached[-1]


def _turns_round(text: str, item: Told, causes: Sequence[str]) -> bool:
    title = item.title.casefold()
    if len(title) < _STOP_TITLES or any(title in cause.casefold() for cause in causes):
        return False
    quoted = r"[\s“\"'《「‘]*" + re.escape(title)
    lowered = text.casefold()
    return bool(
        re.search(_DID + quoted, lowered) or re.search(_DID_ZH + "[了过的]*" + quoted, lowered)
    )


def _did_what_is_said(text: str, facts: str, causes: Sequence[str]) -> bool:
    """What somebody did is among the causes; other facts may be repeated in their own words."""
    told = unicodedata.normalize("NFKC", " | ".join(causes)).casefold()
    return _deeds(text.casefold(), facts) <= _deeds(told)


def _deeds(text: str, quoted: str = "") -> set[int]:
    """Places in `_DEEDS` of all that a text says somebody did, but for words that it quotes."""
    text, quoted = (_DENIED.sub(" ", both) for both in (text, quoted))
    text = _YOU_LIKE.sub("you liked", text)
    own = {*_WORD.findall(_CJK.sub(" ", quoted))}
    if "rating" in own:
        own.add("rated")
    words = {
        _stem(word) for word in _WORD.findall(_CJK.sub(" ", text)) if word not in own | _NO_DEED
    }
    return {
        place
        for place, deeds in enumerate(_DEEDS)
        if any(
            deed in text and deed not in quoted if _CJK.match(deed) else _stem(deed) in words
            for deed in deeds
        )
    }


def _says_something(text: str, item: Told, causes: Sequence[str]) -> bool:
    """It gives a cause or a fact of the item: a title and joints alone are no sentence."""
    reasons = unicodedata.normalize(
        "NFKC", " | ".join([*item.tags, item.about, *item.facts.values(), *causes])
    ).casefold()
    rest = text.casefold().replace(unicodedata.normalize("NFKC", item.title).casefold(), " ", 1)
    joints = {_stem(word) for word in JOINING}
    known = {_stem(word) for word in _WORD.findall(_CJK.sub(" ", reasons))} - joints
    if any(_stem(word) in known for word in _WORD.findall(_CJK.sub(" ", rest))):
        return True
    runs = [run.group() for run in _CJK_RUN.finditer(rest)]
    pieces = [run[n : n + 2] for run in runs for n in range(len(run) - 1)]
    return any(piece in reasons and piece not in JOINING_ZH for piece in pieces)


def _stem(word: str) -> str:
    """Plural, past and possessive forms of a word are that word."""
    word = word.replace("’", "'").removesuffix("'s")
    for ending in ("ies", "es", "ed", "ing", "s", "y", "e"):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            return word.removesuffix(ending)
    return word
