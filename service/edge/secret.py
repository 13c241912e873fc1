"""Environment or file to the secret of a service, which is created on first use.

The secret signs cursors, keys the hashes of erased users and retracted ids, and encrypts the kept
vectors of texts. Everything that writes to a live store needs the one of its service.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from service.settings import SettingsError

SECRET_VARIABLE = "ZHIYIN_SECRET"
_MIN_SECRET_CHARS = 16


def load_secret(file: Path | None, environment: Mapping[str, str]) -> str:
    """Return the secret of `$ZHIYIN_SECRET`, or else that of a file, created if it is missing.

    What works with one live store needs the same secret: with another one nobody can tell who was
    erased and which ids were retracted. So do services that read each other's cursors.

    Args:
        file: Where the secret is kept; None: `find_default_secret_file`.
        environment: The environment variables.

    Raises:
        SettingsError: If the secret is too short, or the file can be neither read nor created.
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
            f"the secret of the service cannot be kept in {path} ({error}); set "
            f"{SECRET_VARIABLE} instead"
        ) from error


def find_default_secret_file(environment: Mapping[str, str]) -> Path:
    """Return `$XDG_STATE_HOME/zhiyin/secret`, or the same under `~/.local/state`."""
    state = environment.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "zhiyin" / "secret"


def _create_secret(path: Path) -> None:
    """Write a random secret under a temporary name, then link it into place.

    So nobody reads half a secret, and of several processes that start together one wins.
    """
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
