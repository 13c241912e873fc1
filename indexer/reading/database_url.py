"""A database URL as people write it to a SQLAlchemy URL that names an installed driver."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # sqlalchemy is slow to import: only when a database is used
    from sqlalchemy import URL

_POSTGRES = ("postgres", "postgresql")


def parse_url(address: str) -> "URL":
    """Parse a URL; PostgreSQL without a driver gets psycopg, unless only psycopg2 is installed.

    Raises:
        ArgumentError: If the text is not a database URL.
    """
    from sqlalchemy import make_url

    url = make_url(address)
    if url.drivername not in _POSTGRES:
        return url
    has_only_psycopg2 = find_spec("psycopg") is None and find_spec("psycopg2") is not None
    return url.set(drivername="postgresql+psycopg2" if has_only_psycopg2 else "postgresql+psycopg")


def explain_missing_driver(error: ImportError) -> str:
    """Return which driver is missing and how to install it, as the end of a sentence."""
    package = {"psycopg": '"psycopg[binary]"', "MySQLdb": "mysqlclient"}.get(error.name or "")
    return f"needs the driver {error.name!r}; install it with `pip install {package or error.name}`"
