"""HTML and Markdown to their words. Pure.

Text without markup comes back unchanged, also `a < b`, `<3` and `C++ <vector>`: only elements that
prose on the web consists of count as HTML.
"""

import re
from html import unescape

_SHORT_NAMES = "abipqsu"  # a<b is a comparison, so these need an attribute or the closing bracket
_NAMES = (
    "abbr|address|article|aside|audio|big|blockquote|body|br|button|caption|center|cite|code|col"
    "|colgroup|dd|del|details|dfn|div|dl|dt|em|embed|fieldset|figcaption|figure|font|footer|form"
    "|h[1-6]|head|header|hr|html|iframe|img|ins|kbd|li|link|main|mark|meta|nav|nobr|noscript|ol"
    "|param|pre|picture|samp|script|section|small|source|span|strike|strong|style|sub|summary|sup"
    "|svg|table|tbody|td|template|tfoot|th|thead|tr|tt|ul|video|wbr"
)
_AFTER_BRACKET = (
    rf"(?:/?(?:(?:{_NAMES})(?=[\s/>])|[{_SHORT_NAMES}](?=\s*/?>|\s+[a-z][\w:.-]*\s*=))"
    r"|!--|!doctype\s|\?xml\s)"
)
_TAG = re.compile(rf"<{_AFTER_BRACKET}", re.IGNORECASE | re.ASCII)
_STRAY_BRACKET = re.compile(rf"<(?!{_AFTER_BRACKET})", re.IGNORECASE | re.ASCII)
# Blocks become line breaks, which nest in nothing.
_BLOCK = re.compile(
    r"</?(?:address|article|aside|audio|blockquote|body|br|button|caption|center|col|colgroup|dd"
    r"|details|dir|div|dl|dt|embed|fieldset|figcaption|figure|footer|form|h[1-6]|head|header|hr"
    r"|html|img|li|main|meta|nav|ol|p|param|picture|pre|section|source|summary|table|tbody|td"
    r"|tfoot|th|thead|tr|ul|video)(?=[\s/>])",
    re.IGNORECASE | re.ASCII,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});", re.ASCII)
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
# What swallows the rest of a text if it is opened and not closed.
_SWALLOWING = tuple(
    (re.compile(opening, re.IGNORECASE | re.ASCII), re.compile(closing, re.IGNORECASE | re.ASCII))
    for opening, closing in (
        (r"<(?=!--)", r"-->"),
        *((rf"<(?={name}[\s/>])", rf"</{name}[\s>]") for name in ("script", "style", "iframe")),
        *((rf"<(?={name}[\s/>])", rf"</{name}[\s>]") for name in ("template", "noscript", "svg")),
    )
)
_WORDLESS = re.compile(
    r"<!--(?:-?>|.*?-->)|<svg(?:\s[^<>]*)?/>"
    r"|<(script|style|template|noscript|iframe|svg)(?=[\s/>]).*?</\1(?=[\s>])[^<>]*>?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
# Nothing that is left may nest: in a parser open elements cost time and memory that is quadratic.
_OTHER_ELEMENT = re.compile(r"</?(?!br\b)(?=[a-z])[a-z0-9]+", re.IGNORECASE | re.ASCII)
_MAX_PASSES = 2  # feeds escape their HTML once more

_MARKDOWN_SIGNS = ("](", "*", "_", "`", "~~", "# ")
_FENCE = re.compile(r"^[ ]{0,3}(?:```|~~~)[\w+-]{0,20}[ \t]*$", re.MULTILINE)
_LINK = r"\[([^\[\]\n]{0,500}+)\]\(([^()\s]{1,2000}+)(?: \"[^\"\n]{0,300}+\")?\)"
_IMAGE_OR_LINK = tuple(map(re.compile, (f"!{_LINK}", _LINK)))  # an image may be the words of a link
_ADDRESS_MARK = re.compile(r"[./:#]")
_MARKDOWN_FORMS = tuple(
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"`([^`\n]{1,500})`", r"\1"),
        (r"(?<![\d*])\*\*(?=[^\s*])([^*\n]{1,500})(?<=\S)\*\*(?![\d*])", r"\1"),
        (r"(?<![\w*])\*(?=[^\s*])([^*\n]{1,500})(?<=\S)\*(?![\w*])", r"\1"),
        (r"(?<!\w)(__?)(?=[^\s_])([^_\n]{1,500})(?<=\S)\1(?!\w)", r"\2"),
        (r"~~(?=\S)([^~\n]{1,500})(?<=\S)~~", r"\1"),
        (r"^[ ]{0,3}#{1,6}[ ]+(?=\S)", ""),
    )
)  # fmt: skip


def strip_html(text: str) -> str:
    """Return a text without HTML tags, entities, comments, scripts and styles.

    Blocks are set apart by line breaks; a bracket that begins no element of HTML stays.
    """
    if "<" not in text and "&" not in text:
        return text
    for _ in range(_MAX_PASSES):
        plain = _strip_tags(text) if _TAG.search(text) else _decode_entities(text)
        if plain == text:
            break
        text = plain
    return text


def strip_markup(text: str) -> str:
    """Return prose without HTML and without the signs of Markdown; links become their words."""
    text = strip_html(text)
    if not any(sign in text for sign in _MARKDOWN_SIGNS):
        return text
    text = _FENCE.sub("", text)
    for link in _IMAGE_OR_LINK:
        text = link.sub(_take_words, text)
    for pattern, replacement in _MARKDOWN_FORMS:
        text = pattern.sub(replacement, text)
    return text


def _take_words(link: re.Match[str]) -> str:
    """The words of a link; `[REC](2007)` is none, since an address has a dot, slash or colon."""
    return link[1] if _ADDRESS_MARK.search(link[2]) else link[0]


def _strip_tags(text: str) -> str:
    from selectolax.lexbor import LexborHTMLParser  # only if there is HTML

    for opening, closing in _SWALLOWING:
        if opening.search(text):
            ends = [match.start() for match in closing.finditer(text)]
            closed = ends[-1] if ends else 0
            text = text[:closed] + opening.sub("&lt;", text[closed:])
    html = _BLOCK.sub("\n<br", _STRAY_BRACKET.sub("&lt;", _WORDLESS.sub("", text)))
    html = _OTHER_ELEMENT.sub("<wbr", html)
    # A lone surrogate is legal in JSON, but not in the UTF-8 that the parser reads.
    parser = LexborHTMLParser(html.encode("utf-8", "replace").decode("utf-8"))
    plain = parser.root.text(deep=True, separator="", strip=False) if parser.root else ""
    return _INVISIBLE.sub("", plain).strip()


def _decode_entities(text: str) -> str:
    decoded = _ENTITY.sub(lambda match: unescape(match[0]), text)
    return text if decoded == text else _INVISIBLE.sub("", decoded)
