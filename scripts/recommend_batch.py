#!/usr/bin/env python3
"""Answer a file of requests: one line in, one line out, in the same order.

A line is the body of POST /v1/recommend plus "request_id"; histories may have 20,000 entries. With
--db, live items and what the store knows of the users count too, as they were at the start.
"""

import gzip
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from _cli import Bars, parser, run

from indexer import Index
from indexer.errors import IndexerError, RequestError
from indexer.recommend import recommend
from indexer.request import MAX_HISTORY_BATCH, parse_request
from service.cursors import load_secret
from service.database import LiveDatabase
from service.live import Live, View, Views


def main() -> int:
    """Answer every line, then put the whole file in place."""
    made = parser(__doc__ or "")
    made.add_argument("--index", required=True, metavar="DIR", help="index directory")
    made.add_argument("--requests", required=True, metavar="FILE.jsonl", help="plain or .gz")
    made.add_argument("--db", metavar="URL", help="live store of the service")
    made.add_argument("--out", required=True, metavar="FILE.jsonl", help="plain or .gz")
    arguments = made.parse_args()
    index = Index.open(arguments.index)
    out = Path(arguments.out)
    # Written beside its place and renamed, so that nobody reads half an answer file.
    descriptor, temporary = tempfile.mkstemp(prefix=".answers-", dir=out.parent, suffix=out.suffix)
    os.close(descriptor)
    try:
        with (
            _opened(Path(temporary), "wt") as file,
            Bars() as bars,
            _viewed(index, arguments.db) as view,
        ):
            for done, (line, body) in enumerate(_bodies(Path(arguments.requests)), start=1):
                file.write(_answered(view, arguments.requests, line, body) + "\n")
                bars("recommend", done, 0)
        Path(temporary).replace(out)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return 0


def _bodies(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with _opened(path, "rt") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield line, _body(path, line, text)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise RequestError(f"{path} cannot be read ({error}); give a JSONL file") from error


def _body(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise RequestError(f"{path}:{line}: this is no JSON ({error.msg})") from error
    if not isinstance(body, dict) or "request_id" not in body:
        raise RequestError(f"{path}:{line}: a request is an object with a request_id")
    return body


@contextmanager
def _viewed(index: Index, url: str | None) -> Iterator[View]:
    """The catalogue and the store at one moment."""
    if url is None:
        with Views(None).of(index) as view:
            yield view
        return
    database = LiveDatabase.open(url)
    try:
        live = Live.over(database, load_secret(None, os.environ), time.time)
        with Views(live).of(index) as view:
            yield view
    finally:
        database.close()


def _answered(view: View, path: str, line: int, body: dict[str, Any]) -> str:
    request_id = body.pop("request_id")
    body.setdefault("explain", False)
    try:
        scenarios = view.catalogue.scenarios
        request = parse_request(body, max_history=MAX_HISTORY_BATCH, scenarios=scenarios)
        now = time.time()
        answer = recommend(view.catalogue, view.personal(request, now=now), now=now)
    except IndexerError as error:
        raise RequestError(f"{path}:{line}: {error}") from error
    items = [
        {"id": hit.id, "rank": hit.rank, "score": hit.score, "item": hit.item,
         "propensity": hit.propensity, "reasons": hit.reasons}
        for hit in answer
    ]  # fmt: skip
    told = {
        "request_id": request_id,
        "snapshot": answer.snapshot,
        "live_seq": view.now.seq,
        "user_id": request.user_id,
        "unknown_items": answer.unknown_items,
        "items": items,
        "complete": answer.complete,
        "timing_ms": answer.timing_ms,
    }
    return json.dumps(told, ensure_ascii=False)


def _opened(path: Path, mode: str) -> IO[Any]:
    if path.suffix == ".gz":
        return gzip.open(path, mode, encoding="utf-8")  # type: ignore[return-value]  # text mode
    return path.open(mode, encoding="utf-8")


if __name__ == "__main__":
    run(main)
