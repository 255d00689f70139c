"""What stands before MONAI Label: it lets through known addresses with harmless names, from this machine's own pages.

MONAI Label was made for trusted networks: it opens files by any path that a client names, unpacks archives, replaces
files of weights, which it loads by unpickling, and answers pages of every site. None of this gets past here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.monailabel_app.names import UnknownNameError, check_name, check_tag

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BYTES = 2**28

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_ROUTES = tuple(
    (frozenset(methods.split()), re.compile(path))
    for methods, path in (
        ("GET HEAD", r"/|/docs|/openapi\.json|/favicon\.ico|/info/|/auth/|/auth/token/valid"),
        ("GET HEAD", r"/static/[A-Za-z0-9_./-]+"),
        ("POST", r"/auth/token"),
        ("POST", rf"/infer/{_NAME}|/activelearning/{_NAME}"),
        ("GET POST DELETE", rf"/(train|scoring)/({_NAME})?"),
        ("GET DELETE", r"/batch/infer"),
        ("POST", rf"/batch/infer/{_NAME}"),
        ("GET", rf"/model/(info/)?{_NAME}"),
        ("GET PUT", r"/datastore/"),
        ("GET HEAD PUT", r"/datastore/image"),
        ("GET PUT", r"/datastore/(image|label)/info"),
        ("GET HEAD PUT DELETE", r"/datastore/label"),
        ("PUT", r"/datastore/updatelabelinfo"),
        ("GET", r"/datastore/dataset"),
        ("PUT", r"/session/"),
        ("GET DELETE", r"/session/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    )
)
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHANGING = frozenset({"POST", "PUT", "DELETE", "PATCH"})


class Guard:
    """ASGI application before another one.

    Args:
        app: the other one.
        is_local: whether the server listens on this machine alone, so that only its names are addressed.
        origins: pages of other servers that may talk to this one, such as `http://127.0.0.1:3000`.
        max_bytes: largest body of a request.
    """

    def __init__(
        self, app: App, *, is_local: bool = True, origins: Iterable[str] = (), max_bytes: int = MAX_BYTES
    ) -> None:
        self._app = app
        self._is_local = is_local
        self._origins = frozenset(origin.rstrip("/") for origin in origins)
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with one sentence."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        await self._app(scope, _counted(receive, self._max_bytes), send)

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return the answer to a request that is not passed on, or None."""
        foreign = self._foreign(scope, headers)
        if foreign:
            return 403, foreign
        path = scope["path"]
        if ".." in path.split("/") or not any(scope["method"] in m and r.fullmatch(path) for m, r in _ROUTES):
            return 404, "There is nothing of that name here; GET /docs tells what there is."
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._max_bytes:
            return 413, f"A request may have {self._max_bytes // 2**20} MB at most."
        try:
            _check_query(scope["query_string"].decode("ascii", "replace"))
        except HandsegInputError as error:
            return 400, str(error)
        return None

    def _foreign(self, scope: Scope, headers: dict[str, str]) -> str:
        """Return why a request is not one of this machine or of a page that is allowed to ask; nothing if it is."""
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self._is_local and host not in ("127.0.0.1", "localhost", "::1"):
            return "This server answers to the names of its own machine only."
        origin = headers.get("origin")
        own = f"{scope.get('scheme', 'http')}://{headers.get('host', '')}"
        is_of_other_page = origin is None and headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if (origin is not None and origin not in {own, *self._origins}) or (
            is_of_other_page and scope["method"] in _CHANGING
        ):
            return "Pages of other servers are refused; allow them with MONAI_LABEL_CORS_ORIGINS."
        return ""


def answer_to(error: Exception) -> tuple[int, str]:
    """Return status and sentence for an error of this package, or one of MONAI Label's own."""
    if isinstance(error, HandsegInputError):
        return (404 if isinstance(error, UnknownNameError) else 400), str(error)
    if isinstance(error, json.JSONDecodeError):
        return 400, f"The request is not JSON ({error})."
    return 404, str(getattr(error, "msg", "There is nothing of that name here."))


def _check_query(query: str) -> None:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in ("image", "label", "id") and value:
            check_name(value, name)
        elif name == "tag" and value:
            check_tag(value)
        elif name == "session_id" and value and not _SESSION.fullmatch(value):
            raise HandsegInputError("session_id", "is none of this server's", "send the image again")
        elif name == "uncompress" and value.lower() not in ("", "0", "false", "no", "off"):
            raise HandsegInputError("uncompress", "archives are not unpacked here", "send one radiograph")


def _counted(receive: Receive, most: int) -> Receive:
    """Return a `receive` that refuses more than so many bytes, whatever the header said."""
    total = 0

    async def counting() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > most:
            raise HandsegInputError("body", f"has more than {most:,} bytes", "send one radiograph or label")
        return message

    return counting


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
