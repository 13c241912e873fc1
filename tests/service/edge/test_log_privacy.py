"""What the log says of a call that fails, which may be about a user."""

import pytest

from indexer import SnapshotError
from service.store.users import UserStore
from tests.service.conftest import Serve, Shop, problem


def test_a_failed_call_is_logged_without_the_user(
    own_shop: Shop,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise SnapshotError("a file of the snapshot cannot be read")

    monkeypatch.setattr(UserStore, "erase_rows", fail)
    with serve(own_shop) as client:
        problem(client.delete("/v1/users/zq-secret-name"), 500)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("service")]
    assert any("/v1/users/{" in line and "failed" in line for line in said)
    assert not any("zq-secret-name" in line for line in said)
