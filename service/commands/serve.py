"""Serve recommendations over HTTP from an index directory.

A new snapshot published in the directory is noticed within 5 seconds. The address of the API's
documentation is /docs. Stops on Ctrl-C or SIGTERM after the requests under way are answered.

Examples:
  zhiyin serve --index data/index
  zhiyin serve --index data/index --host 0.0.0.0 --api-key-file keys.txt --workers 2
"""

import argparse
import os
from pathlib import Path

from service.commands.console import Parser

_LONGEST_S = 86_400


def add_arguments(parser: Parser) -> None:
    """Add the options of the service."""
    _add_where(parser)
    _add_who_and_how(parser)


def _add_where(parser: Parser) -> None:
    """Add the index, the store and the address."""
    add = parser.add_argument
    add("--index", required=True, type=Path, metavar="DIR", help="index directory")
    add(
        "--db",
        metavar="URL",
        help="SQLAlchemy URL of events and live items (default: live.sqlite in the index "
        "directory if it can be written)",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1; ::1 for IPv6 alone); those that other "
        "machines reach need --api-key-file",
    )
    add("--port", default=8000, type=int, help="TCP port (default 8000; 0: any free one)")


def _add_who_and_how(parser: Parser) -> None:
    """Add processes, keys, scenarios and limits."""
    add = parser.add_argument
    add(
        "--workers",
        default=1,
        type=int,
        metavar="N",
        help="processes (default 1); each loads the model",
    )
    add(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="lines role:sha256 of a key; roles are read, write, admin",
    )
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer requests for this name too (without keys only loopback names are answered; "
        "with keys: only these and loopback names)",
    )
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this website ask, such as https://shop.example (default: none)",
    )
    add(
        "--scenarios",
        type=Path,
        metavar="FILE",
        help="TOML file that changes or adds scenarios (default: scenarios.toml in DIR)",
    )
    add(
        "--patience",
        default=15,
        type=float,
        metavar="S",
        help="cut a client off that takes more seconds to send a request or to read its answer "
        "(default 15)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, then serve until stopped."""
    if arguments.workers < 1:
        arguments.refuse(f"--workers is {arguments.workers}; use 1 or more")
    if not 0 <= arguments.port < 1 << 16:
        arguments.refuse(f"--port is {arguments.port}; use a number from 0 to 65535")
    if not 0 < arguments.patience <= _LONGEST_S:
        arguments.refuse(f"--patience is {arguments.patience:g}; use seconds from 0 to 86400")
    # Requests run beside each other, and their products are small: threads that help with one take
    # longer to start than the product does, and much longer on a busy machine. Read by NumPy when
    # it is imported, here and in every worker.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from service.jobs import serve
    from service.settings import Settings

    return serve(
        Settings(
            index=arguments.index,
            db=arguments.db,
            host=arguments.host,
            port=arguments.port,
            workers=arguments.workers,
            api_key_file=arguments.api_key_file,
            allow_hosts=tuple(arguments.allow_host),
            allow_origins=tuple(arguments.allow_origin),
            scenarios=arguments.scenarios,
            patience_s=arguments.patience,
        )
    )
