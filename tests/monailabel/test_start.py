"""The life of a server: people log in where they have to, and it leaves nothing behind when it ends."""

from __future__ import annotations

import signal

import requests


def test_people_log_in_where_authentication_is_on_and_nothing_is_left(servers, tmp_path, sample_data):
    private = tmp_path / "tmp"
    private.mkdir()
    environment = {"MONAI_LABEL_AUTH_ENABLE": "true", "MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    options = ("--labels", str(tmp_path / "labels"), "--bundles", "unetplusplus", "--host", "0.0.0.0")  # noqa: S104
    url = servers.start(sample_data, tmp_path / "log", *options, **environment, TMPDIR=str(private))
    assert requests.get(f"{url}/auth/", timeout=30).json()["enabled"] is True
    for method, path in (
        ("GET", "/info/"),
        ("GET", "/datastore/"),
        ("POST", "/infer/unetplusplus?image=a"),
        ("PUT", "/datastore/label?image=a"),
        ("POST", "/train/unetplusplus"),
    ):
        assert requests.request(method, url + path, timeout=30).status_code == 401, path
    assert [folder.name[:14] for folder in private.iterdir()] == ["handseg-label-"]
    servers.stop(url, signal.SIGTERM)
    assert not list(private.iterdir())
