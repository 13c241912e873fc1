"""Package metadata to the version that is running."""

from importlib.metadata import PackageNotFoundError, version


def read_version() -> str:
    """Return the version of the installed package, or "0" in a checkout that is not installed."""
    try:
        return version("zhiyin")
    except PackageNotFoundError:
        return "0"
