"""The server: one port of this computer, from start to Ctrl+C."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.serve.app import create_app
from handseg_bundle_common.serve.guard import HOSTS
from handseg_bundle_common.serve.limits import Limits

_ADDRESS = HOSTS[0]
_MOST_CONNECTIONS = 64
_SECONDS_TO_END = 5


def serve(
    folders: Mapping[str, str],
    *,
    host: str = _ADDRESS,
    port: int = 8000,
    device: str = "auto",
    limits: Limits | None = None,
    announce: Callable[[str], object] = print,
) -> None:
    """Serve the page until the process is asked to end; then delete all studies.

    Args:
        folders: folders of the bundles by name, the default one first; each may run.
        host: this computer, under one of its `HOSTS`.
        port: 1 to 65535, or 0 for any that is free.
        device: "auto", "cpu", "cuda" or "cuda:1".
        limits: what is allowed; None stands for the usual limits.
        announce: is told the page's address as soon as it can be opened.

    Raises:
        HandsegInputError: the host is not this computer, the port is taken, or a bundle cannot be used.
    """
    check_host(host)
    app = create_app(folders, device=device, limits=limits)
    with listen(port) as listening, _quiet():
        announce(f"http://{_ADDRESS}:{listening.getsockname()[1]}")
        with suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended in good order
            uvicorn.Server(configuration(app)).run(sockets=[listening])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings to ourselves: names of files in them are personal data, and a log outlives the files."""
    logger = logging.getLogger(__name__.partition(".")[0])
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def configuration(app: FastAPI) -> uvicorn.Config:
    """Return how an application is served: quietly, and with a bounded number of connections."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )


def check_host(host: str) -> None:
    """Refuse to be reached by other computers.

    Raises:
        HandsegInputError: the host is not this computer.
    """
    if host not in HOSTS:
        remedy = f"leave it out, and from elsewhere open a tunnel: ssh -L 8000:{_ADDRESS}:8000 THIS_COMPUTER"
        raise HandsegInputError("--host", f"{host} would let other computers in, and there is no password", remedy)


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this computer alone.

    Args:
        port: 1 to 65535, or 0 for any that is free.

    Raises:
        HandsegInputError: the port is taken or out of range.
    """
    try:
        return socket.create_server((_ADDRESS, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "it must be 0 to 65535"
        raise HandsegInputError("--port", f"{port} cannot be used ({reason})", "choose another one") from error
