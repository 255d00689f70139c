"""A batch that is killed, or that fills the disk: nothing half-written, and a rerun gives what a first run gives."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.inference import predict

# Channel k is where the radiograph is brighter than k / 29.
CONFIG = {
    "threshold": 0.5,
    "network": {"_target_": "torch.nn.Identity"},
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": 64},
    "inferer": "$lambda image, network: 20 * (image - torch.arange(29).view(1, -1, 1, 1) / 29)",
}
COUNT = 6
# Ends as `kill -9` would end it, with the fourth file written and not yet under its name.
KILLED = """
import os, signal, sys
from handseg_bundle_common.inference import predict
synced = []
def fsync(handle):
    synced.append(handle)
    if len(synced) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
predict([sys.argv[1]], sys.argv[2], sys.argv[3], device="cpu")
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    configs = tmp_path_factory.mktemp("tiny") / "configs"
    configs.mkdir()
    (configs / "metadata.json").write_text("{}")
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    return str(configs.parent)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of which the last is the largest."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(COUNT):
        size = (300, 200) if number == COUNT - 1 else (64, 48)
        write_radiograph(folder / f"{number:02}.png", np.random.default_rng(number).random(size).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def expected(bundle: str, images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run that nothing disturbs writes, file by file."""
    output = tmp_path_factory.mktemp("first") / "out"
    predict([images], bundle, output, device="cpu")
    return contents(output)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def complete(folder: Path) -> dict[str, bytes]:
    """Return the files that have taken their names; what was being written begins with a dot."""
    return {name: data for name, data in contents(folder).items() if not Path(name).name.startswith(".")}


def test_a_batch_that_is_killed_leaves_whole_files_and_runs_again_to_the_same(
    bundle: str, images: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = [sys.executable, "-c", KILLED, str(images), bundle, str(output)]
    process = subprocess.run(arguments, capture_output=True, check=False)  # noqa: S603
    assert process.returncode == -signal.SIGKILL
    assert len(contents(output)) > len(complete(output))  # what was being written keeps its temporary name
    left = complete(output)
    assert len(left) == 3
    assert "predictions.csv" not in left
    assert left.items() <= expected.items()
    predict([images], bundle, output, device="cpu")
    assert contents(output) == expected


def test_a_full_disk_leaves_whole_files_and_the_batch_runs_again_to_the_same(
    bundle: str, images: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """No file may grow beyond a size that only the overlay of the last picture has."""
    output = tmp_path / "out"
    last = f"overlays/{COUNT - 1:02}.png"
    others = max(len(data) for name, data in expected.items() if name.startswith("overlays/") and name != last)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (others + 100, limits[1]))
    try:
        with pytest.raises(HandsegInputError, match=r"cannot be written .*free space"):
            predict([images], bundle, output, device="cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    left = contents(output)
    assert "predictions.csv" not in left
    assert left.items() <= expected.items()
    predict([images], bundle, output, device="cpu")
    assert contents(output) == expected
