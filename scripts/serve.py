#!/usr/bin/env python3
"""Serve recommendations over HTTP from an index directory.

A new snapshot published in the directory is noticed within 5 seconds. The address of the API's
documentation is /docs. Stops on Ctrl-C or SIGTERM after the requests under way are answered.

Examples:
  serve.py --index data/index
  serve.py --index data/index --host 0.0.0.0 --api-key-file keys.txt --workers 2
"""

import os
import resource
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
from _cli import Parser, parser, run
from uvicorn.supervisors import Multiprocess

from indexer.request import load_scenarios
from indexer.snapshot import check_files, find_snapshot, read_manifest
from service import Settings, create_app
from service.app import SETTINGS_VARIABLE
from service.edge import ApiKeys
from service.live import find_live_url
from service.llm import LlmConfig
from service.settings import SettingsError
from service.store import LiveDatabase

_GRACE_S = 15
_BACKLOG = 2_048
_LONGEST_S = 86_400
_FILES = 8_192  # a connection is one; systems often begin at 1,024 or less


def main() -> int:
    """Check everything that can be checked, then serve until stopped."""
    settings = _settings(_arguments().parse_args())
    _check(settings)
    _allow_many_connections()
    with _listening(settings) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {settings.index} on http://{shown}:{port} (docs at /docs)", flush=True)
        signal.signal(signal.SIGTERM, _stopped)
        try:
            return _serve(settings, listener)
        except KeyboardInterrupt:
            return 0


def _arguments() -> Parser:
    made = parser(__doc__ or "")
    add = made.add_argument
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
        help="address to listen on (default 127.0.0.1); others need --api-key-file",
    )
    add("--port", default=8000, type=int, help="TCP port (default 8000; 0: any free one)")
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
    return made  # fmt: skip


def _settings(arguments) -> Settings:  # type: ignore[no-untyped-def]  # noqa: ANN001  # argparse
    if arguments.workers < 1:
        _arguments().error(f"--workers is {arguments.workers}; use 1 or more")
    if not 0 <= arguments.port < 1 << 16:
        _arguments().error(f"--port is {arguments.port}; use a number from 0 to 65535")
    if not 0 < arguments.patience <= _LONGEST_S:
        _arguments().error(f"--patience is {arguments.patience:g}; use seconds from 0 to 86400")
    return Settings(
        index=arguments.index,
        db=arguments.db,
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        api_key_file=arguments.api_key_file,
        scenarios=arguments.scenarios,
        patience_s=arguments.patience,
    )


def _check(settings: Settings) -> None:
    """Fail here, with one sentence, rather than in every worker."""
    settings.check_exposure()
    if settings.api_key_file:
        ApiKeys.load(settings.api_key_file)
    if settings.scenarios:
        load_scenarios(settings.scenarios)
    LlmConfig.from_environment(os.environ)
    path = find_snapshot(settings.index)
    check_files(path, read_manifest(path))
    url = find_live_url(settings)
    if url is not None:
        LiveDatabase.open(url).close()  # made or brought up to date once, before workers start


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _listening(settings: Settings) -> socket.socket:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        why = str(error.strerror).partition(" (while ")[0]  # the rest repeats the address
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port} ({why}); "
            f"choose another --port or --host"
        ) from error
    # Connections inherit it. asyncio would set it only on sockets that say they are of TCP, which
    # this one does not; without it every answer waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.set_inheritable(True)
    return listener


def _serve(settings: Settings, listener: socket.socket) -> int:
    if settings.workers > 1:
        os.environ[SETTINGS_VARIABLE] = settings.to_json()
        config = _config("service.app:app_from_environment", settings)
        Multiprocess(config, sockets=[listener]).run()
        return 0
    server = uvicorn.Server(_config(create_app(settings), settings))
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _config(app, settings: Settings) -> uvicorn.Config:  # type: ignore[no-untyped-def]  # noqa: ANN001  # an ASGI application or its name
    return uvicorn.Config(
        app,
        http="service.edge.slow_clients:Connection",
        factory=isinstance(app, str),
        workers=settings.workers,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        backlog=_BACKLOG,
    )


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    """Being told to stop is a success."""
    sys.exit(0)


if __name__ == "__main__":
    run(main)
