"""Strangers are refused: other hosts, other origins; and browsers are told to be strict."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost", "127.0.0.1:9"])
def test_this_computer_is_served_by_its_names_and_any_port_of_a_tunnel(served, host):
    assert served.client.get("/api/about", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "", "192.168.0.7:8000", "localhost:80:80"]
)
def test_names_that_were_rebound_to_this_computer_are_refused(served, host):
    for address in ("/", "/api/about"):
        answer = served.client.get(address, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.json()["error"]["remedy"] == "open the page as 127.0.0.1 or localhost"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8000"},
    ],
)
def test_other_pages_can_neither_send_nor_ask(served, study, headers):
    address = f"/api/studies/{study['id']}"
    for method, below in (("POST", "/again"), ("DELETE", ""), ("GET", "/overlay.png")):
        answer = served.client.request(method, address + below, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["why"] == "comes from another page"
    assert served.client.get(address).status_code == 200


def test_the_own_page_and_programs_can(served, study):
    for headers in (
        {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {},
    ):
        assert served.client.get(f"/api/studies/{study['id']}", headers=headers).status_code == 200


def test_a_link_elsewhere_may_open_the_page(served):
    assert served.client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_no_other_origin_is_ever_allowed(served):
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = served.client.options("/api/studies", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("address", ["/", "/main.js", "/api/about", "/absent", "/api/openapi.json"])
def test_every_answer_keeps_browsers_strict(served, address):
    headers = served.client.get(address).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_length_that_is_none_is_refused(served):
    answer = served.client.post("/api/studies", headers={"Content-Length": "-1"})
    assert answer.status_code == 413
