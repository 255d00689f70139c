"""What every request must pass before the application sees it, and what every answer must say."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handseg_bundle_common.serve.problems import RefusedError, answer

HOSTS = ("127.0.0.1", "localhost")
"""Names by which a browser on this computer reaches the server; any other is a trick of a page on the network."""

_READING = ("GET", "HEAD", "OPTIONS")
_OWN = ("same-origin", "none")

# Nothing is loaded from anywhere else, nothing inline runs, and no other page may show this one.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Guard:
    """Middleware that refuses strangers and long uploads, and adds headers that keep browsers strict.

    A page elsewhere can make a browser send requests to this computer. It cannot choose the header `Host`, by which a
    name that was rebound to 127.0.0.1 is told, nor `Origin` and `Sec-Fetch-Site`, by which other pages are. There is no
    permission for other origins (CORS), so none can read an answer.

    Args:
        app: the application.
        upload_bytes: a longer request is refused, before it is read where it tells its length.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self._app, self._upload_bytes = app, upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            self._check(scope)
        except RefusedError as error:
            await answer(error)(scope, receive, send_strictly)
            return
        await self._app(scope, _counted(receive, self._upload_bytes), send_strictly)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        _check_host(headers.get("host", ""))
        _check_origin(scope["method"], scope["path"], headers)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._upload_bytes:
            raise _too_long(self._upload_bytes)


def _check_host(host: str) -> None:
    """Refuse a name that is not this computer's; the port may be that of a tunnel."""
    if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
        remedy = f"open the page as {' or '.join(HOSTS)}"
        raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "the header Host", "does not name this computer", remedy)


def _check_origin(method: str, path: str, headers: Headers) -> None:
    """Refuse what pages of other origins ask for; programs without a browser tell no origin."""
    if method in _READING and not path.startswith("/api/"):
        return
    site, origin = headers.get("sec-fetch-site", "none"), headers.get("origin")
    is_own = origin is None or urlsplit(origin).netloc == headers["host"]
    if site not in _OWN or not is_own:
        raise RefusedError(
            HTTPStatus.FORBIDDEN, "the request", "comes from another page", "use the page that handseg serves"
        )


def _counted(receive: Receive, most: int) -> Receive:
    """Return `receive` that refuses content beyond a number of bytes, whatever its length was said to be."""
    taken = 0

    async def receive_counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise _too_long(most)
        return message

    return receive_counted


def _too_long(most: int) -> RefusedError:
    why = f"is larger than {most // 2**20} MiB"
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the upload", why, "crop or shrink the radiograph")
