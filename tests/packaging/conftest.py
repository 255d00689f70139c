"""A bundle that is exported in seconds."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

SETTINGS = {"image_size": 64, "decoder_channels": 8}


@pytest.fixture(scope="session")
def small_bundle(repository, tmp_path_factory) -> Path:
    """A copy of a bundle with a small network of random weights, in a folder of another name."""
    folder = tmp_path_factory.mktemp("small") / "mine"
    shutil.copytree(repository / "bundles" / "effisegnet", folder, ignore=shutil.ignore_patterns("*.pt", "eval"))
    for name in ("train.json", "inference.json"):
        change(folder / "configs" / name, **SETTINGS)
    torch.manual_seed(0)
    weights = folder / "models" / "model.pt"
    save_weights(EffiSegNet(decoder_channels=8), weights, settings=SETTINGS)
    content = weights.read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    change(folder / "configs" / "metadata.json", name="small", weights={"models/model.pt": entry})
    return folder


def change(path: Path, **values: object) -> None:
    """Give keys of a JSON file other values."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
