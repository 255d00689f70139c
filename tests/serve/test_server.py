"""The server on a port: this computer only, sentences for what cannot be, and long uploads from real sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.serve import serve

from .conftest import MOST_BYTES, NAME


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org", ""])  # noqa: S104
def test_other_computers_are_not_let_in(folders, host):
    with pytest.raises(HandsegInputError, match=r"there is no password; leave it out.*ssh -L"):
        serve(folders, host=host)


def test_a_port_that_is_taken_or_none_is_a_sentence(folders):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(HandsegInputError, match="cannot be used"):
        serve(folders, port=taken.getsockname()[1])
    with pytest.raises(HandsegInputError, match="must be 0 to 65535"):
        serve(folders, port=70_000)


def test_it_listens_on_this_computer_alone(address):
    port = int(address.rpartition(":")[2])
    with urllib.request.urlopen(f"{address}/api/about") as answer:  # noqa: S310
        assert answer.status == 200
        assert "server" not in answer.headers
    others = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)} - {"127.0.0.1"}
    for other in others:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((other, port), timeout=5)


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_long_upload_is_answered_before_it_has_been_read(address, tells_length):
    host, port = "127.0.0.1", int(address.rpartition(":")[2])
    length = b"Content-Length: 999999999999" if tells_length else b"Transfer-Encoding: chunked"
    head = b"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="hand.png"\r\n\r\n'
    with socket.create_connection((host, port), timeout=20) as client:
        client.sendall(head + length + b"\r\n\r\n")
        if not tells_length:
            for block in (start, *[bytes(2**16)] * (MOST_BYTES // 2**16 + 1)):
                client.sendall(b"%x\r\n%s\r\n" % (len(block), block))
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    with urllib.request.urlopen(f"{address}/api/about") as other:  # noqa: S310
        assert other.status == 200


def test_the_process_tells_its_address_and_deletes_everything_at_its_end(folders, radiograph, tmp_path):
    command = [sys.executable, "-m", "handseg_bundle_common.cli", "serve", "--port", "0", "--bundle"]
    settings = {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(  # noqa: S603
        [*command, folders["effisegnet"]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings
    ) as process:
        address = process.stdout.readline().split()[3]
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n' % NAME.encode()
        body += radiograph.read_bytes() + b"\r\n--x--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        with urllib.request.urlopen(urllib.request.Request(f"{address}/api/studies", body, kind)) as answer:  # noqa: S310
            assert answer.status == 201
        assert len(list(tmp_path.glob("handseg-serve-*/*/masks.npy"))) == 1
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said == "Ended; all radiographs and masks are deleted.\n"
    assert NAME not in complaints
    assert list(tmp_path.glob("handseg-serve-*")) == []
    assert Path(tempfile.gettempdir()) != tmp_path
