"""A file of requests to a file of answers: one line in, one line out, in the same order.

A longer file is answered by several processes, all from one snapshot. With a live store one process
answers it, because all lines have to see the same state of the store.
"""

import gc
import gzip
import json
import os
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from indexer import Index
from indexer.cores import count_threads
from indexer.errors import IndexerError, RequestError
from indexer.progress import StageProgress
from indexer.request import MAX_HISTORY_BATCH, parse_request, refuse_surrogates
from service.answering import recommend_to_user, render_answer
from service.edge import load_secret
from service.jobs.parallel import run_ordered
from service.live import LiveStore, RequestView, RequestViews
from service.llm import UNUSED_IN_BATCH
from service.store import LiveDatabase, raise_as_failure

_PIECE_LINES, _PIECE_CHARS = 32, 1_000_000  # the most that a process takes at a time
_FEW_PIECES = 8  # of a file so short that starting processes would take longer than answering
_DEFAULT_WORKERS = 4  # unless --workers asks for more: each process holds an encoder


class AnsweredLine(NamedTuple):
    """The answer to one line of the file.

    Attributes:
        number: Of the line, from 1.
        answer: JSON.
        error: What is wrong with the line; None: nothing.
        user_known: See `Answer.user_known`.
    """

    number: int
    answer: str
    error: str | None
    user_known: bool | None


Piece = list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """Who asked in a file of requests.

    Attributes:
        named: Requests that name a user or a session.
        strangers: Of these, those of whom nothing is known.
        first_stranger: File and line of the first of these; empty without any.
    """

    named: int
    strangers: int
    first_stranger: str


def recommend_batch(
    root: Path,
    requests: Path,
    out: Path,
    *,
    db: str | None,
    workers: int | None,
    report: StageProgress,
) -> BatchSummary:
    """Answer every line, then put the whole file in place.

    Args:
        root: Index directory.
        requests: JSONL, plain or .gz: bodies of POST /v1/recommend with a `request_id`.
        out: JSONL, plain or .gz; replaced by one rename.
        db: SQLAlchemy URL of the live store; None: users are known by their requests only.
        workers: Processes; None: one for a short file, else one for each core, at most 4.
        report: Called with ("recommend", done, 0).

    Raises:
        RequestError: If a file cannot be used, or some lines hold an error in place of an answer.
    """
    _check_place(out)
    tally = _BatchTally(requests)
    answers = _answer_all(str(root), db, _read_pieces(requests), workers)
    with _replace_file(out) as file, closing(answers):
        for line in answers:
            file.write(line.answer + "\n")
            tally.observe(line)
            report("recommend", tally.lines, 0)
    if tally.refused:
        raise RequestError(
            f"{tally.first_refused} ({tally.refused} of {tally.lines} lines have an error in {out} "
            f"in place of an answer)"
        )
    return BatchSummary(tally.named, tally.strangers, tally.first_stranger)


def _check_place(out: Path) -> None:
    """Refuse a file that cannot be written.

    Raises:
        RequestError: Saying what to do.
    """
    if not out.absolute().parent.is_dir():
        raise RequestError(f"--out {out}: there is no directory {out.parent}; make it first")
    if out.is_dir():
        raise RequestError(f"--out {out} is a directory; name a file in it")


class _BatchTally:
    """What has become of the lines of a file of requests so far.

    Attributes:
        lines: How many were answered, with an error or without.
        refused: How many have an error; the first is told by `first_refused`.
        named: How many name a user or a session.
        strangers: Of these, those of whom nothing is known; the first is at `first_stranger`.
    """

    def __init__(self, requests: Path) -> None:
        self._requests = requests
        self.lines = self.refused = self.named = self.strangers = 0
        self.first_refused = self.first_stranger = ""

    def observe(self, line: AnsweredLine) -> None:
        """Count one line."""
        place = f"{self._requests}:{line.number}"
        self.lines += 1
        if line.error is not None:
            self.refused += 1
            self.first_refused = self.first_refused or f"{place}: {line.error}"
        self.named += line.user_known is not None
        if line.user_known is False:
            self.strangers += 1
            self.first_stranger = self.first_stranger or place


@contextmanager
def _replace_file(out: Path) -> Iterator[IO[Any]]:
    """Yield a temporary file that is renamed to `out` at the end: nobody reads half the answers."""
    temporary = out.with_name(f".answers-{secrets.token_hex(4)}{out.suffix}")
    try:
        with _open_text(temporary, "wt") as file:
            yield file
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line that is not blank."""
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
    """Yield the answers in the order of the lines, all from one snapshot."""
    if url is not None:
        workers = 1
    elif workers is None:
        workers, pieces = _choose_workers(pieces)
    with raise_as_failure(), ExitStack() as stack:
        if workers == 1:
            view = stack.enter_context(_open_view(root, url))
            answers: Generator[list[AnsweredLine], None, None] = (
                _answer_piece(view, piece) for piece in pieces
            )
        else:
            index = Index.open(
                root
            )  # kept open, so that it is not pruned before a process opens it
            stack.callback(index.close)
            answers = run_ordered(
                partial(_answer_in_process, root, index.id), pieces, workers=workers
            )
        stack.enter_context(closing(answers))
        yield from chain.from_iterable(answers)


def _choose_workers(pieces: Iterator[Piece]) -> tuple[int, Iterator[Piece]]:
    """Return how many processes are worth starting, and all the pieces again."""
    first_pieces = list(islice(pieces, _FEW_PIECES + 1))
    is_long = len(first_pieces) > _FEW_PIECES
    return min(count_threads(), _DEFAULT_WORKERS) if is_long else 1, chain(first_pieces, pieces)


def _answer_in_process(root: str, snapshot_id: str, piece: Piece) -> list[AnsweredLine]:
    """Answer lines in a worker process, which opens the snapshot for its first piece only."""
    return _answer_piece(_open_snapshot_view(root, snapshot_id), piece)


@cache
def _open_snapshot_view(root: str, snapshot_id: str) -> RequestView:
    with RequestViews(None).open(Index.open(root, snapshot_id=snapshot_id)) as view:
        return view  # without a store, leaving the context closes nothing


def _answer_piece(view: RequestView, piece: Piece) -> list[AnsweredLine]:
    answers = [(line, _answer_line(view, text)) for line, text in piece]
    lines = [
        AnsweredLine(
            line, orjson.dumps(answer).decode(), answer.get("error"), answer.get("user_known")
        )
        for line, answer in answers
    ]
    _freeze_garbage_collector()
    return lines


@cache
def _freeze_garbage_collector() -> None:
    """Exclude all objects that exist now from garbage collection; only the first call does it.

    After the first piece the encoder and the index are loaded: some million objects that live as
    long as the process, and that every full collection would go through again. Freezing later would
    keep garbage as well, because frozen objects are never collected.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _open_view(root: str, url: str | None) -> Iterator[RequestView]:
    """Yield one state of the catalogue and the store."""
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
        llm_note = {} if body.pop("llm", None) is None else {"llm": UNUSED_IN_BATCH}
        return {"request_id": request_id, **_recommend(view, body), **llm_note}
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
    try:
        orjson.dumps(body["request_id"])
    except TypeError as error:
        raise RequestError(
            "request_id holds a whole number of more than 64 bits; write it in quotes"
        ) from error
    return body


def _recommend(view: RequestView, body: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    request = parse_request(
        {"explain": False, **body},
        max_history=MAX_HISTORY_BATCH,
        scenarios=view.catalogue.scenarios,
    )
    answer = recommend_to_user(view, request, now=now)
    return render_answer(answer, user_id=request.user_id, live_seq=view.sequence.seq)


def _open_text(path: Path, mode: str) -> IO[Any]:
    encoding = "utf-8-sig" if mode == "rt" else "utf-8"  # some editors write a byte order mark
    if path.suffix == ".gz":
        return gzip.open(path, mode, encoding=encoding)  # type: ignore[return-value]  # text mode
    return path.open(mode, encoding=encoding)
