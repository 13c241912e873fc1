"""How all tests run: properties are seeded, a busy machine is no failure, PostgreSQL is real."""

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

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
_LOAD_TORCH = ("test_peers.py", "test_encoder_tuning.py", "test_encoder.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests, and all that load a language model, in one process of many."""
    for item in items:
        loads_torch = item.get_closest_marker("model") or item.path.name in _LOAD_TORCH
        group = "model" if loads_torch else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


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
