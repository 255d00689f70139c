"""A real cluster of two nodes: a worker is killed in mid-run, and the results are those of one machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from handseg_bundle_common.cli import main
from handseg_bundle_common.inference import predict as predict_here
from handseg_bundle_common.inference.cluster.parts import PartsWriter

# Pixels of the radiographs and of the network's input.
SIDE, WORKING = 160, 128
OPTIONS = f"--bundle effisegnet --device cpu --image-size {WORKING} --precision float32"

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each."""
    pytest.importorskip("ray", reason="a cluster (pip install handseg[cluster])")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    started = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    started.add_node(**node)
    yield started
    started.shutdown()


@pytest.fixture
def images(sample_data: Path, tmp_path: Path) -> Path:
    """The sample's hands, shrunk and also upside down, and one file that is no picture."""
    (tmp_path / "images").mkdir()
    for path in sorted(sample_data.rglob("DCM/*/*.png")):
        hand = Image.open(path).resize((SIDE, SIDE))
        hand.save(tmp_path / "images" / path.name)
        hand.rotate(180).save(tmp_path / "images" / f"turned_{path.name}")
    (tmp_path / "images" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "images"


def workers(cluster: Any) -> list[int]:
    """Return the processes of this cluster that hold an actor with the bundle."""
    raylets = {
        str(process.process.pid) for node in cluster.list_all_nodes() for process in node.all_processes["raylet"]
    }
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)  # noqa: S607
    found = (line.split(maxsplit=2) for line in table.stdout.splitlines())
    return [int(pid) for pid, parent, *args in found if parent in raylets and "MapWorker" in "".join(args)]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if name.split("/")[0] not in ("results", "segmented")}


def test_a_killed_worker_changes_nothing(
    cluster: Any, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed: list[int] = []
    waiting: list[int] = []
    add = PartsWriter.add
    count = len(list(images.iterdir()))

    def kill_at_the_first_row(self: PartsWriter, rows: pa.Table) -> None:
        add(self, rows)
        waiting.append(rows.num_rows)
        if rows.num_rows and not killed:
            killed.extend(workers(cluster)[:1])
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(PartsWriter, "add", kill_at_the_first_row)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    there = tmp_path / "there"
    assert main(["predict", str(images), *OPTIONS.split(), "--output", str(there), "--engine", "ray"]) == 1
    told = capsys.readouterr().out
    assert f"{count - 1} segmented" in told
    assert "1 failed" in told
    assert len(killed) == 1
    assert killed[0] not in workers(cluster)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    predict_here([images], "effisegnet", tmp_path / "here", device="cpu", image_size=WORKING, precision="float32")
    torch.set_num_threads(threads)
    assert contents(there) == contents(tmp_path / "here")
    rows = [row for part in there.glob("results/*") for row in pq.read_table(part).to_pylist()]
    assert Counter(row["image_name"] for row in rows) == {path.name: 1 for path in images.iterdir()}
    assert any(bone["rle"] for row in rows for bone in row["bones"] or ())
