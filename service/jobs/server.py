"""Settings to a running HTTP service: one listening socket, one or more worker processes."""

import errno
import os
import resource
import signal
import socket

import uvicorn
from fastapi import FastAPI

from indexer.request import load_scenarios
from indexer.snapshot import check_files, find_snapshot, read_manifest
from service.app import SETTINGS_VARIABLE, create_app
from service.edge import FOLDER_VARIABLE, ApiKeys
from service.jobs.counter_folder import lend_counter_folder
from service.jobs.draining import DRAIN_S, DrainingServer
from service.jobs.port_holder import describe_port_holder
from service.jobs.workers import WorkerPool
from service.live import find_live_url
from service.llm import LlmConfig
from service.process import exit_on_signal
from service.settings import Settings, SettingsError
from service.store import LiveDatabase

_GRACE_S = 10  # that calls under way get at SIGTERM; 5 s more to give up what remains
_BACKLOG = 2_048
_MAX_OPEN_FILES = 8_192  # each connection is one; the default limit is often 1,024 or less


def serve(settings: Settings) -> int:
    """Check everything that can be checked, serve until stopped, and return the exit code.

    Raises:
        SettingsError: If a setting cannot be used, or the port is taken.
        SnapshotError: If there is no sound snapshot.
    """
    _check_settings(settings)
    _allow_many_connections()
    with _listen(settings) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {settings.index} on http://{shown}:{port} (docs at /docs)", flush=True)
        signal.signal(signal.SIGTERM, exit_on_signal)
        # Nothing would be read anew: snapshots are noticed without it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            return _run_workers(settings, listener)
        except KeyboardInterrupt:
            return 0


def _check_settings(settings: Settings) -> None:
    """Check what workers will use, so that an error is printed once and not by every worker."""
    settings.check_exposure()
    settings.build_website_policy()
    if settings.api_key_file:
        ApiKeys.load(settings.api_key_file)
    if settings.scenarios:
        load_scenarios(settings.scenarios)
    LlmConfig.from_environment(os.environ)
    path = find_snapshot(settings.index)
    check_files(path, read_manifest(path))
    url = find_live_url(settings)
    if url is not None:
        LiveDatabase.open(url).close()  # created or migrated once, before workers start


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(settings: Settings) -> socket.socket:
    try:
        addresses = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        # Clients that try [::1] first go on to 127.0.0.1, but few the other way round.
        family, _, _, _, address = min(addresses, key=lambda found: found[0] != socket.AF_INET)
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        why = str(error.strerror).partition(" (while ")[0]  # the rest repeats the address
        holder = describe_port_holder(settings.port) if error.errno == errno.EADDRINUSE else None
        why = f"{why}, by {holder}" if holder else why
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port} ({why}); "
            f"choose another --port or --host"
        ) from error
    # Connections inherit TCP_NODELAY. asyncio sets it only on sockets whose protocol number is
    # IPPROTO_TCP, and that of this socket is 0. Without it, Nagle's algorithm and delayed
    # acknowledgements hold every answer back by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.set_inheritable(True)
    return listener


def _run_workers(settings: Settings, listener: socket.socket) -> int:
    if settings.workers > 1:
        os.environ[SETTINGS_VARIABLE] = settings.to_json()
        config = _configure("service.app:create_app_from_environment", settings)
        with lend_counter_folder() as folder:
            os.environ[FOLDER_VARIABLE] = str(folder)
            return WorkerPool(config, listener).run()
    server = DrainingServer(_configure(create_app(settings), settings))
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _configure(app: FastAPI | str, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="service.edge.connection:Connection",
        loop="uvloop",
        ws="none",
        proxy_headers=False,  # nothing depends on who a client is
        factory=isinstance(app, str),
        workers=settings.workers,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S - DRAIN_S,
        backlog=_BACKLOG,
    )
