"""The command `zhiyin`: one module for each command, its help and its options.

In: a command line.
Out: a call of `service.jobs` or `indexer`, an exit code, one plain line on failure.
"""

from service.commands.console import Progress, as_option, create_parser, run_and_exit
from service.commands.main import run_command

__all__ = [
    "Progress",
    "as_option",
    "create_parser",
    "run_and_exit",
    "run_command",
]
