"""A drafted list and a model's order to the page that is told; and what a model may read of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from indexer.answer import Hit
from indexer.request import parse_k, parse_texts
from service.answering import Draft, Pages, asked_by
from service.live import View
from service.llm.explanations import Case
from service.llm.options import Asked
from service.llm.prompt_inputs import Person, Told, candidates_of, mentioned, person_of, titles_of
from service.llm.query_understanding import Heard, Understood, checked

_ABOUT_CHARS = 160


@dataclass(frozen=True, slots=True)
class Drafted:
    """A list before its finalists are ordered.

    Attributes:
        k: How many are shown.
        items: What a model may read of each hit.
        titles: Of the items that reasons name.
        fixed: Ids whose rank was asked for.
        understood: What was made of the sentence, if it was asked.
    """

    draft: Draft
    k: int
    person: Person
    items: Sequence[Told]
    titles: Mapping[str, str]
    fixed: frozenset[str]
    understood: Understood = field(default_factory=Understood)

    @property
    def cases(self) -> list[Case]:
        """What is to be explained, in order."""
        told = {item.id: item for item in self.items}
        language = self.person.language
        return [
            Case.of(told[hit.id], hit.reasons, self.titles, language)
            for hit in self.draft.answer.hits[: self.k]
        ]


def drafted(
    view: View,
    pages: Pages,
    body: Mapping[str, Any],
    asked: Asked,
    imagined: tuple[Heard | None, str | None],
) -> Drafted:
    """Find a list with enough finalists, and all that a model may be told of it.

    Raises:
        RequestError: If a value does not fit.
        FilterError: If the filter does not fit the catalogue.
    """
    said, ideal = imagined
    understood = checked(view.catalogue, said, body) if said else Understood()
    read = {**understood.changes, **({"ideal": ideal} if ideal else {})}
    k = parse_k(body["k"]) if "k" in body else 10
    reranked = asked.rerank and "cursor" not in body
    wide = {
        **{name: value for name, value in body.items() if name != "fields"},
        "k": max(k, asked.candidates) if reranked else k,
        "explain": True,
    }
    if "cursor" in body:  # a cursor carries the fields of the first page
        wide |= {"fields": None}
    draft = pages.draft(view, wide, read=read)
    request = view.personal(asked_by(view, draft.cursor), now=draft.cursor.moment)
    return Drafted(
        draft=draft,
        k=k,
        person=person_of(view.catalogue, request),
        items=candidates_of(draft.answer.hits, about_chars=_ABOUT_CHARS),
        titles=titles_of(view.catalogue, mentioned(draft.answer)),
        fixed=frozenset(pin.item_id for pin in request.pin),
        understood=understood,
    )


def reordered(made: Drafted, ids: Sequence[str]) -> Drafted:
    """Return the list in another order; ids that are none of its own change nothing."""
    answer = made.draft.answer
    by_id = {hit.id: hit for hit in answer.hits}
    free = [hit.id for hit in answer.hits if hit.id not in made.fixed]
    chosen = [item_id for item_id in dict.fromkeys(ids) if item_id in by_id]
    queue = [item_id for item_id in chosen if item_id not in made.fixed]
    queue += [item_id for item_id in free if item_id not in set(queue)]
    rest = iter(queue)
    order = [hit.id if hit.id in made.fixed else next(rest) for hit in answer.hits]
    first = answer.hits[0].rank if answer.hits else 1
    hits = tuple(replace(by_id[item_id], rank=first + n) for n, item_id in enumerate(order))
    draft = replace(
        made.draft,
        answer=replace(answer, hits=hits),
        cursor=replace(made.draft.cursor, settled=True),
    )
    return replace(made, draft=draft)


def moved(before: Drafted, after: Drafted) -> int:
    """Return how many of the ranks shown hold another item than before."""
    pairs = zip(before.draft.answer.hits[: before.k], after.draft.answer.hits, strict=False)
    return sum(old.id != new.id for old, new in pairs)


def told(made: Drafted, pages: Pages, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page as JSON holds it: cut to `k`, with the fields and reasons that were asked."""
    answer, cursor = made.draft.answer, made.draft.cursor
    fields = parse_texts(body["fields"], "fields") if body.get("fields") is not None else None
    explain = body.get("explain") is not False
    shown = [_shown(hit, fields, explain=explain) for hit in answer.hits[: made.k]]
    left = tuple(hit.id for hit in answer.hits[made.k :])
    asked = {name: value for name, value in cursor.body.items() if name not in ("k", *_HOW)}
    own = {name: body[name] for name in ("k", *_HOW) if name in body}
    page = replace(
        made.draft,
        cursor=replace(cursor, body={**asked, **own}),
        answer=replace(
            answer,
            hits=tuple(shown),
            following=(*left, *answer.following),
            complete={**answer.complete, "returned": len(shown)},
        ),
    )
    return pages.told(page)


_HOW = ("fields", "explain")


def _shown(hit: Hit, fields: Sequence[str] | None, *, explain: bool) -> Hit:
    item = hit.item
    if fields is not None:
        item = {name: item[name] for name in ("id", *fields) if name in item}
    return replace(hit, item=item, reasons=hit.reasons if explain else [])
