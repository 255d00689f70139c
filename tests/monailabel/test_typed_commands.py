"""Every curl command of docs/monai-label.md, in the order of the page."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import pytest

DOCUMENTED = "http://127.0.0.1:8000"


@pytest.mark.skipif(shutil.which("curl") is None, reason="documented commands (apt-get install curl)")
def test_documented_commands_work(server, repository, tmp_path):
    page = (repository / "docs" / "monai-label.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line.startswith("curl")]
    assert len(commands) >= 14
    shutil.copyfile(server.secret, tmp_path / "hand.png")
    for command in commands:
        while "DELETE" in command and server.get("/train/").json()["status"] == "SUBMITTED":
            time.sleep(0.1)  # a process that has not begun cannot be stopped
        line = command.replace(DOCUMENTED, server.url).replace('"max_epochs": 20', '"max_epochs": 1, "image_size": 64')
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603, S607
        assert done.returncode == 0, f"{command}\n{done.stderr}{done.stdout}"
    assert (tmp_path / "back.seg.nrrd").read_bytes() == (tmp_path / "hand.seg.nrrd").read_bytes()
    assert (tmp_path / "sent.seg.nrrd").read_bytes()[:4] == b"NRRD"
    server.request("DELETE", "/datastore/label?id=sim29-0001/sim29-0001_L&tag=final")
