"""A release report to one self-contained HTML page."""

from collections.abc import Mapping
from typing import Any

from indexer.evaluation import (
    SLICE_TITLES,
    Bar,
    draw_bars,
    draw_lines,
    render_note,
    render_page,
    render_section,
    render_table,
)
from indexer.release.gate import GATE_TITLES

_METRICS = ("ndcg10", "recall10", "recall50", "mrr50")


def render_release_page(report: Mapping[str, Any]) -> str:
    """Return the page of a report of `evaluate_release` whose decision is recorded."""
    parts = [
        render_section(
            "Decision", render_note(_describe_decision(report)), render_note(report["what"])
        )
    ]
    if report.get("methods"):
        parts += [_render_slices(report), _render_coverage(report)]
    if report.get("compared"):
        parts.append(_render_comparison(report["compared"]))
    if report.get("learning_curve"):
        parts.append(_render_learning_curve(report["learning_curve"]))
    if report.get("calibration"):
        parts.append(_render_calibration(report["calibration"]))
    parts.append(
        render_section("What was learned", *(render_note(block) for block in report["blocks"]))
    )
    return render_page("Zhiyin: release report", parts)


def _describe_decision(report: Mapping[str, Any]) -> str:
    reasons = "; ".join(report["reasons"])
    if report["decision"] == "refused":
        return f"Not published: {reasons}."
    if reasons:
        return f"Published because --force was given, although {reasons}."
    warnings = "".join(f" {warning}." for warning in report["warnings"])
    return f"Published.{warnings}"


def _render_slices(report: Mapping[str, Any]) -> str:
    methods = report["methods"]
    rows = [
        [f"{name}, {title}", metrics[part]["cases"], *(metrics[part][m] for m in _METRICS)]
        for name, metrics in methods.items()
        for part, title in SLICE_TITLES.items()
    ]
    charts = [
        draw_bars(
            [Bar(name, m[part]["ndcg10"], accent=name == "new") for name, m in methods.items()],
            title=f"NDCG@10, {title}",
        )
        for part, title in SLICE_TITLES.items()
    ]
    heads = ["method, slice", "cases", "NDCG@10", "R@10", "R@50", "MRR"]
    return render_section("On the newest interactions", *charts, render_table(heads, rows))


def _render_coverage(report: Mapping[str, Any]) -> str:
    methods = report["methods"]
    coverage_bars = [
        Bar(name, m["all"]["coverage10"], accent=name == "new") for name, m in methods.items()
    ]
    rows = [
        [name, bias["listed"], bias["picked"], bias["top_percent"]]
        for name, m in methods.items()
        for bias in (m["popularity_bias"],)
    ]
    heads = ["method", "percentile listed", "percentile picked", "places of the top 1%"]
    return render_section(
        "Coverage and popularity",
        draw_bars(coverage_bars, title="Share of the catalogue in any first ten"),
        render_note("Percentiles of popularity: 1 is the most popular item, 0 the least."),
        render_table(heads, rows),
    )


def _render_comparison(comparison: Mapping[str, Any]) -> str:
    rows = [
        Bar(
            f"{GATE_TITLES[part]} ({figures['cases']})",
            figures["ratio"],
            tuple(figures["ratio95"]),
        )
        for part, figures in comparison.items()
        if "ratio" in figures
    ]
    return render_section(
        "Against the live snapshot",
        render_note("Ratio of NDCG@10 with 95% intervals, whole users resampled; 1 means equal."),
        draw_bars(rows, title="New over live", mark=1.0),
    )


def _render_learning_curve(points: list[Mapping[str, Any]]) -> str:
    series = {
        title: [(point["rows"], point[part]) for point in points]
        for part, title in SLICE_TITLES.items()
        if all(part in point for point in points)
    }
    return render_section(
        "Learning curve",
        render_note(
            "NDCG@10 when only the last so many interactions before the slice are learned from, "
            "with the same settings if those interactions support them."
        ),
        draw_lines(series, title="NDCG@10 by interactions", across="interactions", log=True),
    )


def _render_calibration(bins: list[Mapping[str, float]]) -> str:
    points = [(part["score"], part["hits"]) for part in bins]
    return render_section(
        "What a score promises",
        render_note("Places in the first ten, by score: how many were picked."),
        draw_lines({"share picked": points}, title="Picked by score", across="score"),
    )
