"""`zhiyin COMMAND …` to the command's own function.

A command is a module of this package with a docstring (its help), `add_arguments(parser)` and
`run(arguments) -> exit code`. Only the module of the command that is called is imported.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from indexer.package_version import read_version
from service.commands.console import Parser, create_parser, find_nearest, run_and_exit


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        module: Below `service.commands`.
        summary: One line of `zhiyin --help`.
    """

    module: str
    summary: str


COMMANDS = {
    "build": Command("build", "build an index from a catalogue and publish it"),
    "serve": Command("serve", "serve recommendations over HTTP"),
    "recommend": Command("recommend", "answer a file of requests"),
    "import": Command("import_events", "make interactions the histories of users"),
    "evaluate": Command("evaluate", "measure recommendations on your own data against peers"),
    "snapshots": Command("snapshots", "list, verify, roll back or prune snapshots"),
    "replay": Command("replay", "measure what live events are worth"),
    "serve-llm": Command("serve_llm", "serve a small chat model of this machine"),
}


def main() -> NoReturn:
    """Run the command that the command line names, and exit."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_describe_commands(), end="")
        sys.exit(0 if arguments else 2)
    if arguments[0] in ("-V", "--version"):
        print(f"zhiyin {read_version()}")
        sys.exit(0)
    name = arguments[0]
    if name not in COMMANDS:
        print(
            f"zhiyin: there is no command {name[:60]!r}; {find_nearest(name, list(COMMANDS))}",
            file=sys.stderr,
        )
        sys.exit(2)
    run_command(name, arguments[1:], prog=f"zhiyin {name}")


def run_command(
    name: str, arguments: Sequence[str] | None = None, *, prog: str | None = None
) -> NoReturn:
    """Run one command and exit.

    Args:
        name: One of `COMMANDS`.
        arguments: After the command; default: those of this process.
        prog: What the command is called in its messages; default: the file that was run.
    """
    module = import_module(f"service.commands.{COMMANDS[name].module}")
    parser = _create_command_parser(module, prog)
    parsed = parser.parse_args(arguments)
    run_and_exit(lambda: _run(module, parsed), prog)


def _run(module: ModuleType, parsed: argparse.Namespace) -> int:
    code: int = module.run(parsed)
    return code


def _create_command_parser(module: ModuleType, prog: str | None) -> Parser:
    parser = create_parser(module.__doc__ or "", prog)
    module.add_arguments(parser)
    parser.set_defaults(refuse=parser.error)
    return parser


def _describe_commands() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: zhiyin COMMAND [options]",
            "",
            "A self-hosted recommender that understands.",
            "",
            *lines,
            "",
            "zhiyin COMMAND --help says more; zhiyin --version tells the release.",
            "",
        ]
    )
