"""How all tests run: properties are seeded, a busy machine is no failure, PostgreSQL is real."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from typing_extensions import override
from xdist.scheduler import LoadFileScheduling

from tests.postgres import empty_database, postgres_server

settings.register_profile(
    "zhiyin",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=int(os.environ.get("ZHIYIN_EXAMPLES", "40")),  # CI asks for more
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("zhiyin")

# These load torch, which takes ten seconds: they share one process.
_LOAD_TORCH = {
    "test_encoder.py",
    "test_encoder_tuning.py",
    "test_peers.py",
    "test_readme.py",
    "test_seed_example.py",
}


class _FileScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Keeps a file's tests, and all that load a language model, in one process of many.

    Written out, as the marks of `--dist loadgroup` have no effect with pytest 9.2.
    """

    @override
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "torch" if Path(file).name in _LOAD_TORCH else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Return what deals the tests out to the processes."""
    return _FileScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need PostgreSQL as slow: CI runs them."""
    for item in items:
        if _needs_postgres(item):
            item.add_marker(pytest.mark.slow)


def _needs_postgres(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)  # of a parametrised test
    values = callspec.params.values() if callspec else ()
    return "postgres_url" in getattr(item, "fixturenames", ()) or any(
        isinstance(value, str) and value == "postgresql" for value in values
    )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[sa.URL]:
    """A running server; it starts with the first test that asks."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres(postgres_url: sa.URL) -> Iterator[str]:
    """The URL of an empty database."""
    with empty_database(postgres_url) as url:
        yield url
