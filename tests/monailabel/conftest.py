"""The server of `make label` as a process on a free port, over simulated hands in nested folders.

These tests run in the environment of MONAI Label, by `make test-label`, and are not collected in any other.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("monailabel") else ["test_*.py"]

STARTS_WITHIN_S = 120


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: its address.
        studies: its folder of radiographs.
        secret: a file beside that folder, which nobody may read or change.
    """

    url: str
    studies: Path
    secret: Path

    @property
    def labels(self) -> Path:
        return self.studies / "labels"

    def request(self, method: str, path: str, **options: Any) -> Any:
        import requests  # noqa: PLC0415

        return requests.request(method, self.url + path, timeout=300, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Any:
        return self.request("PUT", path, **options)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(studies: Path, log: Path, *options: str, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server as `make label` does, and wait until it answers."""
    import requests  # noqa: PLC0415

    port = free_port()
    launch = [sys.executable, "-m", "handseg_bundle_common.monailabel_app.launch"]
    command = [*launch, "--studies", str(studies), "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}, cwd=log.parent
        )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            requests.get(f"{url}/openapi.json", timeout=5)
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return process, url
    process.kill()
    raise AssertionError(log.read_text())


class Servers:
    """Servers by their addresses."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, studies: Path, log: Path, *options: str, **environment: str) -> str:
        """Start one and return its address."""
        process, url = start(studies, log, *options, **environment)
        self._running[url] = process
        return url

    def stop(self, url: str, number: int = signal.SIGINT) -> None:
        """End one as Ctrl+C or `kill` does."""
        process = self._running.pop(url)
        process.send_signal(number)
        try:
            assert process.wait(120) == 0
        finally:
            process.kill()

    def stop_all(self) -> None:
        for url in list(self._running):
            self.stop(url)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Starts servers, which end with the tests."""
    running = Servers()
    yield running
    running.stop_all()


@pytest.fixture(scope="session")
def server(servers: Servers, tmp_path_factory: pytest.TempPathFactory, sample_data: Path) -> Server:
    """Two bundles over four hands: `sim29-0001/<image>.png` and `clinic/sim29-0002/<image>.png`."""
    folder = tmp_path_factory.mktemp("label")
    studies, secret = folder / "studies", folder / "secret.png"
    for patient, place in (("sim29-0001", ""), ("sim29-0002", "clinic")):
        shutil.copytree(sample_data / "DCM" / patient, studies / place / patient)
    shutil.copyfile(sample_data / "DCM" / "sim29-0003" / "sim29-0003_L.png", secret)
    # What runs in the background would make the order of the tests count.
    environment = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    url = servers.start(studies, folder / "server.log", "--bundles", "unetplusplus,ensemble", **environment)
    return Server(url, studies, secret)
