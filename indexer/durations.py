"""Seconds to a duration in words."""


def describe_duration(seconds: float) -> str:
    """Return a duration such as "40 s", "4 min" or "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
