"""A file of requests to a file of answers: one line in, one line out, in the same order.

A longer file is answered by several processes, all from one snapshot; with a live store by one, for
all lines have to see one moment of the store.
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

from indexer import Index
from indexer.build import StageProgress
from indexer.cores import count_threads
from indexer.errors import IndexerError, RequestError
from indexer.request import MAX_HISTORY_BATCH, parse_request, refuse_surrogates
from service.answering import recommend_with_trending, render_answer
from service.edge import load_secret
from service.jobs.parallel import run_ordered
from service.live import LiveStore, RequestView, RequestViews
from service.llm import UNUSED_IN_BATCH
from service.store import LiveDatabase

_PIECE_LINES, _PIECE_CHARS = 32, 1_000_000  # what a process takes at a time
_FEW_PIECES = 8  # more processes would take longer to start than to answer
_DEFAULT_WORKERS = 4  # unless more are asked for: each holds a language model


class AnsweredLine(NamedTuple):
    """The answer to one line of the file, as JSON, and what was wrong with the line."""

    number: int
    answer: str
    error: str | None


Piece = list[tuple[int, str]]


def recommend_batch(
    root: Path,
    requests: Path,
    out: Path,
    *,
    db: str | None,
    workers: int | None,
    report: StageProgress,
) -> None:
    """Answer every line, then put the whole file in place.

    Args:
        root: Index directory.
        requests: JSONL, plain or .gz: bodies of POST /v1/recommend with a `request_id`.
        out: JSONL, plain or .gz; replaced by one rename.
        db: SQLAlchemy URL of the live store; None: requests tell all there is to know.
        workers: Processes; None: the cores, at most 4, for a file that is worth it.
        report: Called with ("recommend", done, 0).

    Raises:
        RequestError: If a file cannot be used, or some lines hold an error in place of an answer.
    """
    if not out.absolute().parent.is_dir():
        raise RequestError(f"--out {out}: there is no directory {out.parent}; make it first")
    if out.is_dir():
        raise RequestError(f"--out {out} is a directory; name a file in it")
    refused: list[str] = []
    done = 0
    answers = _answer_all(str(root), db, _read_pieces(requests), workers)
    with _replace_file(out) as file, closing(answers):
        for line in answers:
            if line.error is not None:
                refused.append(f"{requests}:{line.number}: {line.error}")
            file.write(line.answer + "\n")
            done += 1
            report("recommend", done, 0)
    if refused:
        raise RequestError(
            f"{refused[0]} ({len(refused)} of {done} lines have an error in {out} in place of an "
            f"answer)"
        )


@contextmanager
def _replace_file(out: Path) -> Iterator[IO[Any]]:
    """A file written beside its place and renamed, so that nobody reads half of the answers."""
    temporary = out.with_name(f".answers-{secrets.token_hex(4)}{out.suffix}")
    try:
        with _open_text(temporary, "wt") as file:
            yield file
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold anything, by number."""
    try:
        with _open_text(path, "rt") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield line, text
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise RequestError(f"{path} cannot be read ({error}); give a JSONL file") from error


def _read_pieces(path: Path) -> Iterator[Piece]:
    piece: Piece = []
    chars = 0
    for line, text in _read_lines(path):
        piece.append((line, text))
        chars += len(text)
        if len(piece) == _PIECE_LINES or chars >= _PIECE_CHARS:
            yield piece
            piece, chars = [], 0
    if piece:
        yield piece


def _answer_all(
    root: str, url: str | None, pieces: Iterator[Piece], workers: int | None
) -> Generator[AnsweredLine, None, None]:
    """The answers in order; one snapshot gives them all."""
    if url is not None:
        workers = 1
    elif workers is None:
        workers, pieces = _choose_workers(pieces)
    with ExitStack() as held:
        if workers == 1:
            view = held.enter_context(_open_view(root, url))
            found: Generator[list[AnsweredLine], None, None] = (
                _answer_piece(view, piece) for piece in pieces
            )
        else:
            index = Index.open(root)  # held, so that nothing prunes it before a process has it
            held.callback(index.close)
            found = run_ordered(
                partial(_answer_in_process, root, index.id), pieces, workers=workers
            )
        held.enter_context(closing(found))
        yield from chain.from_iterable(found)


def _choose_workers(pieces: Iterator[Piece]) -> tuple[int, Iterator[Piece]]:
    """How many processes are worth starting, and all the pieces."""
    begun = list(islice(pieces, _FEW_PIECES + 1))
    is_long = len(begun) > _FEW_PIECES
    return min(count_threads(), _DEFAULT_WORKERS) if is_long else 1, chain(begun, pieces)


def _answer_in_process(root: str, snapshot_id: str, piece: Piece) -> list[AnsweredLine]:
    """Answer lines in a process of their own, which opens the snapshot once."""
    return _answer_piece(_open_snapshot_view(root, snapshot_id), piece)


@cache
def _open_snapshot_view(root: str, snapshot_id: str) -> RequestView:
    with RequestViews(None).open(Index.open(root, snapshot_id=snapshot_id)) as view:
        return view  # without a store nothing of it ends here


def _answer_piece(view: RequestView, piece: Piece) -> list[AnsweredLine]:
    answers = [(line, _answer_line(view, text)) for line, text in piece]
    lines = [
        AnsweredLine(line, json.dumps(answer, ensure_ascii=False), answer.get("error"))
        for line, answer in answers
    ]
    _freeze_garbage_collector()
    return lines


@cache
def _freeze_garbage_collector() -> None:
    """Once the model is there: spare the collector its million objects, time and again.

    Not more than once: what is frozen is never freed.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _open_view(root: str, url: str | None) -> Iterator[RequestView]:
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


def _answer_line(view: RequestView, text: str) -> dict[str, Any]:
    request_id = None
    try:
        body = _parse_body(text)
        request_id = body.pop("request_id")
        said = {} if body.pop("llm", None) is None else {"llm": UNUSED_IN_BATCH}
        return {"request_id": request_id, **_recommend(view, body), **said}
    except IndexerError as error:
        return {"request_id": request_id, "error": str(error)}


def _parse_body(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"this is no JSON ({error})") from error
    if not isinstance(body, dict) or "request_id" not in body:
        raise RequestError("a request is an object with a request_id")
    refuse_surrogates(json.dumps(body["request_id"], ensure_ascii=False), "request_id")
    return body


def _recommend(view: RequestView, body: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    request = parse_request(
        {"explain": False, **body},
        max_history=MAX_HISTORY_BATCH,
        scenarios=view.catalogue.scenarios,
    )
    personal = view.personalise(request, now=now)
    answer = recommend_with_trending(view, personal, now=now)
    return render_answer(answer, user_id=request.user_id, live_seq=view.sequence.seq)


def _open_text(path: Path, mode: str) -> IO[Any]:
    encoding = "utf-8-sig" if mode == "rt" else "utf-8"  # some editors begin a file with a mark
    if path.suffix == ".gz":
        return gzip.open(path, mode, encoding=encoding)  # type: ignore[return-value]  # text mode
    return path.open(mode, encoding=encoding)
