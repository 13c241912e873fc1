"""Snapshots of every format there has been open for ever, and answer as on their first day."""

import json
from pathlib import Path

import pytest

from indexer import Index
from indexer.release.verification import verify_snapshot
from indexer.snapshot.manifest import FORMAT_VERSION
from tests.indexer.snapshot.golden.make import nearest

GOLDEN = Path(__file__).parent / "golden"
SNAPSHOTS = sorted(path.parent for path in GOLDEN.glob("format-*/*/CURRENT"))


def test_the_format_of_today_is_among_them() -> None:
    kept = {path.relative_to(GOLDEN).as_posix() for path in SNAPSHOTS}
    today = f"format-{FORMAT_VERSION}"
    assert {f"{today}/flat", f"{today}/pq"} <= kept


@pytest.mark.parametrize("root", SNAPSHOTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_golden_snapshot_opens_and_answers_as_on_its_first_day(root: Path) -> None:
    expected = json.loads((root / "expected.json").read_text("utf-8"))
    index = Index.open(root)
    assert index.get("g0007") == expected["item"]
    for request, answers in zip(expected["requests"], expected["answers"], strict=True):
        found = nearest(index, **request)
        assert [hit["id"] for hit in found] == [answer["id"] for answer in answers]
        assert [hit["score"] for hit in found] == pytest.approx(
            [answer["score"] for answer in answers], abs=2e-5
        )
    assert len(index.recommend(history=["g0003"], k=8)) == 8
    index.close()


@pytest.mark.parametrize("root", SNAPSHOTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_golden_snapshot_is_sound(root: Path) -> None:
    assert verify_snapshot(root) == []
