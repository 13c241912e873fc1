"""The options of a command to the URL of the live store that it reads: one default for all."""

import argparse
from pathlib import Path


def find_live_store(arguments: argparse.Namespace, root: Path) -> str | None:
    """Return the URL of `--db`, or of the store in an index directory; None if there is none.

    Args:
        arguments: With `db` and `no_live`.
        root: Index directory.

    Raises:
        SettingsError: If the store in the directory cannot be written.
    """
    if arguments.no_live:
        if arguments.db is not None:
            arguments.refuse("--no-live leaves out what --db names; leave one of them out")
        return None
    if arguments.db is not None:
        return str(arguments.db)
    from service.live import find_url_beside

    return find_url_beside(root)
