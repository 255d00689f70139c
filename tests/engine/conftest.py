"""Shared fixtures of the handlers' tests: two processes as torchrun starts them."""

from __future__ import annotations

import os
import socket

import pytest
import torch
from torch import distributed, multiprocessing

from handseg_bundle_common.engine import join_processes
from handseg_bundle_common.errors import explain_input_errors


def _process(rank, function, folder, arguments):
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    explain_input_errors()
    join_processes("gloo")
    torch.save(function(*arguments), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture
def on_two_processes(tmp_path, monkeypatch):
    """Run a function on two forked processes, with what torchrun tells them, and return what each returns."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": server.getsockname()[1]}
    for name, value in (address | {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}).items():
        monkeypatch.setenv(name, str(value))

    def run(function, *arguments):
        multiprocessing.start_processes(_process, (function, tmp_path, arguments), nprocs=2, start_method="fork")
        return [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(2)]

    return run
