"""When items arrive: by their dates, between snapshots and live, and what that gains them."""

import csv
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, build_index
from indexer.live import LiveCatalogue, LiveItem
from indexer.snapshot import read_arrivals
from tests.fakes import WordEncoder
from tests.oracle import write_rows

DAY = 86_400.0
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
WORDS = ["sea", "ghost", "robot", "garden", "jazz", "train", "winter", "river", "lamp", "clock"]


def rows_of(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        {"id": f"i{n:03d}", "title": " ".join(rng.choice(WORDS, 3)), "pages": int(n)}
        for n in range(count)
    ]


def write_picks(path: Path, item_ids: list[str]) -> Path:
    """Write 3,000 purchases of 150 users, the first items picked most, over a hundred days."""
    rng = np.random.default_rng(1)
    popularity = 1 / np.arange(1, len(item_ids) + 1)
    picked = rng.choice(len(item_ids), 3_000, p=popularity / popularity.sum())
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event", "timestamp"])
        for n, item in enumerate(picked.tolist()):
            at = FIRST_DAY + n / 30 * DAY
            writer.writerow([f"u{rng.integers(150)}", item_ids[item], "purchase", at])
    return path


def build(
    folder: Path, rows: list[dict[str, Any]], picks: Path | None = None, **options: Any
) -> Path:
    source = write_rows(folder / "items.jsonl", rows)
    if picks:
        options["interactions"] = str(picks)
    build_index(source, folder / "index", encoder=WordEncoder(dim=32), force=True, **options)
    return folder / "index"


def read_own(root: Path) -> dict[str, float]:
    with closing(Index.open(root, encoder=WordEncoder(dim=32))) as index:
        return dict(
            zip(index.ids(range(index.count)), read_arrivals(index.path, index.count), strict=True)
        )


@pytest.mark.parametrize(
    ("field", "value", "arrived"),
    [
        ("created_at", "2026-04-05", datetime(2026, 4, 5, tzinfo=UTC).timestamp()),
        ("published", "2026-04", datetime(2026, 4, 1, tzinfo=UTC).timestamp()),
        ("year", 1995, datetime(1995, 1, 1, tzinfo=UTC).timestamp()),
        ("year", 12, np.nan),
        ("released", 2024, datetime(2024, 1, 1, tzinfo=UTC).timestamp()),
        ("created_at", 1_775_347_200, 1_775_347_200.0),
        ("pages", 1995, np.nan),
    ],
)
def test_an_item_arrives_at_its_date(
    tmp_path: Path, field: str, value: object, arrived: float
) -> None:
    rows = rows_of(5)
    rows[2][field] = value
    arrivals = read_own(build(tmp_path, rows))
    assert arrivals.pop("i002") == pytest.approx(arrived, nan_ok=True)
    assert np.isnan([*arrivals.values()]).all()


def test_what_the_last_snapshot_did_not_hold_arrived_with_the_new_one(tmp_path: Path) -> None:
    rows = rows_of(8)
    before = datetime.now(UTC).timestamp()
    assert np.isnan([*read_own(build(tmp_path, rows[:6])).values()]).all()
    second = read_own(build(tmp_path, rows[:7]))
    assert before <= second["i006"] <= datetime.now(UTC).timestamp()
    third = read_own(build(tmp_path, rows))
    assert third["i006"] == second["i006"] < third["i007"]
    assert np.isnan([third[f"i{n:03d}"] for n in range(6)]).all()
    others = [{**row, "id": f"other{n}"} for n, row in enumerate(rows)]
    assert np.isnan([*read_own(build(tmp_path, others)).values()]).all()  # another catalogue


def test_a_date_to_come_is_none_and_what_is_added_later_arrives_then_whatever_its_year(
    tmp_path: Path,
) -> None:
    rows = rows_of(6)
    rows[0]["created_at"] = "2999-01-01"
    rows[1]["year"] = 1950
    first = read_own(build(tmp_path, rows))
    assert np.isnan(first["i000"])
    assert first["i001"] == datetime(1950, 1, 1, tzinfo=UTC).timestamp()
    before = datetime.now(UTC).timestamp()
    more = [*rows, {"id": "old", "title": "sea", "year": 1960}]
    second = read_own(build(tmp_path, more))
    assert second["old"] >= before  # new in the catalogue, if not in the world
    assert second["i001"] == first["i001"]


def test_where_popularity_helps_nobody_with_a_history_it_still_orders_the_list_for_nobody(
    tmp_path: Path,
) -> None:
    rows = rows_of(30)
    path = tmp_path / "picks.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "event"])
        for item, count in (("i007", 3), ("i021", 2), ("i003", 1)):
            writer.writerows([f"u{n}", item, "purchase"] for n in range(count))
    root = build(tmp_path, rows, path)
    with closing(Index.open(root, encoder=WordEncoder(dim=32))) as index:
        assert index.taste is not None
        assert not index.taste.has_prior  # six picks prove nothing
        answer = index.recommend(k=4)
        assert [hit.id for hit in answer][:3] == ["i007", "i021", "i003"]
        assert [reason["kind"] for reason in answer[0].reasons] == ["popularity"]
        assert answer[3].score == pytest.approx(0, abs=1e-6)
        liked = index.recommend(history=["i000"], k=30)
        assert all(r["kind"] != "popularity" for hit in liked for r in hit.reasons)


def test_only_what_arrived_lately_gains_by_it_and_says_so(tmp_path: Path) -> None:
    rows = rows_of(60)
    picks = write_picks(tmp_path / "picks.csv", [row["id"] for row in rows[:50]])
    dates = {55: "2020-01-01", 56: "2026-04-09", 57: "2026-04-09"}
    for n, date in dates.items():
        rows[n]["created_at"] = date
    root = build(tmp_path, rows, picks)
    with closing(Index.open(root, encoder=WordEncoder(dim=32))) as index:
        assert index.taste is not None
        assert index.taste.has_prior
        answer = index.recommend(k=60)
        gains = {
            hit.id: {reason["kind"]: reason["share"] for reason in hit.reasons} for hit in answer
        }
        for hit in answer:
            assert sum(gains[hit.id].values()) == pytest.approx(hit.score, abs=1e-4)
        never_picked = [f"i{n:03d}" for n in range(50, 60)]
        new = {i for i in never_picked if "new" in gains[i]}
        assert new == {"i056", "i057"}
        assert all(
            gains[i].get("popularity", 0) == pytest.approx(0, abs=1e-5) for i in never_picked
        )
        assert gains["i056"]["new"] > 0
        assert [*gains][-8:] == sorted({*never_picked} - new)  # what nobody picked comes last
        raw = WordEncoder(dim=32).encode_items(["sea ghost"])[0]
        late = LiveItem("late", {"id": "late", "title": "sea ghost"}, raw)
        live = LiveCatalogue(index).apply_changes([late])
        row = live.rows(["late"])["late"]
        layout = live.manifest.layout
        vector = live.item_vectors(np.array([row]))[0]
        assert vector[layout.prior_column] == vector[layout.part_column]
        assert vector[layout.prior_column] == pytest.approx(index.taste.arrival_prior)
        assert index.taste.arrival_prior > 0
