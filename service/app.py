"""Settings to the ASGI application.

/docs and /openapi.json are open even where keys are needed: they describe the public interface and
hold nothing of the catalogue.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp
from typing_extensions import override

from indexer.language import Encoder
from indexer.package_version import read_version
from indexer.request import load_scenarios
from service import process
from service.answering import PageBuilder
from service.edge import (
    SLOW_CLIENTS_STATE_KEY,
    ApiKeys,
    CancelledCallMiddleware,
    CursorSigner,
    HeadAsGetMiddleware,
    HotCallMiddleware,
    RawIdPathMiddleware,
    RequestCounterMiddleware,
    RequestCounters,
    SharedQueue,
    SlowClients,
    TextQueue,
    WebsiteGuard,
    WorkQueue,
    install_problem_handlers,
    load_secret,
    share_counters,
)
from service.live import ActiveIndex, LiveStore, Refresher, RequestViews, open_live_store
from service.llm import Endpoint, LlmClient, LlmConfig
from service.routes import HOT_GETS, HOT_POSTS, OPEN_ROUTERS, ROUTERS
from service.services import Services
from service.settings import Settings, SettingsError
from service.store_check import StoreCheck
from service.store_writer import StoreWriter

SETTINGS_VARIABLE = "ZHIYIN_SERVICE_SETTINGS"
PLACE_VARIABLE = "ZHIYIN_WORKER_PLACE"  # of a worker among those of its service
OTHERS_SERVE_VARIABLE = "ZHIYIN_OTHERS_SERVE"  # "1" for a worker that replaces one beside others
_ADMIN_QUEUE_SIZE = 8
_READY_POLL_S = 0.02
_LONG_THREADS, _LONG_QUEUE_SIZE = 2, 8
# How long a thread that computes may keep the event loop waiting for the interpreter; Python's 5 ms
# are longer than most answers take. Measured with 1 ms of Python per call at 8 connections.
_SWITCH_INTERVAL_S = 0.0005


class _Application(FastAPI):
    """FastAPI, with hot calls answered before its own middleware sees them, behind the guard."""

    @override
    def build_middleware_stack(self) -> ASGIApp:
        counters = self.state.request_counters
        hot_calls = HotCallMiddleware(
            super().build_middleware_stack(), posts=HOT_POSTS, gets=HOT_GETS, counters=counters
        )
        guard = WebsiteGuard(hot_calls, policy=self.state.website_policy, counters=counters)
        return CancelledCallMiddleware(guard)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]


def create_app(
    settings: Settings,
    encoder: Encoder | None = None,
    *,
    clock: Callable[[], float] = time.time,
    llm: LlmConfig | None = None,
) -> FastAPI:
    """Return the service.

    Args:
        settings: How it runs.
        encoder: An encoder that is already loaded; None: the one the snapshot was built with.
        clock: Returns the time, Unix seconds.
        llm: The language model's endpoint; None: the one that the environment names, if any.

    Raises:
        SettingsError: If it would be reachable without keys, or a file it needs cannot be used.
    """
    settings.check_exposure()
    keys = ApiKeys.load(settings.api_key_file) if settings.api_key_file else None
    secret = load_secret(settings.secret_file, os.environ)
    llm = llm or LlmConfig.from_environment(os.environ)
    signer = CursorSigner(secret, lifetime_s=settings.cursor_lifetime_s, clock=clock)
    pages = PageBuilder(signer, clock)

    def build_services() -> Services:
        return _build_services(
            settings, keys, pages, encoder, open_live_store(settings, secret, clock)
        )

    app = _Application(
        title="Zhiyin 知音",
        description="A self-hosted recommender. Errors are application/problem+json (RFC 9457).",
        version=read_version(),
        lifespan=_build_lifespan(build_services, llm),
        redirect_slashes=False,
        docs_url=None,  # it is among the routes, see `service.routes.docs`
        redoc_url=None,
    )
    app.state.website_policy = settings.build_website_policy()
    _include_routers(app, needs_key=keys is not None)
    install_problem_handlers(app)
    _add_middleware(app)
    return app


def create_app_from_environment() -> FastAPI:
    """Return the service of a worker process, whose settings its parent put into the environment.

    Raises:
        SettingsError: If there are no settings in the environment.
    """
    try:
        text = os.environ[SETTINGS_VARIABLE]
    except KeyError as error:
        raise SettingsError(
            f"{SETTINGS_VARIABLE} is not set; start the service with zhiyin serve"
        ) from error
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as the parent does
    if PLACE_VARIABLE in os.environ:
        share_counters(os.environ[PLACE_VARIABLE])
    return create_app(Settings.from_json(text))


def _build_lifespan(build_services: Callable[[], Services], llm: LlmConfig | None) -> Lifespan:
    """Return the context in which the application runs: services started, and closed at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            endpoint = await stack.enter_async_context(Endpoint(llm)) if llm else None
            services = build_services()
            if endpoint:
                services = replace(services, llm_client=LlmClient(endpoint))
            app.state.services = services
            sys.setswitchinterval(_SWITCH_INTERVAL_S)
            services.active_index.start()
            services.refresher.start(services.build_forgetter())
            finishing = asyncio.create_task(services.writer.finish_erasures())
            try:
                if services.settings.workers > 1:
                    await _wait_until_ready(services)
                slow_clients = SlowClients(
                    patience_s=services.settings.patience_s,
                    max_clients=services.settings.slow_clients,
                )
                yield {SLOW_CLIENTS_STATE_KEY: slow_clients}
            finally:
                finishing.cancel()
                services.close()

    return lifespan


async def _wait_until_ready(services: Services) -> None:
    """Wait until this worker can answer: uvicorn accepts connections only after the lifespan began.

    If its snapshot cannot be opened, it waits for one that can while others serve; if none does, it
    answers with the reason.
    """
    others_serve = os.environ.get(OTHERS_SERVE_VARIABLE) == "1"
    while not process.stopping.is_set():
        status = services.active_index.status
        has_failed = status.error is not None and not others_serve
        is_loaded = services.refresher.has_loaded or services.refresher.has_failed
        if has_failed or (status.snapshot is not None and status.has_model and is_loaded):
            return
        await asyncio.sleep(_READY_POLL_S)


def _build_services(
    settings: Settings,
    keys: ApiKeys | None,
    pages: PageBuilder,
    encoder: Encoder | None,
    live_store: LiveStore | None,
) -> Services:
    active_index = ActiveIndex(
        settings.index,
        encoder=encoder,
        scenarios=load_scenarios(settings.scenarios) if settings.scenarios else None,
        poll_s=settings.poll_s,
        retry_s=settings.retry_s,
        continue_after=live_store.database.continue_after if live_store else None,
    )
    views = RequestViews(live_store)
    return Services(
        settings=settings,
        keys=keys,
        active_index=active_index,
        pages=pages,
        answer_queue=WorkQueue("answers", threads=settings.threads, max_waiting=settings.queue),
        long_queue=WorkQueue("long answers", threads=_LONG_THREADS, max_waiting=_LONG_QUEUE_SIZE),
        text_queue=TextQueue(max_waiting=settings.queue),
        log_queue=SharedQueue("long logs", max_calls=_LONG_QUEUE_SIZE, max_waiting=settings.queue),
        admin_queue=WorkQueue("snapshots", threads=1, max_waiting=_ADMIN_QUEUE_SIZE),
        live_store=live_store,
        store_check=StoreCheck(
            live_store.database if live_store else None, deadline_s=settings.deadline_s
        ),
        writer=StoreWriter(settings, active_index, live_store, views),
        views=views,
        refresher=Refresher(active_index, views, interval_s=settings.poll_s),
        llm_client=None,
        clock=pages.clock,
    )


def _include_routers(app: FastAPI, *, needs_key: bool) -> None:
    # Keys are checked by the class of a route, before a body is read; this documents them.
    bearer = HTTPBearer(auto_error=False, description="An API key.")
    key_dependencies = [Depends(bearer)] if needs_key else []
    for router in OPEN_ROUTERS:
        app.include_router(router)
    for router in ROUTERS:
        app.include_router(router, dependencies=key_dependencies)


def _add_middleware(app: FastAPI) -> None:
    """Add middleware; a request passes the last one first."""
    app.state.request_counters = RequestCounters()
    app.add_middleware(RequestCounterMiddleware, counters=app.state.request_counters)
    app.add_middleware(RawIdPathMiddleware)
    app.add_middleware(HeadAsGetMiddleware)
