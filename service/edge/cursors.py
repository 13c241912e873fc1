"""The place in a list to a signed token, and back. Stateless: any worker can read any token.

A token is HMAC-SHA256 over zlib over JSON, in URL-safe Base64. It is signed, not encrypted: it
holds nothing that was not in the request or its answers.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson

from indexer import Answer
from service.edge.problems import Problem
from service.settings import SettingsError

MAX_TOKEN_CHARS = 100_000  # characters
SECRET_VARIABLE = "ZHIYIN_SECRET"
SEVERAL_SNAPSHOTS = "several"
_MIN_SECRET_CHARS = 16
_SIGNATURE_DOMAIN = b"zhiyin cursor 1\0"
_DIGEST_BYTES = hashlib.sha256().digest_size


class ListKind(StrEnum):
    """Which call a cursor continues."""

    RECOMMEND = "recommend"
    SEARCH = "search"
    SIMILAR = "similar"
    ITEMS = "items"
    TRENDING = "trending"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a list continues.

    Attributes:
        kind: The call it came from.
        body: What was asked, to score and explain later pages alike.
        moment: The present of the first page, Unix seconds: later pages see the same.
        offset: How many hits the pages so far had.
        snapshot: Where all pages so far came from, or `SEVERAL_SNAPSHOTS`; None: there was no page yet.
        rest: All that is left, best first; None if it is more than a window.
        served: All that was shown, if `rest` is None and it fits into a token.
        after: The last id shown by a listing.
        settled: Whether `rest` is in an order that no score gave it.
        read: What a language model read out of the first request: fields of a body, and `ideal`.
    """

    kind: ListKind
    body: Mapping[str, Any]
    moment: float = 0.0
    offset: int = 0
    snapshot: str | None = None
    rest: tuple[str, ...] | None = None
    served: tuple[str, ...] | None = None
    after: str | None = None
    settled: bool | None = None
    read: Mapping[str, Any] | None = None


class CursorSigner:
    """Writes and reads tokens."""

    def __init__(self, secret: str, *, lifetime_s: float, clock: Callable[[], float]) -> None:
        self._secret = secret.encode()
        self._lifetime_s = lifetime_s
        self._clock = clock

    def sign(self, cursor: Cursor) -> str | None:
        """Return a token, or None if it would be longer than `MAX_TOKEN_CHARS`."""
        field_values = ((part.name, getattr(cursor, part.name)) for part in fields(cursor))
        payload = {name: value for name, value in field_values if value is not None}
        content = zlib.compress(orjson.dumps({**payload, "issued_at": int(self._clock())}))
        token = _encode(self._compute_signature(content) + content)
        return token if len(token) <= MAX_TOKEN_CHARS else None

    def read(self, token: str, kind: ListKind) -> Cursor:
        """Return what a token says.

        Raises:
            Problem: 400 if this service did not write it, or not for this call; 410 if it is old.
        """
        payload = orjson.loads(zlib.decompress(self._verify(token)))
        if payload.pop("issued_at") + self._lifetime_s < self._clock():
            raise Problem(
                HTTPStatus.GONE,
                f"the cursor is older than {self._lifetime_s / 60:g} minutes and has expired; "
                f"ask again without cursor",
            )
        if payload["kind"] != kind:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                f"the cursor came from a {payload['kind']} call and does not fit a {kind} call; "
                f"send it where it came from",
            )
        ids = {name: tuple(payload[name]) for name in ("rest", "served") if name in payload}
        return Cursor(**{**payload, **ids, "kind": kind})

    def _verify(self, token: str) -> bytes:
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"==")
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        signature, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        is_genuine = hmac.compare_digest(signature, self._compute_signature(content))
        # Several texts decode to the same bytes; only the one we wrote is ours. Decompressing is
        # safe only after the signature was checked.
        if not is_genuine or _encode(raw) != token:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "the cursor was not written by this service or was changed; send next_cursor as it "
                "came, or ask again without cursor",
            )
        return content

    def _compute_signature(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, _SIGNATURE_DOMAIN + content, "sha256")


def build_continuations(cursor: Cursor, answer: Answer) -> Iterator[Cursor]:
    """Yield what the next page may need to know, the best first: the first that fits is used."""
    left = answer.complete["eligible"] - len(answer)
    if left <= 0 or answer.reading is not None:
        return
    ids = [hit.id for hit in answer]
    next_cursor = replace(
        cursor,
        offset=cursor.offset + len(ids),
        snapshot=answer.snapshot
        if cursor.snapshot in (None, answer.snapshot)
        else SEVERAL_SNAPSHOTS,
        rest=None,
        served=None,
    )
    if len(answer.following) == left:
        yield replace(next_cursor, rest=answer.following)
    if cursor.served is not None:
        yield replace(next_cursor, served=(*cursor.served, *ids))
    # Exploration shows what ranks further down: counting ranks would repeat it.
    explores = bool(cursor.body.get("explore"))
    if cursor.rest is None and next_cursor.snapshot == answer.snapshot and not explores:
        yield next_cursor


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def find_default_secret_file(environment: Mapping[str, str]) -> Path:
    """Return where the secret lives if nothing else is said: `$XDG_STATE_HOME/zhiyin/secret`."""
    state = environment.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "zhiyin" / "secret"


def load_secret(file: Path | None, environment: Mapping[str, str]) -> str:
    """Return the secret of `$ZHIYIN_SECRET`, or that of a file, which is made if absent.

    Services that share cursors (replicas, or one before and after a move) need the same secret.

    Raises:
        SettingsError: If the secret is short, or the file can be neither read nor made.
    """
    if SECRET_VARIABLE in environment:
        return _check_secret(environment[SECRET_VARIABLE], f"${SECRET_VARIABLE}")
    path = file or find_default_secret_file(environment)
    try:
        if not path.exists():
            _create_secret(path)
        return _check_secret(path.read_text(encoding="utf-8").strip(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the secret that signs cursors cannot be kept in {path} ({error}); set "
            f"{SECRET_VARIABLE} instead"
        ) from error


def _create_secret(path: Path) -> None:
    """Whole or not at all, and once: of several processes starting together one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        pass  # another process was first: its secret counts
    finally:
        temporary.unlink()


def _check_secret(secret: str, source: str) -> str:
    if len(secret) < _MIN_SECRET_CHARS:
        raise SettingsError(
            f"the secret in {source} has {len(secret)} characters; use {_MIN_SECRET_CHARS} or more"
        )
    return secret
