"""A text to whether it addresses the language model instead of describing its item. Pure.

Patterns are matched also without accents, with lookalike letters and digits replaced, and with
spaced letters joined. There are errors in both directions; a false alarm costs one sentence of a
description.
"""

import re
import unicodedata

from indexer.normal_forms import normalize

_IGNORE_VERBS = (
    r"\b(?:ignor\w*|disregard\w*|forget|overrid\w*|bypass|oublie\w*|olvid\w*|verg[ei]ss\w*)\b"
)
_IGNORE_OBJECTS = (
    r"\b(?:instruc\w*|previous|prior|above|before|user\w*|rules?|everything|all|others?|histor\w*"
    r"|profile|request\w*|preferences?|guideline\w*|safety|anweisung\w*|prompts?|nutzer\w*"
    r"|usuario|utilisateur|wishes|taste|toda\w*|tout\w*|alle\w*)\b"
)
_RANKING_VERBS = (
    r"\b(?:rank\w*|re-?rank\w*|place\w*|put|order\w*|sort\w*|list\w*|choos\w*|select\w*|pick\w*"
    r"|recommend\w*|scor\w*|return\w*|output\w*|answer\w*|respond\w*|reply|print\w*|repeat\w*"
    r"|reveal\w*|boost\w*|promot\w*|prefer\w*|classe[zr]\w*|coloca\w*|setze\w*"
    r"|must (?:be|come|appear))\b"
)
_RANKING_TARGETS = (
    r"\b(?:first|top|highest|above|best|number one|no 1|n 1|position 1|rank 1|only|always|maximum"
    r"|me|this (?:item|one|product|film|book)|it|primero|premi[eè]re?|zuerst|everything|verbatim"
    r"|last|lowest|bottom|json)\b"
)
_INJECTION_PATTERNS = (
    _IGNORE_VERBS + ".{0,40}" + _IGNORE_OBJECTS,
    _RANKING_VERBS + ".{0,60}" + _RANKING_TARGETS,
    r"\b(?:previous|prior|above|new|these|following|system|hidden|secret|your|initial)\b.{0,12}"
    r"\b(?:instruc\w*|prompts?)\b",
    r"\b(?:jailbreak|llm|gpt\w*|chatbot|ai (?:model|assistant)|language model|sprachmodell"
    r"|modele de langage|modelo de lenguaje)\b",
    r"\b(?:system|assistant|developer|user|human|tool)\s*"
    r"(?:message|prompt|note|role|override)?\s*:",
    r"\b(?:as an|you are an?|act as|pretend|from now on|new rules?|important)\b.{0,40}"
    r"\b(?:ai|assistant|rank\w*|model|rules?|system|recommender|list)\b",
    r"[\"']\w+[\"']\s*:",  # JSON of its own
    r"\b(?:best|correct|only|right) (?:answer|choice|candidate|match) (?:is|for)\b",
    r"\b(?:other|all|every) (?:items?|candidates?|results?|options?)\b.{0,40}"
    r"\b(?:bad|worse|unsafe|broken|illegal|unavailable|irrelevant|spam|last|remove\w*|recalled)\b",
    r"(?:忽略|无视|忘记|忘掉|不要理会|不用管|覆盖).{0,20}"
    r"(?:指令|指示|要求|以上|之前|前面|用户|规则|提示)",
    r"(?:系统|助手|用户|开发者)(?:提示|消息|指令)?\s*[:：]",
    r"提示词|系统提示|语言模型|大模型|人工智能助手|你现在是|你是一个|从现在起",
    r"(?:排|放|列|推荐|选|评|打|置).{0,14}(?:第一|首位|最前|最高|满分|顶|榜首|首选)",
    r"(?:其他|其它|所有).{0,8}(?:商品|电影|项目|候选|结果).{0,12}(?:差|坏|下架|排除|最后|无关)",
)
_INJECTION = re.compile("|".join(_INJECTION_PATTERNS), re.IGNORECASE)
_UNSPACED_INJECTION = re.compile(  # matched against the letters and digits alone
    r"rank(?:me|this|it)(?:first|top|no)|ignore(?:all|any|the|previous|prior|above|user|every)"
    r"|systemprompt|previousinstruction|disregard(?:all|the|previous)",
    re.IGNORECASE,
)
_HOMOGLYPHS = str.maketrans(
    "аеорсухіјѕԁԛһАВЕКМНОРСТХαορνικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdqhABEKMHOPCTXaopvikABEZHIKMNOPTYX",
)
_LEETSPEAK = str.maketrans("013457@$", "oieastas")
_PUNCTUATION = re.compile(r"['\"“”‘’«»()!?,;-]+")
_SPACED_LETTERS = re.compile(r"\b(?:\w[ .\-_*]){3,}\w\b")
_SPACE = re.compile(r"\s+")


def is_prompt_injection(text: str) -> bool:
    """Whether a text reads like an instruction to the model, also if it is obfuscated."""
    deobfuscated = _deobfuscate(text)
    digits_as_letters = deobfuscated.translate(_LEETSPEAK)
    joined_letters = _SPACED_LETTERS.sub(
        lambda found: re.sub(r"[ .\-_*]", "", found[0]), deobfuscated
    )
    if any(
        _INJECTION.search(form) for form in (text, deobfuscated, digits_as_letters, joined_letters)
    ):
        return True
    return any(
        _UNSPACED_INJECTION.search(re.sub(r"[\W_]+", "", form))
        for form in (deobfuscated, digits_as_letters)
    )


def _deobfuscate(text: str) -> str:
    """Return a text with plain Latin letters, without accents and punctuation."""
    parts = normalize("NFD", text.translate(_HOMOGLYPHS))
    bare = "".join(char for char in parts if unicodedata.category(char) != "Mn")
    return _SPACE.sub(" ", _PUNCTUATION.sub(" ", bare))
