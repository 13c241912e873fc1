"""A page of candidates and a model's order to the page that is returned.

Also what a model may read of that page: the items, the titles that reasons name, the user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from indexer.answer import Hit
from indexer.request import parse_k, parse_texts
from service.answering import PageBuilder, PageResult
from service.live import RequestView
from service.llm.explanations import ExplanationInput
from service.llm.options import LlmOptions
from service.llm.prompt_inputs import (
    PromptItem,
    PromptUser,
    build_prompt_items,
    build_prompt_user,
    collect_reason_ids,
    load_titles,
)
from service.llm.query_understanding import (
    CheckedInterpretation,
    Interpretation,
    check_interpretation,
)

_DEFAULT_K = 10
_MAX_ABOUT_CHARS = 160
_PRESENTATION_FIELDS = ("fields", "explain")


@dataclass(frozen=True, slots=True)
class Shortlist:
    """A page whose candidates can be re-ranked.

    Attributes:
        page: With all candidates, more than `k` if they are to be re-ranked.
        k: How many hits are returned.
        user: What a model may read of the user.
        items: What a model may read of each hit, in their order.
        titles: Id to title, for the items that reasons name.
        pinned_ids: Ids whose rank the request fixes.
        interpretation: What was understood of the query, if a model was asked.
    """

    page: PageResult
    k: int
    user: PromptUser
    items: Sequence[PromptItem]
    titles: Mapping[str, str]
    pinned_ids: frozenset[str]
    interpretation: CheckedInterpretation = field(default_factory=CheckedInterpretation)

    @property
    def explanation_inputs(self) -> list[ExplanationInput]:
        """What is to be explained: the first `k` hits, in order."""
        items_by_id = {item.id: item for item in self.items}
        language = self.user.language
        return [
            ExplanationInput.from_reasons(items_by_id[hit.id], hit.reasons, self.titles, language)
            for hit in self.page.answer.hits[: self.k]
        ]


def build_shortlist(
    view: RequestView,
    pages: PageBuilder,
    body: Mapping[str, Any],
    options: LlmOptions,
    model_output: tuple[Interpretation | None, str | None],
) -> Shortlist:
    """Compute a page with enough candidates for re-ranking.

    Args:
        view: The state of catalogue and store to answer from.
        pages: Computes pages.
        body: The fields of the call that are not null.
        options: Which parts of the language model are wanted.
        model_output: What a model understood of the query, and the ideal item it described; None
            where it was not asked or failed.

    Raises:
        RequestError: If a value does not fit.
        FilterError: If the filter does not fit the catalogue.
    """
    interpretation, ideal = model_output
    checked = CheckedInterpretation()
    if interpretation:
        checked = check_interpretation(view.catalogue, interpretation, body)
    # What a model understood is not read a second time by rules, which might contradict it.
    own_reading = {"read_wish": False} if interpretation else {}
    overrides = {**checked.changes, **own_reading, **({"ideal": ideal} if ideal else {})}
    k = parse_k(body["k"]) if "k" in body else _DEFAULT_K
    page = pages.compute_page(view, _widen_body(body, options, k), overrides=overrides)
    return Shortlist(
        page=page,
        k=k,
        user=build_prompt_user(view.catalogue, page.request),
        items=build_prompt_items(page.answer.hits, about_chars=_MAX_ABOUT_CHARS),
        titles=load_titles(view.catalogue, collect_reason_ids(page.answer)),
        pinned_ids=frozenset(pin.item_id for pin in page.request.pin),
        interpretation=checked,
    )


def _widen_body(body: Mapping[str, Any], options: LlmOptions, k: int) -> dict[str, Any]:
    """Return the body that gives a model what it reads: all fields, reasons, enough candidates."""
    is_reranked = options.rerank and "cursor" not in body
    wide_body = {
        **{name: value for name, value in body.items() if name != "fields"},
        "k": max(k, options.candidates) if is_reranked else k,
        "explain": True,
    }
    if "cursor" in body:  # the cursor holds the `fields` of the first page
        wide_body |= {"fields": None}
    return wide_body


def apply_order(shortlist: Shortlist, ids: Sequence[str]) -> Shortlist:
    """Return the shortlist in another order.

    Pinned items keep their rank. Ids that are not in the shortlist are ignored; items that `ids`
    does not name follow in the order they had.
    """
    answer = shortlist.page.answer
    by_id = {hit.id: hit for hit in answer.hits}
    free = [hit.id for hit in answer.hits if hit.id not in shortlist.pinned_ids]
    chosen = [item_id for item_id in dict.fromkeys(ids) if item_id in by_id]
    queue = [item_id for item_id in chosen if item_id not in shortlist.pinned_ids]
    queue += [item_id for item_id in free if item_id not in set(queue)]
    remaining = iter(queue)
    order = [hit.id if hit.id in shortlist.pinned_ids else next(remaining) for hit in answer.hits]
    first = answer.hits[0].rank if answer.hits else 1
    hits = tuple(by_id[item_id].replace(rank=first + n) for n, item_id in enumerate(order))
    page = replace(
        shortlist.page,
        answer=replace(answer, hits=hits),
        cursor=replace(shortlist.page.cursor, settled=True),
    )
    return replace(shortlist, page=page)


def count_moved(before: Shortlist, after: Shortlist) -> int:
    """Return how many of the first `k` ranks hold another item than before."""
    pairs = zip(before.page.answer.hits[: before.k], after.page.answer.hits, strict=False)
    return sum(old.id != new.id for old, new in pairs)


def render_shortlist(
    shortlist: Shortlist, pages: PageBuilder, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the page as JSON holds it: cut to `k`, with the fields and reasons of the request."""
    answer, cursor = shortlist.page.answer, shortlist.page.cursor
    fields = parse_texts(body["fields"], "fields") if body.get("fields") is not None else None
    explain = body.get("explain") is not False
    hits = [_trim_hit(hit, fields, explain=explain) for hit in answer.hits[: shortlist.k]]
    rest = tuple(hit.id for hit in answer.hits[shortlist.k :])
    # The cursor of the next page holds what the caller sent, not the widened body.
    widened = ("k", *_PRESENTATION_FIELDS)
    kept_fields = {name: value for name, value in cursor.body.items() if name not in widened}
    sent_fields = {name: body[name] for name in widened if name in body}
    page = replace(
        shortlist.page,
        cursor=replace(cursor, body={**kept_fields, **sent_fields}),
        answer=replace(
            answer,
            hits=tuple(hits),
            following=(*rest, *answer.following),
            complete={**answer.complete, "returned": len(hits)},
        ),
    )
    return pages.render_page(page)


def _trim_hit(hit: Hit, fields: Sequence[str] | None, *, explain: bool) -> Hit:
    item = hit.item
    if fields is not None:
        item = {name: item[name] for name in ("id", *fields) if name in item}
    return hit.replace(item=item, reasons=hit.reasons if explain else [])
