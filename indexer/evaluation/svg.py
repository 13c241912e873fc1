"""Numbers to bar and line charts as SVG text, which loads nothing from anywhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ("#2456a6", "#c8553d", "#3a7d44", "#8a5fbf", "#b8860b", "#5a6472", "#1b998b", "#d1495b")
_ROW_HEIGHT, _LABEL_WIDTH, _WIDTH = 24, 170, 640
_PLOT_HEIGHT, _LEFT, _BOTTOM = 240, 64, 40


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        interval: Lower and upper end of a whisker, if any.
        accent: Whether it is highlighted.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    accent: bool = False


def draw_bars(rows: Sequence[Bar], *, title: str, mark: float | None = None) -> str:
    """Return horizontal bars with their numbers.

    Args:
        rows: From top to bottom; a value that is not finite has no bar.
        title: Shown above the bars, and read by screen readers.
        mark: Value at which a dashed line is drawn for comparison.
    """
    ends = [row.value for row in rows] + [row.interval[1] for row in rows if row.interval]
    if mark is not None:
        ends.append(mark)
    top = max([end for end in ends if math.isfinite(end)], default=0.0) or 1.0
    scale = (_WIDTH - _LABEL_WIDTH - 80) / top
    height = _ROW_HEIGHT * len(rows) + 34
    parts = [_open_svg(_WIDTH, height, title)]
    for index, row in enumerate(rows):
        parts.append(_draw_bar(row, 30 + index * _ROW_HEIGHT, scale))
    if mark is not None:
        x = _LABEL_WIDTH + mark * scale
        parts.append(f'<path d="M{x:.1f} 26V{height - 6}" stroke="#222" stroke-dasharray="4 3"/>')
    return "".join([*parts, "</svg>"])


def _draw_bar(row: Bar, y: int, scale: float) -> str:
    value = row.value if math.isfinite(row.value) else 0.0
    length = max(value, 0) * scale
    colour = _COLOURS[0] if row.accent else "#9db4d6"
    value_text = f"{row.value:.4g}" if math.isfinite(row.value) else "none"
    whisker = ""
    end = _LABEL_WIDTH + length
    if row.interval and all(map(math.isfinite, row.interval)):
        low, high = (_LABEL_WIDTH + max(number, 0) * scale for number in row.interval)
        whisker = f'<path d="M{low:.1f} {y + 8}H{high:.1f}" stroke="#222" stroke-width="1.5"/>'
        end = max(end, high)
    return (
        f'<text x="{_LABEL_WIDTH - 8}" y="{y + 12}" text-anchor="end">{escape(row.label)}</text>'
        f'<rect x="{_LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="16" fill="{colour}"/>'
        f"{whisker}"
        f'<text x="{end + 6:.1f}" y="{y + 12}">{value_text}</text>'
    )


Points = Sequence[tuple[float, float]]


def draw_lines(series: Mapping[str, Points], *, title: str, across: str, log: bool = False) -> str:
    """Return lines over a common x axis, with their names below the plot.

    Args:
        series: Name to points `(x, y)`, ascending in x; points that are not finite are left out.
        title: Shown above the plot, and read by screen readers.
        across: Name of the x axis.
        log: Whether x is shown as `log10(1 + x)`.
    """
    shown_series = {name: _keep_finite(points, log=log) for name, points in series.items()}
    axes = _Axes.fit([point for points in shown_series.values() for point in points])
    height = _PLOT_HEIGHT + _BOTTOM + 24 + 18 * len(shown_series)
    parts = [_open_svg(_WIDTH, height, title), _draw_axes(axes, across, log=log)]
    for index, (name, points) in enumerate(shown_series.items()):
        parts.append(_draw_line(index, name, [axes.place(point) for point in points]))
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True, slots=True)
class _Axes:
    """Ranges of x and y that the plot shows; y always includes 0."""

    low: float
    high: float
    bottom: float
    top: float

    @classmethod
    def fit(cls, points: Points) -> "_Axes":
        xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
        return cls(min(xs), max(xs), min([*ys, 0.0]), max([*ys, 1e-9]))

    def place(self, point: tuple[float, float]) -> tuple[str, str]:
        """Coordinates of a point in the picture, as text."""
        x = _LEFT + (point[0] - self.low) / ((self.high - self.low) or 1) * (_WIDTH - _LEFT - 20)
        height = (self.top - self.bottom) or 1
        y = 30 + (self.top - point[1]) / height * (_PLOT_HEIGHT - 30)
        return f"{x:.1f}", f"{y:.1f}"


def _draw_axes(axes: _Axes, across: str, *, log: bool) -> str:
    return (
        f'<path d="M{_LEFT} 30V{_PLOT_HEIGHT}H{_WIDTH - 20}" fill="none" stroke="#888"/>'
        f'<text x="{_LEFT - 6}" y="38" text-anchor="end">{axes.top:.3g}</text>'
        f'<text x="{_LEFT - 6}" y="{_PLOT_HEIGHT}" text-anchor="end">{axes.bottom:.3g}</text>'
        f'<text x="{_LEFT}" y="{_PLOT_HEIGHT + 18}">{_format_x(axes.low, log=log)}</text>'
        f'<text x="{_WIDTH - 20}" y="{_PLOT_HEIGHT + 18}" text-anchor="end">'
        f"{_format_x(axes.high, log=log)} {escape(across)}</text>"
    )


def _draw_line(index: int, name: str, points: Sequence[tuple[str, str]]) -> str:
    """One line with its dots, and its entry in the legend."""
    colour = _COLOURS[index % len(_COLOURS)]
    path = " ".join(f"{x},{y}" for x, y in points)
    legend_y = _PLOT_HEIGHT + _BOTTOM + 8 + 18 * index
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        f'<rect x="{_LEFT}" y="{legend_y - 9}" width="12" height="10" fill="{colour}"/>'
        f'<text x="{_LEFT + 18}" y="{legend_y}">{escape(name)}</text>{dots}'
    )


def _keep_finite(points: Points, *, log: bool) -> list[tuple[float, float]]:
    known = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    return [(math.log10(1 + x) if log else x, y) for x, y in known]


def _format_x(x: float, *, log: bool) -> str:
    return f"{10**x - 1:,.0f}" if log else f"{x:.3g}"


def _open_svg(width: int, height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f'<text x="4" y="16" class="t">{escape(title)}</text>'
    )
