"""Thousands of bodies made from the OpenAPI document: none breaks the service, and it is accurate.

Schemathesis sends what the document allows and what it forbids, to a real server.
"""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from service import Settings, create_app
from tests.service.conftest import Shop, wait_until

pytestmark = pytest.mark.slow

KEY = "an admin key of the tests"
# For each route, beside the edges of every field.
EXAMPLES = {"with a store": 20, "without a store": 5, "with keys": 5}
# A schema cannot say which ids, fields and scenarios there are: what it allows may be refused. And
# a user may be called "merge", so that path takes more methods than the document tells.
LEFT_OUT = "positive_data_acceptance,allow_header_conformance"


@contextmanager
def listening(settings: Settings, shop: Shop) -> Iterator[str]:
    """The service at a free port of this process."""
    app = create_app(settings, shop.encoder)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            http="service.edge.connection:Connection",
            log_level="critical",
            lifespan="on",
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started and app.state.services.active_index.status.snapshot)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def faults(address: str, folder: Path, *options: str, examples: int) -> str:
    """What schemathesis finds; nothing if all is well."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json",
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", "1",
        "--checks", "all", "--exclude-checks", LEFT_OUT,
        "--continue-on-failure", "--no-color", "--warnings", "off", *options,
    ]  # fmt: skip
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout[-20_000:] + ran.stderr[-2_000:]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_nothing_that_the_document_allows_or_forbids_breaks_the_service(
    own_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    chosen: dict[str, Any] = {"secret_file": tmp_path / "secret"}
    options: list[str] = []
    if kind == "without a store":
        monkeypatch.setattr("service.live.live_store.os.access", lambda *_: False)
    if kind == "with keys":
        chosen["api_key_file"] = tmp_path / "keys"
        chosen["api_key_file"].write_text(f"admin:{hashlib.sha256(KEY.encode()).hexdigest()}\n")
        options += ["--header", f"Authorization: Bearer {KEY}"]
    with listening(Settings(own_shop.root, **chosen), own_shop) as address:
        assert faults(address, tmp_path, *options, examples=EXAMPLES[kind]) == ""
