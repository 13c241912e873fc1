"""An API key file to the role of each key. Keys are stored as SHA-256, compared in constant time.

The file holds lines `role:sha256hex` (`#` starts a comment), or a JSON list of objects
`{"role": "read", "sha256": "…"}`. A key is any text; this prints its hash:

    printf %s "$KEY" | sha256sum

Role `read` may call what changes nothing, `write` also what changes data, `admin` also what
switches snapshots.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any

from service.edge.problems import Problem
from service.settings import SettingsError

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="zhiyin"'}
_FILE_HELP = "write lines such as read:<sha256 of the key in hexadecimal>"


class Role(IntEnum):
    """What a key may do; a higher role includes the lower ones."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The hashed keys of a file.

    Attributes:
        entries: SHA-256 digest and role of each key.
    """

    entries: Sequence[tuple[bytes, Role]]

    @classmethod
    def load(cls, path: Path) -> "ApiKeys":
        """Read a key file.

        Raises:
            SettingsError: If it cannot be read, a line is wrong, or it holds no key.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"key file {path} cannot be read ({error}); {_FILE_HELP}"
            ) from error
        entries = [_parse_entry(path, role, digest) for role, digest in _parse_pairs(path, text)]
        if not entries:
            raise SettingsError(f"key file {path} holds no key; {_FILE_HELP}")
        return cls(entries)

    def require_role(self, authorization: str | None, role: Role) -> None:
        """Check that the key of a request has at least some role.

        Args:
            authorization: The header of that name; None: there was none.
            role: The role that the call needs.

        Raises:
            Problem: 401 without a known key, 403 if its role is too low.
        """
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "an API key is needed; send the header Authorization: Bearer <key>",
                _CHALLENGE,
            )
        key_role = self._find_role(key.strip())
        if key_role is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "the API key is not known; check it", _CHALLENGE)
        if key_role < role:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"this needs a key of role {role.name.lower()}, yours has role "
                f"{key_role.name.lower()}; use another key",
            )

    def _find_role(self, key: str) -> Role | None:
        # ASGI servers decode header bytes as Latin-1, whatever encoding the client used.
        digest = hashlib.sha256(key.encode("latin-1", "replace")).digest()
        # All entries are compared, so that the time taken does not depend on which one matches.
        roles = [
            role for key_digest, role in self.entries if hmac.compare_digest(key_digest, digest)
        ]
        return max(roles, default=None)


def _parse_pairs(path: Path, text: str) -> Iterator[tuple[Any, Any]]:
    if text.lstrip().startswith(("[", "{")):
        yield from _parse_json_pairs(path, text)
        return
    for line in text.splitlines():
        content = line.partition("#")[0].strip()
        if content:
            role, _, digest = content.partition(":")
            yield role.strip(), digest.strip()


def _parse_json_pairs(path: Path, text: str) -> Iterator[tuple[Any, Any]]:
    try:
        for entry in json.loads(text):
            yield entry["role"], entry["sha256"]
    except (ValueError, LookupError, TypeError) as error:
        raise SettingsError(
            f'key file {path} is no JSON list of {{"role": …, "sha256": …}}; {_FILE_HELP}'
        ) from error


def _parse_entry(path: Path, role: Any, digest: Any) -> tuple[bytes, Role]:
    try:
        key_digest = bytes.fromhex(digest)
        if len(key_digest) == hashlib.sha256().digest_size:
            return key_digest, Role[role.upper()]
    except (ValueError, KeyError, AttributeError, TypeError):
        pass
    # The digest is not shown, since it may be the key itself, written there by mistake.
    raise SettingsError(
        f"key file {path} has an entry of role {str(role)[:20]!r} that is not one of read, write, "
        f"admin with 64 hexadecimal digits; {_FILE_HELP}"
    )
