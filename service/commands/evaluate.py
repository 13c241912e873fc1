"""Evaluate recommendations on your own data, against what you would run otherwise.

Question: given all that a user did before a moment, how high is the item ranked that they then
picked, among the whole catalogue? Interactions are cut by time: the oldest 80% to fit on, then 10%
to tune peers on, the newest 10% to ask about. Every peer is tuned, fitted again on all that came
before, and asked once; intervals resample whole users. Writes evaluation.json and evaluation.html.

Examples:
  zhiyin evaluate --catalog items.jsonl --interactions events.csv
  zhiyin evaluate --catalog items.jsonl --interactions events.csv --index data/index --json
  zhiyin evaluate --catalog items.jsonl --interactions events.csv --llm http://127.0.0.1:8090/v1
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from service.commands.console import (
    Parser,
    Progress,
    add_catalogue_fields,
    add_interactions,
    as_option,
    parse_columns,
    parse_rating_scale,
)

if TYPE_CHECKING:  # loaded by `run` alone, so that --help is quick
    from indexer.evaluation import EvaluationPlan
    from service.jobs import LlmMeasurement

_LIST_LENGTH = 50  # of the lists of an evaluation
_PARTS = ("test", "valid")
_REPEATS = {"auto": None, "yes": True, "no": False}


def add_arguments(parser: Parser) -> None:
    """Add the options of an evaluation."""
    _add_data(parser)
    _add_protocol(parser)
    _add_language_model(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write and print."""
    from indexer.evaluation import evaluate

    plan = _read_plan(arguments)
    with Progress() as progress:
        extra = {} if arguments.llm is None else {"llm": _measure_llm(arguments, progress)}
        evaluation = evaluate(plan, report=progress, extra=extra)
    _write(evaluation, Path(arguments.out))
    print(
        json.dumps(evaluation, ensure_ascii=False)
        if arguments.json
        else _describe(evaluation, arguments.out)
    )
    return 0


def _read_plan(arguments: argparse.Namespace) -> "EvaluationPlan":
    """Return what is evaluated."""
    from indexer.evaluation import LEAKING_FIELDS, MAX_CASES, EvaluationPlan, Part
    from indexer.reading import ValueKind

    return EvaluationPlan(
        catalog=arguments.catalog,
        interactions=arguments.interactions,
        peers=arguments.peers,
        part=Part.TEST if arguments.part == "test" else Part.VALID,
        index=arguments.index,
        model=arguments.model,
        query=arguments.query,
        fields=arguments.fields,
        interactions_query=arguments.interactions_query,
        interaction_fields=arguments.interaction_fields,
        context=arguments.context,
        event=arguments.event,
        value_kind=ValueKind(arguments.value_is) if arguments.value_is else None,
        rating_scale=arguments.rating_scale,
        repeats=_REPEATS[arguments.repeats],
        drop=LEAKING_FIELDS if arguments.drop is None else arguments.drop,
        max_cases=MAX_CASES if arguments.cases is None else arguments.cases,
        seed=arguments.seed,
    )


def _write(evaluation: dict[str, Any], out: Path) -> None:
    """Write the evaluation as JSON and as a page."""
    from indexer.evaluation import render_evaluation_page

    out.mkdir(parents=True, exist_ok=True)
    line = json.dumps(evaluation, ensure_ascii=False)
    (out / "evaluation.json").write_text(line + "\n", encoding="utf-8")
    (out / "evaluation.html").write_text(render_evaluation_page(evaluation), encoding="utf-8")


def _describe(evaluation: dict[str, Any], out: str) -> str:
    from indexer.evaluation import render_text

    lines = [render_text(evaluation)]
    if "llm" in evaluation:
        from service.jobs import render_llm_figures

        lines += render_llm_figures(evaluation["llm"])
    return "\n".join([*lines, str(Path(out) / "evaluation.html")])


def _measure_llm(arguments: argparse.Namespace, progress: Progress) -> "LlmMeasurement":
    from service.jobs import LlmMeasurement
    from service.llm import MODEL_VARIABLE, URL_VARIABLE, LlmConfig

    variables = {URL_VARIABLE: arguments.llm, MODEL_VARIABLE: arguments.llm_model}
    config = LlmConfig.from_environment({**os.environ, **variables})
    candidates = arguments.llm_candidates
    if config is None or arguments.llm_cases < 1 or not 2 <= candidates <= _LIST_LENGTH:
        refuse: Callable[[str], NoReturn] = arguments.refuse
        refuse(
            f"--llm needs an address, --llm-cases at least 1, --llm-candidates 2 to {_LIST_LENGTH}"
        )
    return LlmMeasurement(config, arguments.llm_cases, candidates, progress)


def _parse_peers(text: str) -> tuple[str, ...]:
    from indexer.evaluation import parse_peer_names

    return as_option(parse_peer_names)(text)


def _add_data(parser: Parser) -> None:
    """Add what is evaluated."""
    add = parser.add_argument
    add("--catalog", action="append", required=True, metavar="FILE|URL", help="may be repeated")
    add("--query", help="SELECT statement or table name for a SQLAlchemy URL")
    add_catalogue_fields(parser)
    add_interactions(parser, is_alone=False)
    add("--rating-scale", type=parse_rating_scale, metavar="LOW-HIGH", help="default: inferred")
    add("--index", metavar="DIR", help="take the encoded vectors and scenarios of it")
    add("--model", metavar="NAME|DIR", help="encoder; 'none' if every row has a vector")
    add("--out", default="evaluation", metavar="DIR", help="for the two files (./evaluation)")


def _add_protocol(parser: Parser) -> None:
    """Add what is asked, and what it is compared with."""
    add = parser.add_argument
    add(
        "--peers",
        type=_parse_peers,
        default="fast",
        metavar="fast|all|NAME,…",
        help="what to compare with; all adds SASRec, which is slow (default fast)",
    )
    add("--part", choices=_PARTS, default="test", help="valid while you are still choosing")
    add("--cases", type=int, metavar="N", help="asked at most (default 3000)")
    add("--repeats", choices=tuple(_REPEATS), default="auto", help="may a known item come again?")
    add(
        "--drop",
        type=parse_columns,
        metavar="FIELD,…",
        help="item fields that only later knowledge could fill (default: well-known averages)",
    )
    add("--seed", type=int, default=0, help="of what peers draw (default 0)")
    add("--json", action="store_true", help="print the evaluation as one line of JSON")


def _add_language_model(parser: Parser) -> None:
    """Add what measures a language model's parts."""
    add = parser.add_argument
    add("--llm", metavar="URL", help="also measure a language model's parts on new users")
    add("--llm-model", default="default", metavar="NAME", help="as the endpoint calls it")
    add("--llm-cases", type=int, default=100, metavar="N", help="asked at most (default 100)")
    add("--llm-candidates", type=int, default=20, metavar="N", help="re-ranked (default 20)")
