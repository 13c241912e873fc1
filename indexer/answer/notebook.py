"""The hits of an answer to the HTML table that a notebook shows."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from indexer.answer.hits import Hit, shorten
from indexer.language import find_title

_MAX_TITLE_CHARS = 80
_MAX_REASON_CHARS = 60
_SHOWN_REASONS = 3  # of each hit, the largest
_SHOWN_IDS = 5  # of unknown ids


def render_table(
    hits: Sequence[Hit], complete: Mapping[str, Any], unknown_items: Sequence[str]
) -> str:
    """Return HTML: rank, score, title (or id) and main reasons, then how complete the list is.

    Everything that comes from items or requests is escaped, and cut if it is long.

    Args:
        hits: In rank order.
        complete: As `Answer.complete`.
        unknown_items: Ids of the request that are not in the catalogue.
    """
    table = ""
    if hits:
        header = "<tr><th>rank</th><th>score</th><th>title</th><th>reasons</th></tr>"
        rows = "\n".join(_render_row(hit) for hit in hits)
        table = f"<table>\n<thead>{header}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n"
    sentence = escape("; ".join(_describe_completeness(len(hits), complete, unknown_items)))
    return f"{table}<p>{sentence}</p>"


def _render_row(hit: Hit) -> str:
    title = escape(shorten(find_title(hit.item) or hit.id, _MAX_TITLE_CHARS))
    main_reasons = [_describe_reason(reason) for reason in hit.reasons[:_SHOWN_REASONS]]
    reasons = "<br>".join(map(escape, main_reasons))
    return (
        f"<tr><td>{hit.rank}</td><td>{hit.score:.3f}</td>"
        f'<td title="{escape(hit.id)}">{title}</td><td>{reasons}</td></tr>'
    )


def _describe_reason(reason: Mapping[str, Any]) -> str:
    """A reason as "kind value, value +0.12"."""
    values = [str(value) for name, value in reason.items() if name not in ("kind", "share")]
    text = shorten(f"{reason['kind']} {', '.join(values)}", _MAX_REASON_CHARS)
    return f"{text} {reason['share']:+.2f}"


def _describe_completeness(
    returned: int, complete: Mapping[str, Any], unknown_items: Sequence[str]
) -> Iterator[str]:
    search = complete.get("search", "none")
    yield f"{returned} of {complete.get('eligible', '?')} eligible items, search: {search}"
    counts = complete.get("excluded", {})
    excluded = [f"{reason} {count}" for reason, count in counts.items() if count]
    if excluded:
        yield f"excluded: {', '.join(excluded)}"
    if unknown_items:
        shown = [shorten(item_id, _MAX_REASON_CHARS) for item_id in unknown_items[:_SHOWN_IDS]]
        more = len(unknown_items) - len(shown)
        yield f"unknown ids: {', '.join(shown)}" + (f" and {more} more" if more else "")
