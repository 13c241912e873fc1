"""A release report to one HTML page that needs nothing else."""

from collections.abc import Mapping
from typing import Any

from indexer.evaluation import Bar, bars, lines, note, page, section, table

_SLICES = {"all": "all users", "cold": "items nobody had met", "new_user": "new users"}
_FIGURES = ("ndcg10", "recall10", "recall50", "mrr50")


def release_page(told: Mapping[str, Any]) -> str:
    """Return the page of a report as `examine` makes it."""
    parts = [section("Decision", note(_decision(told)), note(told["what"]))]
    if told.get("methods"):
        parts += [_by_slice(told), _reach(told)]
    if told.get("compared"):
        parts.append(_compared(told["compared"]))
    if told.get("learning_curve"):
        parts.append(_curve(told["learning_curve"]))
    if told.get("calibration"):
        parts.append(_calibration(told["calibration"]))
    parts.append(section("What was learned", *(note(words) for words in told["blocks"])))
    return page("Zhiyin: release report", parts)


def _decision(told: Mapping[str, Any]) -> str:
    reasons = "; ".join(told["reasons"])
    if told["decision"] == "refused":
        return f"Not published: {reasons}."
    if reasons:
        return f"Published because --force was given, although {reasons}."
    return "Published."


def _by_slice(told: Mapping[str, Any]) -> str:
    methods = told["methods"]
    rows = [
        [f"{name}, {words}", figures[part]["cases"], *(figures[part][f] for f in _FIGURES)]
        for name, figures in methods.items()
        for part, words in _SLICES.items()
    ]
    pictures = [
        bars(
            [Bar(name, m[part]["ndcg10"], accent=name == "new") for name, m in methods.items()],
            title=f"NDCG@10, {words}",
        )
        for part, words in _SLICES.items()
    ]
    heads = ["method, slice", "cases", "NDCG@10", "R@10", "R@50", "MRR"]
    return section("On the newest interactions", *pictures, table(heads, rows))


def _reach(told: Mapping[str, Any]) -> str:
    methods = told["methods"]
    covered = [
        Bar(name, m["all"]["coverage10"], accent=name == "new") for name, m in methods.items()
    ]
    rows = [
        [name, bias["listed"], bias["picked"], bias["top_percent"]]
        for name, m in methods.items()
        for bias in (m["popularity_bias"],)
    ]
    heads = ["method", "percentile listed", "percentile picked", "places of the top 1%"]
    return section(
        "Coverage and popularity",
        bars(covered, title="Share of the catalogue in any first ten"),
        note("Percentiles of popularity: 1 is the most popular item, 0 the least."),
        table(heads, rows),
    )


def _compared(compared: Mapping[str, Any]) -> str:
    rows = [
        Bar(f"{_SLICES[name]} ({found['cases']})", found["ratio"], tuple(found["ratio95"]))
        for name, found in compared.items()
        if "ratio" in found
    ]
    return section(
        "Against the live snapshot",
        note("Ratio of NDCG@10 with 95% intervals, whole users resampled; 1 means equal."),
        bars(rows, title="New over live", mark=1.0),
    )


def _curve(points: list[Mapping[str, Any]]) -> str:
    series = {
        words: [(point["rows"], point[part]) for point in points]
        for part, words in _SLICES.items()
        if all(part in point for point in points)
    }
    return section(
        "Learning curve",
        note("NDCG@10 when only the last so many interactions before the slice are learned from."),
        lines(series, title="NDCG@10 by interactions", across="interactions", log=True),
    )


def _calibration(parts: list[Mapping[str, float]]) -> str:
    points = [(part["score"], part["hits"]) for part in parts]
    return section(
        "What a score promises",
        note("Places in the first ten, by score: how many were picked."),
        lines({"share picked": points}, title="Picked by score", across="score"),
    )
