"""The application: the page, its files and the interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import resources
from time import monotonic

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from handseg_bundle_common import __version__
from handseg_bundle_common.serve import problems
from handseg_bundle_common.serve.bundles import Bundles
from handseg_bundle_common.serve.desk import Desk
from handseg_bundle_common.serve.guard import Guard
from handseg_bundle_common.serve.limits import Limits
from handseg_bundle_common.serve.routes import api_routes
from handseg_bundle_common.serve.store import StudyStore

_SWEEP_SECONDS = 20.0
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_ABOUT = "Segments radiographs of the hand on this computer. Every refusal has the same form, `error`."


def create_app(
    folders: Mapping[str, str],
    *,
    device: str = "auto",
    limits: Limits | None = None,
    clock: Callable[[], float] = monotonic,
) -> FastAPI:
    """Return the application, whose studies live while it runs.

    Args:
        folders: folders of the bundles by name, the default one first; each may run (`packaging.open_bundle`).
        device: "auto", "cpu", "cuda" or "cuda:1".
        limits: what is allowed; None stands for the usual limits.
        clock: tells the seconds.

    Raises:
        HandsegInputError: there is no bundle, or one's metadata cannot be read.
    """
    allowed = limits or Limits()
    desk = Desk(Bundles(folders, device), StudyStore(allowed, clock), allowed)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        with desk.store:
            sweeper = asyncio.create_task(_sweep(desk.store))
            try:
                yield
            finally:
                sweeper.cancel()
                with suppress(asyncio.CancelledError):
                    await sweeper

    app = FastAPI(
        title="handseg",
        version=__version__,
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        generate_unique_id_function=_operation,
    )
    problems.install(app)
    app.add_middleware(Guard, upload_bytes=allowed.upload_bytes)
    app.include_router(api_routes(desk))
    _add_page(app)
    return app


async def _sweep(store: StudyStore) -> None:
    """Delete what has expired, as long as the server runs."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        await run_in_threadpool(store.sweep)


def _operation(route: APIRoute) -> str:
    """Return the name of a route in OpenAPI, which is that of its function."""
    return route.name


def _add_page(app: FastAPI) -> None:
    """Add the page and its files, which are read once."""
    package = __name__.partition(".")[0]
    folders = resources.files(f"{package}.serve") / "page", resources.files(f"{package}.pages")
    files = {
        file.name: file.read_bytes()
        for folder in folders
        for file in folder.iterdir()
        if file.name.rpartition(".")[2] in _KINDS
    }

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return _file("index.html", files["index.html"])

    for name, content in files.items():
        app.add_api_route(f"/{name}", _reader(name, content), include_in_schema=False)


def _reader(name: str, content: bytes) -> Callable[[], Response]:
    return lambda: _file(name, content)


def _file(name: str, content: bytes) -> Response:
    return Response(content, media_type=_KINDS[name.rpartition(".")[2]])
