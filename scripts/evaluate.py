#!/usr/bin/env python3
"""Evaluate recommendations on your own data, against what you would run otherwise.

Question: given all that a user did before a moment, how high is the item ranked that they then
picked, among the whole catalogue? Interactions are cut by time: the oldest 80% to fit on, then 10%
to tune peers on, the newest 10% to ask about. Every peer is tuned, fitted again on all that came
before, and asked once; intervals resample whole users. Writes evaluation.json and evaluation.html.

Examples:
  evaluate.py --catalog items.jsonl --interactions events.csv
  evaluate.py --catalog items.jsonl --interactions events.csv --index data/index --peers all --json
  evaluate.py --catalog items.jsonl --interactions events.csv --llm http://127.0.0.1:8090/v1
"""

import json
import os
import re
from argparse import Namespace
from pathlib import Path

from _cli import Bars, Parser, option, parser, run
from _llm_parts import Measurer, as_lines

from indexer.errors import CatalogError, RequestError
from indexer.evaluation import (
    LEAKING_FIELDS,
    MAX_CASES,
    EvaluationPlan,
    Part,
    evaluate,
    parse_peer_names,
    render_evaluation_page,
    render_text,
)
from indexer.reading import parse_mapping
from service.llm import MODEL_VARIABLE, URL_VARIABLE, LlmConfig

_LENGTH = 50  # of the lists of an evaluation
_PARTS = {"test": Part.TEST, "valid": Part.VALID}
_REPEATS = {"auto": None, "yes": True, "no": False}


def main() -> int:
    """Parse the command line, evaluate, write and print."""
    arguments = _arguments().parse_args()
    plan = EvaluationPlan(
        catalog=arguments.catalog,
        interactions=arguments.interactions,
        peers=arguments.peers,
        part=_PARTS[arguments.part],
        index=arguments.index,
        model=arguments.model,
        query=arguments.query,
        fields=arguments.fields,
        context=arguments.context,
        rating_scale=arguments.rating_scale,
        repeats=_REPEATS[arguments.repeats],
        drop=arguments.drop,
        most_cases=arguments.cases,
        seed=arguments.seed,
    )
    with Bars() as bars:
        beside = {} if arguments.llm is None else {"llm": _measurer(arguments, bars)}
        told = evaluate(plan, report=bars, extra=beside)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    line = json.dumps(told, ensure_ascii=False)
    (out / "evaluation.json").write_text(line + "\n", encoding="utf-8")
    (out / "evaluation.html").write_text(render_evaluation_page(told), encoding="utf-8")
    more = as_lines(told["llm"]) if "llm" in told else []
    text = "\n".join([render_text(told), *more, str(out / "evaluation.html")])
    print(line if arguments.json else text)
    return 0


def _measurer(arguments: Namespace, bars: Bars) -> Measurer:
    variables = {URL_VARIABLE: arguments.llm, MODEL_VARIABLE: arguments.llm_model}
    config = LlmConfig.from_environment({**os.environ, **variables})
    if config is None or arguments.llm_cases < 1 or not 2 <= arguments.llm_candidates <= _LENGTH:
        raise RequestError(
            f"--llm needs an address, --llm-cases at least 1, --llm-candidates 2 to {_LENGTH}"
        )
    return Measurer(config, arguments.llm_cases, arguments.llm_candidates, bars)


def _arguments() -> Parser:
    made = parser(__doc__ or "")
    add = made.add_argument
    add("--catalog", action="append", required=True, metavar="FILE|URL", help="may be repeated")
    add("--query", help="SELECT statement or table name for a SQLAlchemy URL")
    add("--interactions", required=True, metavar="FILE|URL", help="what users did")
    add("--out", default="evaluation", metavar="DIR", help="for the two files (./evaluation)")
    add("--index", metavar="DIR", help="take the encoded vectors of this index")
    add("--model", metavar="NAME|DIR", help="encoder; 'none' if every row has a vector")
    add(
        "--peers",
        type=option(parse_peer_names),
        default=parse_peer_names("fast"),
        metavar="fast|all|NAME,…",
        help="what to compare with; all adds SASRec, which is slow (default fast)",
    )
    add("--part", choices=tuple(_PARTS), default="test", help="valid while you are still choosing")
    add("--cases", type=int, default=MAX_CASES, metavar="N", help="asked at most")
    add("--fields", type=option(parse_mapping), default={}, metavar="OURS=THEIRS,…")
    add("--context", type=_columns, metavar="COL,…", help="columns that are known when asking")
    add("--rating-scale", type=option(_scale), metavar="LOW-HIGH", help="default: inferred")
    add("--repeats", choices=tuple(_REPEATS), default="auto", help="may a known item come again?")
    add(
        "--drop",
        type=_columns,
        default=LEAKING_FIELDS,
        metavar="FIELD,…",
        help="item fields that only later knowledge could fill (default: well-known averages)",
    )
    add("--llm", metavar="URL", help="also measure a language model's parts on new users")
    add("--llm-model", default="default", metavar="NAME", help="as the endpoint calls it")
    add("--llm-cases", type=int, default=100, metavar="N", help="asked at most (default 100)")
    add("--llm-candidates", type=int, default=20, metavar="N", help="re-ranked (default 20)")
    add("--seed", type=int, default=0, help="of what peers draw (default 0)")
    add("--json", action="store_true", help="print the evaluation as one line of JSON")
    return made


def _columns(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _scale(text: str) -> tuple[float, float]:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)", text.strip())
    if match is None or not float(match[1]) < float(match[2]):
        raise CatalogError(f"{text!r} is no rating scale; use LOW-HIGH such as 1-5")
    return float(match[1]), float(match[2])


if __name__ == "__main__":
    run(main)
