"""Titles, tables and charts to one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from indexer.evaluation.report import format_ratio
from indexer.evaluation.svg import Bar, draw_bars

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;
color:#1c2430}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
th,td{padding:.25rem .6rem;border-bottom:1px solid #d8dee8;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
tr.own{font-weight:600;background:#eef3fb}
svg{width:100%;max-width:680px;height:auto;font:12px system-ui,sans-serif}
svg .t{font-weight:600;font-size:13px}
.note{color:#5a6472}
"""

_METRICS = ("ndcg10", "recall10", "recall50", "mrr50", "coverage10")
_CHARTS = (
    ("all", "ndcg10", "NDCG@10, all"),
    ("cold", "recall10", "Recall@10, items nobody had met"),
    ("new_user", "ndcg10", "NDCG@10, users with at most three events"),
)


def render_page(title: str, sections: Sequence[str]) -> str:
    """Return a page of titled sections."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{''.join(sections)}</body></html>\n"
    )


def render_section(title: str, *parts: str) -> str:
    """Return a section of a page; its parts are HTML."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def render_note(text: str) -> str:
    """Return a paragraph in small print."""
    return f'<p class="note">{escape(text)}</p>'


def render_table(
    heads: Sequence[str], rows: Sequence[Sequence[Any]], *, highlighted: str = ""
) -> str:
    """Return a table; the row whose first cell is `highlighted` is set off."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(
        f"<tr{' class=own' if str(row[0]) == highlighted else ''}>"
        + "".join(f"<td>{escape(_format_cell(cell))}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def render_evaluation_page(report: Mapping[str, Any]) -> str:
    """Return the page of a report of `evaluate`, the best method first."""
    methods = dict(sorted(report["methods"].items(), key=lambda pair: -pair[1]["all"]["ndcg10"]))
    own_method = next(iter(report["methods"]))
    params = [[name, str(method["knobs"])] for name, method in methods.items()]
    facts = [[key, str(report[key])] for key in report if key not in ("methods", "versus")]
    return render_page(
        "Zhiyin: evaluation",
        [
            _render_metrics(methods, own_method),
            render_section("By slice", *_draw_slices(methods, own_method, report["cases"])),
            _render_ratios(report["versus"], own_method),
            render_section("What each was tuned to", render_table(["method", "knobs"], params)),
            render_section("Conditions", render_table(["what", "value"], facts)),
        ],
    )


def _render_metrics(methods: Mapping[str, Any], own_method: str) -> str:
    rows = [
        [name, *(m["all"][metric] for metric in _METRICS),
         m["cold"]["recall10"], m["new_user"]["ndcg10"], format_ratio(m["versus_best_peer"]),
         f"{m['fit_cpu_s']:.1f}", f"{m['ms_per_request']:.1f}"]
        for name, m in methods.items()
    ]  # fmt: skip
    heads = ["method", "NDCG@10", "R@10", "R@50", "MRR", "cov@10", "cold R@10", "new NDCG@10",
             "ratio to best peer", "fit CPU s", "ms/request"]  # fmt: skip
    return render_section("Figures", render_table(heads, rows, highlighted=own_method))


def _draw_slices(
    methods: Mapping[str, Any], own_method: str, case_counts: Mapping[str, int]
) -> list[str]:
    return [
        draw_bars(
            [
                Bar(name, method[part][metric], accent=name == own_method)
                for name, method in methods.items()
            ],
            title=f"{title} ({case_counts[part]} cases)",
        )
        for part, metric, title in _CHARTS
    ]


def _render_ratios(versus: Mapping[str, Any], own_method: str) -> str:
    ratios = [
        Bar(peer, slices["all"]["ratio"], tuple(slices["all"]["ratio95"]))
        for peer, slices in versus.items()
        if slices["all"]
    ]
    return render_section(
        f"NDCG@10 of {own_method} over each peer",
        render_note("Whiskers: 95% intervals, whole users resampled."),
        draw_bars(ratios, title="1 means equal", mark=1.0),
    )
