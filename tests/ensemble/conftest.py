"""Bundles of one convolution, as members of ensembles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.weights import save_weights

MemberDescription = dict[str, Any]


@pytest.fixture
def toy_member(tmp_path: Path) -> Callable[..., MemberDescription]:
    """A function that writes a bundle whose logits are `slope * image + bias`, and describes it as a member."""

    def make(
        name: str,
        slope: float = 1.0,
        bias: float = 0.0,
        image_size: int = 32,
        channels: int = NUM_BONES,
        **rest: Any,
    ) -> MemberDescription:
        folder = tmp_path / f"bundle-{name}"
        (folder / "configs").mkdir(parents=True)
        bones = {str(channel): bone for channel, bone in enumerate(BONE_NAMES)}
        metadata = {"name": name, "network_data_format": {"outputs": {"pred": {"channel_def": bones}}}}
        (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
        config = {
            "bundle_root": str(folder),
            "image_size": 99,
            "window_size": None,
            "overlap": 0.25,
            "sw_batch_size": 1,
            "flip": False,
            "network_def": {
                "_target_": "torch.nn.Conv2d",
                "in_channels": 1,
                "out_channels": channels,
                "kernel_size": 1,
            },
            "inferer": {
                "_target_": "handseg_bundle_common.windows.WindowInferer",
                "image_size": "@image_size",
                "window_size": "@window_size",
                "overlap": "@overlap",
                "flip": "@flip",
            },
        }
        (folder / "configs" / "inference.json").write_text(json.dumps(config))
        network = nn.Conv2d(1, channels, 1)
        nn.init.constant_(network.weight, slope)
        nn.init.constant_(network.bias, bias)
        save_weights(network, folder / "model.pt", settings={"image_size": image_size})
        return {"name": name, "bundle": str(folder), "weights": "model.pt", **rest}

    return make


@pytest.fixture
def image() -> torch.Tensor:
    """One radiograph of 32 px with every grey value."""
    return torch.rand((1, 1, 32, 32), generator=torch.Generator().manual_seed(0))
