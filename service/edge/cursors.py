"""A place in a list to a signed token, and back.

A token is the URL-safe Base64 of a signature (the first half of an HMAC-SHA256), the length of the
cursor as JSON, that JSON (compressed with zlib if it is long), and which items were served.
Tokens are stateless: any worker that knows the secret can read any of them.
They are signed, not encrypted: a token holds nothing that was not in the request or its answers.
"""

import base64
import binascii
import hmac
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import orjson

from service.edge.problems import Problem

MAX_TOKEN_CHARS = 100_000
_SIGNATURE_DOMAIN = b"zhiyin cursor 2\0"
_SIGNATURE_BYTES = 16  # a forgery is found after 2**127 tries
_LENGTH_BYTES = 3
_LONG_BYTES = 150  # zlib makes no shorter JSON smaller by much


class ListKind(StrEnum):
    """The call that a cursor continues."""

    RECOMMEND = "recommend"
    SEARCH = "search"
    SIMILAR = "similar"
    ITEMS = "items"
    TRENDING = "trending"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a list continues. The names of the fields are the keys of the JSON in a token.

    Attributes:
        kind: The call that the list came from.
        body: The fields of the request; later pages are scored and explained by the same.
        moment: Time of the first page, Unix seconds; later pages are ranked as of this time.
        offset: Number of hits on the pages so far.
        snapshot: The snapshot that all pages so far came from, or `SEVERAL_SNAPSHOTS` of
            `service.answering.cursors`; None: there was no page yet.
        rest: All ids that are left, best first, if a language model has ordered them.
        served: Which items were returned so far, see `service.answering.served_items`; None if
            `rest` says more, or they do not fit into a token.
        after: The last id that a listing returned.
        settled: Whether a language model ordered `rest`, so that later pages keep its order.
        read: What a language model added to the first request: fields of a body, and `ideal`.
    """

    kind: ListKind
    body: Mapping[str, Any]
    moment: float = 0.0
    offset: int = 0
    snapshot: str | None = None
    rest: tuple[str, ...] | None = None
    served: bytes | None = None
    after: str | None = None
    settled: bool | None = None
    read: Mapping[str, Any] | None = None


_JSON_FIELDS = tuple(part.name for part in fields(Cursor) if part.name != "served")


class CursorSigner:
    """Writes and reads tokens.

    Args:
        secret: Key of the signatures.
        lifetime_s: A token older than this is refused.
        clock: Returns the time, Unix seconds.
    """

    def __init__(self, secret: str, *, lifetime_s: float, clock: Callable[[], float]) -> None:
        self._secret = secret.encode()
        self._lifetime_s = lifetime_s
        self._clock = clock

    def sign(self, cursor: Cursor) -> str | None:
        """Return a token, or None if it would be longer than `MAX_TOKEN_CHARS`."""
        payload = {"issued_at": int(self._clock())}
        for name in _JSON_FIELDS:
            if (value := getattr(cursor, name)) is not None:
                payload[name] = value
        packed = orjson.dumps(payload)
        if len(packed) > _LONG_BYTES:
            packed = zlib.compress(packed)
        length = len(packed).to_bytes(_LENGTH_BYTES, "big")
        content = b"".join([length, packed, b"" if cursor.served is None else cursor.served])
        token = _encode(self._compute_signature(content) + content)
        return token if len(token) <= MAX_TOKEN_CHARS else None

    def read(self, token: str, kind: ListKind) -> Cursor:
        """Return the cursor that a token holds.

        Raises:
            Problem: 400 if this service did not write it, or for another call; 410 if it expired.
        """
        content = self._verify(token)
        end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "big")
        packed, served = content[_LENGTH_BYTES:end], content[end:]
        payload = orjson.loads(packed if packed[:1] == b"{" else zlib.decompress(packed))
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
        ids = {name: tuple(payload[name]) for name in ("rest",) if name in payload}
        return Cursor(**{**payload, **ids, "kind": kind, "served": served or None})

    def _verify(self, token: str) -> bytes:
        """Return the compressed content of a token whose signature is right."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii") + b"==")
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        is_genuine = hmac.compare_digest(signature, self._compute_signature(content))
        # Several texts decode to the same bytes; only the one that was issued is accepted.
        # The content may be decompressed only now that the signature was checked.
        if not is_genuine or _encode(raw) != token:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "the cursor was not written by this service or was changed; send next_cursor as it "
                "came, or ask again without cursor",
            )
        return content

    def _compute_signature(self, content: bytes) -> bytes:
        digest = hmac.digest(self._secret, _SIGNATURE_DOMAIN + content, "sha256")
        return digest[:_SIGNATURE_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
