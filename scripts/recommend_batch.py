#!/usr/bin/env python3
"""Answer a file of requests: one line in, one line out, in the same order.

A line is the body of POST /v1/recommend plus "request_id"; histories may have 20,000 entries. With
--db, live items and what the store knows of the users count too, as they were at the start.

A line that cannot be answered gives a line {"request_id", "error"}; the others are answered, the
file is put in place, and the exit code is 1.

A longer file is answered by several processes, all from one snapshot (--workers); with --db by one,
for all lines have to see one moment of the store.
"""

import gc
import gzip
import json
import os
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from _cli import Bars, parser, run
from _workers import ordered

from indexer import Index
from indexer.answer import recommend
from indexer.cores import count_threads
from indexer.errors import IndexerError, RequestError
from indexer.request import MAX_HISTORY_BATCH, parse_request, refuse_surrogates
from service.answering import compute_trending_terms
from service.edge import load_secret
from service.live import LiveStore, RequestView, RequestViews
from service.llm import UNUSED_IN_BATCH
from service.store import LiveDatabase

_PIECE_LINES, _PIECE_CHARS = 32, 1_000_000  # what a process takes at a time
_FEW_PIECES = 8  # more processes would take longer to start than to answer
_WORKERS = 4  # unless more are asked for: each holds a language model
_MOST_WORKERS = 64


class Told(NamedTuple):
    """The answer to one line of the file, as JSON, and what was wrong with the line."""

    line: int
    answer: str
    error: str | None


Piece = list[tuple[int, str]]


def main() -> int:
    """Answer every line, then put the whole file in place."""
    made = parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR", help="index directory")
    made.add_argument("--requests", required=True, metavar="FILE.jsonl", help="plain or .gz")
    made.add_argument("--db", metavar="URL", help="live store of the service")
    made.add_argument("--out", required=True, metavar="FILE.jsonl", help="plain or .gz")
    made.add_argument(
        "--workers", type=int, metavar="N", help="processes; default: cores, at most 4; 1 with --db"
    )
    asked = made.parse_args()
    if asked.workers is not None and not 1 <= asked.workers <= _MOST_WORKERS:
        made.error(f"--workers is {asked.workers}; give a number from 1 to {_MOST_WORKERS}")
    if asked.db and (asked.workers or 1) > 1:
        made.error("--workers is for requests without --db; leave one of them out")
    requests, out = Path(asked.requests), Path(asked.out)
    if not out.absolute().parent.is_dir():
        raise RequestError(f"--out {out}: there is no directory {out.parent}; make it first")
    if out.is_dir():
        raise RequestError(f"--out {out} is a directory; name a file in it")
    refused: list[str] = []
    done = 0
    answers = _all_answered(asked.index, asked.db, _pieces(requests), asked.workers)
    with _replacing(out) as file, Bars() as bars, closing(answers):
        for told in answers:
            if told.error is not None:
                refused.append(f"{requests}:{told.line}: {told.error}")
            file.write(told.answer + "\n")
            done += 1
            bars("recommend", done, 0)
    if refused:
        raise RequestError(
            f"{refused[0]} ({len(refused)} of {done} lines have an error in {out} in place of an "
            f"answer)"
        )
    return 0


@contextmanager
def _replacing(out: Path) -> Iterator[IO[Any]]:
    """A file written beside its place and renamed, so that nobody reads half of the answers."""
    temporary = out.with_name(f".answers-{secrets.token_hex(4)}{out.suffix}")
    try:
        with _opened(temporary, "wt") as file:
            yield file
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold anything, by number."""
    try:
        with _opened(path, "rt") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield line, text
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise RequestError(f"{path} cannot be read ({error}); give a JSONL file") from error


def _pieces(path: Path) -> Iterator[Piece]:
    piece: Piece = []
    chars = 0
    for line, text in _lines(path):
        piece.append((line, text))
        chars += len(text)
        if len(piece) == _PIECE_LINES or chars >= _PIECE_CHARS:
            yield piece
            piece, chars = [], 0
    if piece:
        yield piece


def _all_answered(
    root: str, url: str | None, pieces: Iterator[Piece], workers: int | None
) -> Generator[Told, None, None]:
    """The answers in order; one snapshot gives them all."""
    if url is not None:
        workers = 1
    elif workers is None:
        workers, pieces = _worth_it(pieces)
    with ExitStack() as held:
        if workers == 1:
            view = held.enter_context(_viewed(root, url))
            found: Generator[list[Told], None, None] = (
                _piece_answered(view, piece) for piece in pieces
            )
        else:
            index = Index.open(root)  # held, so that nothing prunes it before a process has it
            held.callback(index.close)
            found = ordered(partial(_answered_apart, root, index.id), pieces, workers=workers)
        held.enter_context(closing(found))
        yield from chain.from_iterable(found)


def _worth_it(pieces: Iterator[Piece]) -> tuple[int, Iterator[Piece]]:
    """How many processes are worth starting, and all the pieces."""
    begun = list(islice(pieces, _FEW_PIECES + 1))
    is_long = len(begun) > _FEW_PIECES
    return min(count_threads(), _WORKERS) if is_long else 1, chain(begun, pieces)


def _answered_apart(root: str, snapshot_id: str, piece: Piece) -> list[Told]:
    """Answer lines in a process of their own, which opens the snapshot once."""
    return _piece_answered(_snapshot_viewed(root, snapshot_id), piece)


@cache
def _snapshot_viewed(root: str, snapshot_id: str) -> RequestView:
    with RequestViews(None).open(Index.open(root, snapshot_id=snapshot_id)) as view:
        return view  # without a store nothing of it ends here


def _piece_answered(view: RequestView, piece: Piece) -> list[Told]:
    answers = [(line, _answered(view, text)) for line, text in piece]
    told = [
        Told(line, json.dumps(answer, ensure_ascii=False), answer.get("error"))
        for line, answer in answers
    ]
    _settle()
    return told


@cache
def _settle() -> None:
    """Once the model is there: spare the collector its million objects, time and again.

    Not more than once: what is frozen is never freed.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _viewed(root: str, url: str | None) -> Iterator[RequestView]:
    """The catalogue and the store at one moment."""
    index = Index.open(root)
    if url is None:
        with RequestViews(None).open(index) as view:
            yield view
        return
    database = LiveDatabase.open(url)
    try:
        live = LiveStore.from_database(database, load_secret(None, os.environ), time.time)
        with RequestViews(live).open(index) as view:
            yield view
    finally:
        database.close()


def _answered(view: RequestView, text: str) -> dict[str, Any]:
    request_id = None
    try:
        body = _body(text)
        request_id = body.pop("request_id")
        said = {} if body.pop("llm", None) is None else {"llm": UNUSED_IN_BATCH}
        return {"request_id": request_id, **_recommended(view, body), **said}
    except IndexerError as error:
        return {"request_id": request_id, "error": str(error)}


def _body(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"this is no JSON ({error})") from error
    if not isinstance(body, dict) or "request_id" not in body:
        raise RequestError("a request is an object with a request_id")
    refuse_surrogates(json.dumps(body["request_id"], ensure_ascii=False), "request_id")
    return body


def _recommended(view: RequestView, body: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    request = parse_request(
        {"explain": False, **body},
        max_history=MAX_HISTORY_BATCH,
        scenarios=view.catalogue.scenarios,
    )
    asked = view.personalise(request, now=now)
    addends = compute_trending_terms(view, asked, now=now)
    answer = recommend(view.catalogue, asked, now=now, score_terms=addends)
    items = [
        {"id": hit.id, "rank": hit.rank, "score": hit.score, "item": hit.item,
         "propensity": hit.propensity, "reasons": hit.reasons}
        for hit in answer
    ]  # fmt: skip
    return {
        "snapshot": answer.snapshot,
        "live_seq": view.sequence.seq,
        "user_id": request.user_id,
        "unknown_items": answer.unknown_items,
        "items": items,
        "complete": answer.complete,
        "timing_ms": answer.timing_ms,
    }


def _opened(path: Path, mode: str) -> IO[Any]:
    encoding = "utf-8-sig" if mode == "rt" else "utf-8"  # some editors begin a file with a mark
    if path.suffix == ".gz":
        return gzip.open(path, mode, encoding=encoding)  # type: ignore[return-value]  # text mode
    return path.open(mode, encoding=encoding)


if __name__ == "__main__":
    run(main)
