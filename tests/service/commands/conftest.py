"""An empty live store, and what imports a file of interactions into it."""

from pathlib import Path
from typing import Any

import pytest

from service.jobs.import_events import ImportPlan, ImportSummary, import_interactions

SECRET = "a secret of the tests"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a live store that is not made yet."""
    return f"sqlite:///{tmp_path / 'live.sqlite'}"


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret by which erased users are recognised is the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("ZHIYIN_SECRET", SECRET)


def import_text(folder: Path, url: str, text: str, **chosen: Any) -> ImportSummary:
    """Import interactions in CSV, beside the index directory of a folder."""
    file = folder / "events.csv"
    file.write_text(text, encoding="utf-8")
    return import_file(folder, url, file, **chosen)


def import_file(folder: Path, url: str, file: Path, **chosen: Any) -> ImportSummary:
    """Import a file of interactions, beside the index directory of a folder."""
    chosen = {"root": folder / "index", **chosen}
    return import_interactions(ImportPlan(str(file), url, **chosen), report=lambda *_: None)
