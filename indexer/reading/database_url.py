"""A database URL as people write it to one that names an installed driver."""

from importlib.util import find_spec

from sqlalchemy import URL, make_url

_POSTGRES = ("postgres", "postgresql")


def parse_url(address: str) -> URL:
    """Parse a URL; PostgreSQL without a driver gets psycopg, unless only psycopg2 is there.

    Raises:
        ArgumentError: If it is none.
    """
    url = make_url(address)
    if url.drivername not in _POSTGRES:
        return url
    has_only_psycopg2 = find_spec("psycopg") is None and find_spec("psycopg2") is not None
    return url.set(drivername="postgresql+psycopg2" if has_only_psycopg2 else "postgresql+psycopg")


def explain_missing_driver(error: ImportError) -> str:
    """Return what is missing and how to install it, as the end of a sentence."""
    package = {"psycopg": '"psycopg[binary]"', "MySQLdb": "mysqlclient"}.get(error.name or "")
    return f"needs the driver {error.name!r}; install it with `pip install {package or error.name}`"
