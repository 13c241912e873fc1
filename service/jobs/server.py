"""An index directory to a running HTTP service: one listening socket, one or more workers."""

import os
import resource
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from indexer.request import load_scenarios
from indexer.snapshot import check_files, find_snapshot, read_manifest
from service.app import SETTINGS_VARIABLE, create_app
from service.edge import ApiKeys
from service.live import find_live_url
from service.llm import LlmConfig
from service.settings import Settings, SettingsError
from service.store import LiveDatabase

_GRACE_S = 15
_BACKLOG = 2_048
_FILES = 8_192  # a connection is one; systems often begin at 1,024 or less


def serve(settings: Settings) -> int:
    """Check everything that can be checked, serve until stopped, and return the exit code.

    Raises:
        SettingsError: If a setting does not do, or the port is taken.
        SnapshotError: If there is no sound snapshot.
    """
    _check_settings(settings)
    _allow_many_connections()
    with _listen(settings) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {settings.index} on http://{shown}:{port} (docs at /docs)", flush=True)
        signal.signal(signal.SIGTERM, _exit_on_signal)
        try:
            return _run_workers(settings, listener)
        except KeyboardInterrupt:
            return 0


def _check_settings(settings: Settings) -> None:
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


def _listen(settings: Settings) -> socket.socket:
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


def _run_workers(settings: Settings, listener: socket.socket) -> int:
    if settings.workers > 1:
        os.environ[SETTINGS_VARIABLE] = settings.to_json()
        config = _configure("service.app:create_app_from_environment", settings)
        Multiprocess(config, sockets=[listener]).run()
        return 0
    server = uvicorn.Server(_configure(create_app(settings), settings))
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _configure(app: FastAPI | str, settings: Settings) -> uvicorn.Config:
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


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """Being told to stop is a success."""
    sys.exit(0)
