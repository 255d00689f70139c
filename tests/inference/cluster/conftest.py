"""Radiographs and bundles for runs on a cluster, and a cluster that is none: actors in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.inference.cluster import predict, stream
from handseg_bundle_common.inference.cluster.actor import Actor, Task
from handseg_bundle_common.inference.cluster.items import Item
from handseg_bundle_common.inference.cluster.machines import Actors, Machine

COUNT = 5
# Channel k is where the radiograph is brighter than k / 29.
CONFIG = {
    "threshold": 0.5,
    "network": {"_target_": "torch.nn.Identity"},
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": 32},
    "inferer": "$lambda image, network: 20 * (image - torch.arange(29).view(1, -1, 1, 1) / 29)",
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    configs = tmp_path / "tiny" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text("{}")
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    return tmp_path / "tiny"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(COUNT):
        rng = np.random.default_rng(number)
        write_radiograph(tmp_path / "images" / f"{number}.png", rng.random((40, 30)).astype(np.float32))
    return tmp_path / "images"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the radiographs that went through actors, which work in this process on batches of two."""
    names: list[str] = []

    @contextmanager
    def connected(_: ModuleType) -> Iterator[list[Machine]]:
        yield [Machine(1, 0)]

    def one_pass(
        _: ModuleType, task: Task, items: Sequence[Item], keys: dict[str, str], __: Actors, *, size: int, retries: int
    ) -> Iterator[pa.Table]:
        actor = Actor(task)
        for first in range(0, len(items), size):
            batch = items[first : first + size]
            names.extend(item.name for item in batch)
            yield actor(pa.Table.from_pylist([{**asdict(item), "key": keys[item.name]} for item in batch]))

    monkeypatch.setattr(predict, "import_ray", lambda: None)
    monkeypatch.setattr(predict, "connected", connected)
    monkeypatch.setattr(stream, "batch_size", lambda *_: 2)
    monkeypatch.setattr(stream, "_one_pass", one_pass)
    yield names
