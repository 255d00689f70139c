"""The guard before MONAI Label, without MONAI Label."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.monailabel_app.guard import Guard, answer_to
from handseg_bundle_common.monailabel_app.names import UnknownNameError

LOCAL = {"host": "127.0.0.1:8000"}


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body and answer 200."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inner"})


def ask(method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", **options: Any) -> int:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in (LOCAL | (headers or {})).items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(inner, **options)(scope, receive, send))
    if sent[0]["status"] != 200:
        assert json.loads(sent[1]["body"])["detail"].endswith(".")
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/info/"),
        ("GET", "/"),
        ("POST", "/infer/ensemble?image=p1/a&output=image"),
        ("PUT", "/datastore/label?image=p1/a&tag=final"),
        ("HEAD", "/datastore/image?image=p1/a.b"),
        ("PUT", "/session/"),
        ("GET", "/session/0e9b5a3e-9d4c-11ee-b9d1-0242ac120002?image=true"),
        ("POST", "/train/unetplusplus-finetuned"),
        ("POST", "/batch/infer/ensemble?images=unlabeled"),
        ("GET", "/static/swagger-ui/swagger-ui.css"),
    ],
)
def test_what_clients_need_is_passed_on(method, target):
    assert ask(method, target) == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/logs/", 404),
        ("GET", "/proxy/dicom/wado/x", 404),
        ("GET", "/ohif/x", 404),
        ("PUT", "/model/ensemble", 404),
        ("DELETE", "/datastore/image?id=p1/a", 404),
        ("POST", "/reload", 404),
        ("PATCH", "/info/", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/session/..", 404),
        ("POST", "/infer/..", 404),
        ("POST", "/infer/wsi/ensemble", 404),
        ("POST", "/infer/ensemble?image=../x", 400),
        ("POST", "/infer/ensemble?image=p1/%2e%2e/x", 400),
        ("POST", "/infer/ensemble?image=%2Fetc%2Fpasswd", 400),
        ("POST", "/infer/ensemble?image=a&image=../x", 400),
        ("GET", "/datastore/label?label=a&tag=..", 400),
        ("GET", "/datastore/label?label=a%00&tag=final", 400),
        ("POST", "/infer/ensemble?session_id=../x", 400),
        ("PUT", "/session/?uncompress=TRUE", 400),
    ],
)
def test_what_they_do_not_need_is_refused(method, target, status):
    assert ask(method, target) == status


def test_pages_of_other_servers_are_refused_unless_they_are_allowed():
    for headers in ({"host": "evil.example"}, {"host": "127.0.0.1.evil.example"}, {"host": ""},
                    {"origin": "http://evil.example"}, {"origin": "null"}):  # fmt: skip
        assert ask("GET", "/info/", headers) == 403
    assert ask("POST", "/train/x", {"sec-fetch-site": "cross-site"}) == 403
    assert ask("GET", "/info/", {"sec-fetch-site": "cross-site"}) == 200
    assert ask("GET", "/info/", {"origin": "http://127.0.0.1:8000"}) == 200
    assert ask("GET", "/info/", {"host": "localhost:8000"}) == 200
    assert ask("GET", "/info/", {"origin": "http://viewer:3000"}, origins=["http://viewer:3000/"]) == 200
    assert ask("GET", "/info/", {"host": "hands.example"}, is_local=False) == 200


def test_bodies_have_a_limit_whatever_the_header_says():
    assert ask("PUT", "/datastore/label", {"content-length": "101"}, max_bytes=100) == 413
    assert ask("PUT", "/datastore/label", {"content-length": "many"}) == 413
    assert ask("PUT", "/datastore/label", body=b"x" * 100, max_bytes=100) == 200
    with pytest.raises(HandsegInputError, match="more than 100 bytes"):
        ask("PUT", "/datastore/label", body=b"x" * 101, max_bytes=100)


def test_errors_become_a_status_and_a_sentence():
    assert answer_to(HandsegInputError("a", "is bad", "mend it")) == (400, "a: is bad; mend it.")
    assert answer_to(UnknownNameError("a", "is not there", "take b"))[0] == 404
    assert answer_to(json.JSONDecodeError("odd", "{", 1))[0] == 400
    assert answer_to(KeyError("x"))[0] == 404
