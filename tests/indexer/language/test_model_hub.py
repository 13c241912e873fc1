"""A model that is not on this machine, where nothing can be downloaded, is refused soon."""

import socket
from collections.abc import Iterator

import pytest

from indexer.errors import EncoderUnavailableError
from indexer.language import load_encoder
from indexer.language.model_hub import reaches_hub


@pytest.fixture
def silent_host() -> Iterator[str]:
    """Address of a server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_hub_that_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, silent_host: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", silent_host)
    assert not reaches_hub(patience_s=0.05)


def test_a_model_is_not_asked_for_where_no_hub_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    with pytest.raises(EncoderUnavailableError) as refusal:
        load_encoder("nosuch/model")
    assert f"it is not on this machine, and {address} cannot be reached" in str(refusal.value)
    assert "give --model a directory" in str(refusal.value)
