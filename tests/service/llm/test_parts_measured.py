"""service/jobs/llm_measurement.py: every part against none on new users, and what each costs."""

from typing import Any

import pytest

from indexer.evaluation.run import EvaluationPlan, evaluate
from service.jobs.llm_measurement import LlmMeasurement, render_llm_figures
from tests.fakes import WordEncoder
from tests.oracle import write_rows
from tests.service.llm.fake_endpoint import Reply, Script, endpoint, part_of
from tests.service.llm.scripts import obliging

ITEMS, OLD_USERS, NEW_USERS = 40, 25, 30
IN, SCORED_IN = 11, 13  # tokens that the fake endpoint counts for a prompt


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> EvaluationPlan:
    """Old users with eight picks each, then new ones with three."""
    root = tmp_path_factory.mktemp("log")
    catalogue = write_rows(
        root / "items.jsonl",
        [{"id": f"i{n}", "title": f"story {n} sea{n % 5} hill{n % 7}"} for n in range(ITEMS)],
    )
    picks = [(f"old{user}", user + 3 * step) for user in range(OLD_USERS) for step in range(8)]
    picks += [(f"new{user}", user + 7 * step) for user in range(NEW_USERS) for step in range(3)]
    rows = [
        f"{user},i{item % ITEMS},like,{1_700_000_000 + 60 * minute}"
        for minute, (user, item) in enumerate(picks)
    ]
    events = root / "events.csv"
    events.write_text("\n".join(["user_id,item_id,event,timestamp", *rows]) + "\n")
    return EvaluationPlan([str(catalogue)], str(events), ("popular",))


def measure(
    plan: EvaluationPlan, script: Script, cases: int = 8
) -> tuple[dict[str, Any], list[Any]]:
    """Return the figures, and the bodies that the endpoint received."""
    with endpoint(script) as running:
        measurer = LlmMeasurement(running.config, cases, 5, lambda *_: None)
        figures = evaluate(plan, encoder=WordEncoder(dim=32), extra={"llm": measurer})
    return figures["llm"], running.calls


def test_every_part_is_measured_against_none_at_its_whole_cost(plan: EvaluationPlan) -> None:
    figures, calls = measure(plan, obliging)
    parts = figures["parts"]
    assert list(parts) == [
        "none", "generate", "rerank", "rerank_likelihood", "generate+rerank", "explain",
    ]  # fmt: skip
    assert figures["cases"] == 8 < figures["of"]
    assert (parts["none"]["used"], parts["none"]["tokens_in"]) == (0, 0)
    requests = [part_of(call) for call in calls]
    # What a part before it has asked is asked, and paid for, again: half of these are not cached.
    assert requests.count("generate") * IN == 2 * parts["generate"]["tokens_in"] > 0
    assert parts["generate+rerank"]["tokens_in"] > parts["generate"]["tokens_in"]
    scored = requests.count("likelihood")
    assert sum(part["tokens_in"] for part in parts.values()) == (
        (len(requests) - scored) * IN + scored * SCORED_IN
    )
    for name in ("generate", "rerank", "rerank_likelihood", "generate+rerank"):
        low, high = parts[name]["versus_none"]["difference95"]
        assert low <= parts[name]["versus_none"]["difference"] <= high
    assert "ndcg10" not in parts["explain"]
    assert sum(parts["explain"]["sentences"].values()) == 3 * 8
    assert len(render_llm_figures(figures)) == 1 + len(parts)


def test_a_model_that_fails_changes_no_figure_and_counts_as_not_used(plan: EvaluationPlan) -> None:
    figures, _ = measure(plan, lambda body: Reply(status=500), cases=3)
    none = figures["parts"]["none"]
    for name in ("generate", "rerank", "rerank_likelihood", "generate+rerank"):
        part = figures["parts"][name]
        assert (part["used"], part["ndcg10"]) == (0, none["ndcg10"])
        assert part["versus_none"]["difference"] == 0
    assert set(figures["parts"]["explain"]["sentences"]) == {"template"}
