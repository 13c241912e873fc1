"""The release that runs, by name."""

from importlib.metadata import PackageNotFoundError, version


def read_version() -> str:
    """Return the version; "0" in a checkout that is not installed."""
    try:
        return version("zhiyin")
    except PackageNotFoundError:
        return "0"
