"""Where a service listens."""

import socket
from pathlib import Path
from typing import Any

import pytest

from service.jobs.server import _listen
from service.settings import Settings

_FOUND = {
    "127.0.0.1": (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    "::1": (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
}


@pytest.mark.parametrize("order", [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_a_name_of_both_kinds_is_listened_to_where_every_client_arrives(
    monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    """A browser that tries [::1] for localhost first goes on to 127.0.0.1 when it is refused."""

    def find(host: str, port: int, **_: Any) -> list[Any]:
        return [_FOUND[address] for address in order]

    monkeypatch.setattr(socket, "getaddrinfo", find)
    with _listen(Settings(Path("index"), host="localhost", port=0)) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
