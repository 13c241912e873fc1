"""A service whose language model is a scripted endpoint."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from fastapi.testclient import TestClient

from service import Settings, create_app
from service.llm.config import LlmConfig
from tests.service.conftest import LOCAL, Shop, wait_until
from tests.service.llm.fake_endpoint import Endpoint, Script, endpoint

FILM = {"history": [{"item_id": "r001", "event": "like"}]}


class Helped(Protocol):
    """Starts a service with a script for a language model."""

    def __call__(
        self, script: Script, **more: Any
    ) -> AbstractContextManager[tuple[TestClient, Endpoint]]: ...


@pytest.fixture
def helped(own_shop: Shop, secret_file: Path) -> Helped:
    @contextmanager
    def started(script: Script, **more: Any) -> Iterator[tuple[TestClient, Endpoint]]:
        with (
            endpoint(script) as running,
            served(own_shop, secret_file, more.get("llm", running.config)) as client,
        ):
            yield client, running

    return started


@contextmanager
def served(shop: Shop, secret_file: Path, llm: LlmConfig | None) -> Iterator[TestClient]:
    app = create_app(Settings(shop.root, secret_file=secret_file), shop.encoder, llm=llm)
    with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield client
