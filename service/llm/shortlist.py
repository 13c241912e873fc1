"""A drafted list and a model's order to the page that is told; and what a model may read of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from indexer.answer import Hit
from indexer.request import parse_k, parse_texts
from service.answering import PageBuilder, PageResult, request_from_cursor
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

_MAX_ABOUT_CHARS = 160


@dataclass(frozen=True, slots=True)
class Shortlist:
    """A list before its finalists are ordered.

    Attributes:
        k: How many are shown.
        items: What a model may read of each hit.
        titles: Of the items that reasons name.
        pinned_ids: Ids whose rank was asked for.
        interpretation: What was made of the sentence, if it was asked.
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
        """What is to be explained, in order."""
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
    """Find a list with enough finalists, and all that a model may be told of it.

    Raises:
        RequestError: If a value does not fit.
        FilterError: If the filter does not fit the catalogue.
    """
    interpretation, ideal = model_output
    checked_interpretation = (
        check_interpretation(view.catalogue, interpretation, body)
        if interpretation
        else CheckedInterpretation()
    )
    overrides = {**checked_interpretation.changes, **({"ideal": ideal} if ideal else {})}
    k = parse_k(body["k"]) if "k" in body else 10
    reranked = options.rerank and "cursor" not in body
    wide_body = {
        **{name: value for name, value in body.items() if name != "fields"},
        "k": max(k, options.candidates) if reranked else k,
        "explain": True,
    }
    if "cursor" in body:  # a cursor carries the fields of the first page
        wide_body |= {"fields": None}
    draft = pages.compute_page(view, wide_body, overrides=overrides)
    request = view.personalise(request_from_cursor(view, draft.cursor), now=draft.cursor.moment)
    return Shortlist(
        page=draft,
        k=k,
        user=build_prompt_user(view.catalogue, request),
        items=build_prompt_items(draft.answer.hits, about_chars=_MAX_ABOUT_CHARS),
        titles=load_titles(view.catalogue, collect_reason_ids(draft.answer)),
        pinned_ids=frozenset(pin.item_id for pin in request.pin),
        interpretation=checked_interpretation,
    )


def apply_order(made: Shortlist, ids: Sequence[str]) -> Shortlist:
    """Return the list in another order; ids that are none of its own change nothing."""
    answer = made.page.answer
    by_id = {hit.id: hit for hit in answer.hits}
    free = [hit.id for hit in answer.hits if hit.id not in made.pinned_ids]
    chosen = [item_id for item_id in dict.fromkeys(ids) if item_id in by_id]
    queue = [item_id for item_id in chosen if item_id not in made.pinned_ids]
    queue += [item_id for item_id in free if item_id not in set(queue)]
    remaining = iter(queue)
    order = [hit.id if hit.id in made.pinned_ids else next(remaining) for hit in answer.hits]
    first = answer.hits[0].rank if answer.hits else 1
    hits = tuple(replace(by_id[item_id], rank=first + n) for n, item_id in enumerate(order))
    draft = replace(
        made.page,
        answer=replace(answer, hits=hits),
        cursor=replace(made.page.cursor, settled=True),
    )
    return replace(made, page=draft)


def count_moved(before: Shortlist, after: Shortlist) -> int:
    """Return how many of the ranks shown hold another item than before."""
    pairs = zip(before.page.answer.hits[: before.k], after.page.answer.hits, strict=False)
    return sum(old.id != new.id for old, new in pairs)


def render_shortlist(
    made: Shortlist, pages: PageBuilder, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the page as JSON holds it: cut to `k`, with the fields and reasons that were asked."""
    answer, cursor = made.page.answer, made.page.cursor
    fields = parse_texts(body["fields"], "fields") if body.get("fields") is not None else None
    explain = body.get("explain") is not False
    trimmed_hits = [_trim_hit(hit, fields, explain=explain) for hit in answer.hits[: made.k]]
    left = tuple(hit.id for hit in answer.hits[made.k :])
    body_fields = {
        name: value
        for name, value in cursor.body.items()
        if name not in ("k", *_PRESENTATION_FIELDS)
    }
    changed_fields = {name: body[name] for name in ("k", *_PRESENTATION_FIELDS) if name in body}
    page = replace(
        made.page,
        cursor=replace(cursor, body={**body_fields, **changed_fields}),
        answer=replace(
            answer,
            hits=tuple(trimmed_hits),
            following=(*left, *answer.following),
            complete={**answer.complete, "returned": len(trimmed_hits)},
        ),
    )
    return pages.render_page(page)


_PRESENTATION_FIELDS = ("fields", "explain")


def _trim_hit(hit: Hit, fields: Sequence[str] | None, *, explain: bool) -> Hit:
    item = hit.item
    if fields is not None:
        item = {name: item[name] for name in ("id", *fields) if name in item}
    return replace(hit, item=item, reasons=hit.reasons if explain else [])
