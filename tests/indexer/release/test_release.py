"""Builds over known worlds: what is worse is not published, and nothing has seen the answers."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Index, ReleaseError, build_index, snapshot
from indexer.reading.interaction import Interaction
from indexer.release import candidate_model
from indexer.release.candidate_model import CandidateModel
from indexer.taste import fit as fitting
from indexer.taste.events import Events
from indexer.taste.model import TasteModel
from indexer.taste.settings import TasteSettings
from tests.indexer.evaluation.worlds import write_world
from tests.indexer.taste.worlds import chains, compare_at_most
from tests.paths import SCRIPTS

ITEMS = 60
SCRIPT = SCRIPTS / "rebuild_index.py"
BY_TIME = sorted(chains(), key=lambda row: row.at or 0.0)


def build(root: Path, rows: Sequence[Interaction], **options: Any) -> dict[str, Any]:
    catalogue, events = write_world(root / "files", rows, ITEMS)
    build_index(catalogue, root / "index", model="none", interactions=str(events), **options)
    return release_of(root)


def release_of(root: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((live(root) / "report.json").read_text())["release"]
    return report


def live(root: Path) -> Path:
    return snapshot.find_snapshot(root / "index")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build(folder, BY_TIME)
    return folder


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A live snapshot of its own."""
    return Path(shutil.copytree(built, tmp_path / "root"))


def test_the_first_build_keeps_a_report(root: Path) -> None:
    report = release_of(root)
    assert report["decision"] == "published"
    assert "no live snapshot" in report["what"]
    assert "each compared with all 60 items" in report["what"]
    assert {"new", "popular", "popular_recent", "itemknn_decay"} == report["methods"].keys()
    assert (
        report["methods"]["new"]["all"]["ndcg10"]
        > 2 * report["methods"]["popular"]["all"]["ndcg10"]
    )
    assert [point["rows"] for point in report["learning_curve"]] == [0, 50, 500, 2160]
    assert report["learning_curve"][-1]["all"] > report["learning_curve"][0]["all"]
    assert 0 <= report["methods"]["new"]["popularity_bias"]["listed"] <= 1
    assert (
        sum(part["places"] for part in report["calibration"])
        == 10 * report["methods"]["new"]["all"]["cases"]
    )


def test_the_page_needs_nothing_but_itself(root: Path) -> None:
    page = (live(root) / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 5
    assert "Item-item" not in page
    assert "counts with weight" in page
    assert not re.search(r"(src|href)\s*=|url\(|@import|<script", page)


def test_report_and_page_are_checked_files_of_the_snapshot(root: Path) -> None:
    files = snapshot.read_manifest(live(root)).files
    assert {"report.json", "report.html"} <= files.keys()
    assert not any("holdout" in name for name in files)


def test_a_large_catalogue_has_no_learning_curve_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.release.report._MAX_CURVE_ITEMS", 59)
    report = build(tmp_path, BY_TIME)
    assert "learning_curve" not in report
    assert "is not computed for more than 59 items" in report["what"]
    assert report["methods"]["new"]["all"]["ndcg10"] > 0


@pytest.mark.slow
def test_the_same_again_is_as_good_and_published(root: Path) -> None:
    report = build(root, BY_TIME)
    assert report["compared"]["all"]["ratio"] == pytest.approx(1, abs=0.02)
    assert "fitted again" in report["what"]


@pytest.mark.slow
def test_learning_is_better_than_nothing_learned(tmp_path: Path) -> None:
    catalogue, _ = write_world(tmp_path / "files", BY_TIME, ITEMS)
    build_index(catalogue, tmp_path / "index", model="none")
    report = build(tmp_path, BY_TIME)
    assert "asked as it is" in report["what"]
    assert report["compared"]["all"]["ratio95"][0] > 1


@pytest.mark.slow
def test_what_came_after_the_live_snapshot_is_asked_of_it_as_it_is(tmp_path: Path) -> None:
    build(tmp_path, BY_TIME[:1900])
    report = build(tmp_path, BY_TIME)
    assert "learned from nothing of them" in report["what"]
    assert report["compared"]["all"]["ratio"] > 0.8


@pytest.mark.slow
def test_it_is_told_if_settings_were_tuned_on_a_sample_of_the_items(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_at_most(30, monkeypatch)
    report = build(tmp_path, BY_TIME)
    assert report["blocks"][0].startswith("Settings were tuned on ")
    assert " held-out picks, each compared with " in report["blocks"][0]
    assert report["blocks"][0] in (live(tmp_path) / "report.html").read_text(encoding="utf-8")
    found, expected = (one["methods"]["new"]["all"] for one in (report, release_of(root)))
    assert found["cases"] == expected["cases"]
    assert found["ndcg10"] == pytest.approx(expected["ndcg10"], abs=0.03)


def learn_nothing(
    rows: Sequence[Interaction], ids: Sequence[str], meaning: Any, **_: Any
) -> TasteModel:
    return fitting.refit_taste([], ids, meaning, settings=TasteSettings())


def spoil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "fit_taste", learn_nothing)
    monkeypatch.setattr(candidate_model, "fit_taste", learn_nothing)


def test_what_is_clearly_worse_is_not_published(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot.read_current_id(root / "index")
    spoil(monkeypatch)
    with pytest.raises(ReleaseError, match=r"all users is 0.*--force"):
        build(root, BY_TIME)
    assert snapshot.read_current_id(root / "index") == before
    assert snapshot.list_ids(root / "index") == [before]
    kept = root / "index" / "refused"
    report = json.loads((kept / "report.json").read_text())
    assert report["decision"] == "refused"
    assert report["reasons"]
    assert "Not published" in (kept / "report.html").read_text()
    Index.open(root / "index")


@pytest.mark.slow
def test_force_publishes_it_and_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch)
    report = build(root, BY_TIME, force=True)
    assert report["decision"] == "published"
    assert "although" in (live(root) / "report.html").read_text()


@pytest.mark.slow
def test_rows_whose_items_were_mixed_up_are_refused(root: Path) -> None:
    items = np.random.default_rng(0).permutation([row.item_id for row in BY_TIME])
    mixed = [replace(row, item_id=str(item)) for row, item in zip(BY_TIME, items, strict=True)]
    with pytest.raises(ReleaseError, match="does not know"):
        build(root, mixed)


def test_the_command_says_why_in_one_line_and_fails(root: Path) -> None:
    catalogue, events = write_world(root / "files", BY_TIME[-1000:], ITEMS)
    command = [
        sys.executable, str(SCRIPT), "--catalog", str(catalogue), "--interactions", str(events),
        "--out", str(root / "index"), "--model", "none",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "not published" in line
    assert "refused/report.html" in line
    assert subprocess.run([*command, "--force"], capture_output=True, check=False).returncode == 0


def test_only_the_newest_rows_instead_of_all_are_refused(root: Path) -> None:
    with pytest.raises(ReleaseError, match="give all interactions"):
        build(root, BY_TIME[-1000:])


@pytest.mark.slow
def test_no_model_has_seen_the_holdout_it_answers(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest: list[float] = []

    real = candidate_model.CandidateModel._build_events

    def watched(self: CandidateModel, rows: Sequence[Interaction]) -> Events:
        newest.append(max((row.at or 0.0 for row in rows), default=0.0))
        return real(self, rows)

    monkeypatch.setattr(candidate_model.CandidateModel, "_build_events", watched)
    report = build(root, BY_TIME)
    cut = BY_TIME[int(0.9 * len(BY_TIME))].at
    assert newest
    assert cut is not None
    assert max(newest) < cut
    assert report["learned_until"] == BY_TIME[-1].at


@pytest.mark.slow
def test_enough_rows_are_examined_with_settings_of_the_older_ones_without_tuning_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_model, "fit_taste", None)
    rows = sorted(chains(users=700), key=lambda row: row.at or 0.0)
    report = build(tmp_path, rows)
    assert report["methods"]["new"]["all"]["ndcg10"] > 0.5


@pytest.mark.slow
def test_since_last_keeps_what_was_tuned_and_learns_the_new_rows(tmp_path: Path) -> None:
    """A taste for i0 after i30 appears only in the last rows."""
    build(tmp_path, BY_TIME[:1900])
    before = TasteModel.load(live(tmp_path) / "taste")
    last = BY_TIME[-1].at or 0.0
    new = [
        Interaction(f"n{user}", item, "purchase", None, last + 2 * user + step, None, {})
        for user in range(120)
        for step, item in enumerate(("i30", "i0"))
    ]
    report = build(tmp_path, [*BY_TIME, *new], since="last")
    after = TasteModel.load(live(tmp_path) / "taste")
    assert after.settings == before.settings
    assert report["settings_kept"]
    assert "learning_curve" not in report
    assert after.report["tuned_from"] == 1900
    assert after.report["events"] == len(BY_TIME) + len(new)
    index = Index.open(tmp_path / "index")
    assert index.recommend(history=["i30"], k=1)[0].id == "i0"


@pytest.mark.slow
def test_twice_the_interactions_are_worth_tuning_anew(tmp_path: Path) -> None:
    build(tmp_path, BY_TIME[:1000])
    report = build(tmp_path, BY_TIME, since="last")
    assert not report["settings_kept"]


@pytest.mark.slow
def test_since_last_without_anything_learned_tunes(tmp_path: Path) -> None:
    catalogue, _ = write_world(tmp_path / "files", BY_TIME, ITEMS)
    build_index(catalogue, tmp_path / "index", model="none")
    assert not build(tmp_path, BY_TIME, since="last")["settings_kept"]


@pytest.mark.parametrize("damage", ["report.json", "taste/taste.json"])
@pytest.mark.slow
def test_since_last_tunes_where_there_is_nothing_to_go_on_from(root: Path, damage: str) -> None:
    (live(root) / damage).write_text("{}", encoding="utf-8")
    assert not build(root, BY_TIME[:2300], since="last", force=True)["settings_kept"]


@pytest.mark.slow
def test_without_times_the_order_of_rows_is_the_order(tmp_path: Path) -> None:
    report = build(tmp_path, [replace(row, at=None) for row in BY_TIME])
    assert report["learned_until"] is None
    assert report["methods"]["new"]["all"]["cases"] > 100


def test_too_few_interactions_are_no_reason_against(root: Path) -> None:
    report = build(root, BY_TIME[:50], force=True)
    assert "too few" in report["what"]


def test_without_examination_nothing_is_compared(root: Path) -> None:
    catalogue, events = write_world(root / "files", BY_TIME[:100], ITEMS)
    build_index(catalogue, root / "index", model="none", interactions=str(events), examine=False)
    assert release_of(root) is None


@pytest.mark.slow
def test_an_item_that_left_the_catalogue_does_not_keep_the_new_one_back(tmp_path: Path) -> None:
    build(tmp_path, BY_TIME)
    catalogue, events = write_world(tmp_path / "files", BY_TIME, ITEMS)
    listed = {row.item_id for row in BY_TIME[-200:]}
    rows = catalogue.read_text().splitlines(keepends=True)
    kept = [row for row in rows if json.loads(row)["id"] not in sorted(listed)[:5]]
    assert len(kept) == len(rows) - 5
    catalogue.write_text("".join(kept))
    build_index(catalogue, tmp_path / "index", model="none", interactions=str(events), force=True)
    assert release_of(tmp_path)["compared"]["all"]["ratio"] > 0
    assert len(Index.open(tmp_path / "index")) == len(rows) - 5
