"""MONAI's export and verification commands on the bundle: TorchScript and ONNX give PyTorch's logits."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from monai.bundle import ckpt_export, onnx_export, verify_net_in_out
from torch import nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import load_weights, save_weights

NETWORK = {"model_name": "efficientnet-b0", "in_channels": 1, "decoder_channels": 16}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights as a training leaves them, whose logits are large enough to differ visibly."""
    torch.manual_seed(0)
    network = EffiSegNet(**NETWORK)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    nn.init.normal_(network.head.weight, std=5.0)
    path = tmp_path_factory.mktemp("models") / "model.pt"
    save_weights(network, path, settings={**NETWORK, "image_size": 64})
    return path


@pytest.fixture
def arguments(repository, weights):
    """What both exports are called with; the file nests the network under "model"."""
    configs = repository / "bundles" / "effisegnet" / "configs"
    return {
        "net_id": "network_def",
        "ckpt_file": str(weights),
        "key_in_ckpt": "model",
        "meta_file": str(configs / "metadata.json"),
        "config_file": str(configs / "inference.json"),
        **NETWORK,
    }


def random_images(*size: int) -> torch.Tensor:
    """Return seeded images (batch, 1, height, width)."""
    batch, height, width = size
    return torch.rand((batch, 1, height, width), generator=torch.Generator().manual_seed(batch))


def pytorch_logits(weights, images: torch.Tensor) -> torch.Tensor:
    network = load_weights(EffiSegNet(**NETWORK), weights).eval()
    with torch.inference_mode():
        logits: torch.Tensor = network(images)
    assert logits.std() > 0.5
    return logits


def test_torchscript_gives_the_same_logits_at_every_size(arguments, weights, tmp_path):
    ckpt_export(filepath=str(tmp_path / "model.ts"), **arguments)
    exported = torch.jit.load(tmp_path / "model.ts")
    for size in ((1, 64, 64), (3, 32, 96), (2, 150, 77)):
        images = random_images(*size)
        with torch.inference_mode():
            torch.testing.assert_close(exported(images), pytorch_logits(weights, images), rtol=0, atol=1e-5)


def test_torchscript_carries_metadata_and_configuration(arguments, repository, tmp_path):
    ckpt_export(filepath=str(tmp_path / "model.ts"), **arguments)
    files = {"metadata.json": "", "inference.json": ""}
    torch.jit.load(tmp_path / "model.ts", _extra_files=files)
    channels = json.loads(files["metadata.json"])["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert len(channels) == NUM_BONES
    assert json.loads(files["inference.json"])["network_def"]["model_name"] == "@model_name"


def test_weights_of_another_network_are_not_exported(arguments, tmp_path):
    with pytest.raises(RuntimeError, match="size mismatch"):
        ckpt_export(filepath=str(tmp_path / "model.ts"), **(arguments | {"decoder_channels": 32}))
    assert not (tmp_path / "model.ts").exists()


def test_onnx_gives_the_same_logits_for_every_batch(arguments, weights, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "model.onnx"
    names = {"input_names": ["image"], "output_names": ["pred"], "dynamic_axes": {"image": {0: "batch"}}}
    # The example holds two images, because an axis of length one would stay fixed.
    onnx_export(filepath=str(path), input_shape=[2, 1, 64, 96], converter_kwargs=names, **arguments)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        images = random_images(batch, 64, 96)
        (logits,) = session.run(["pred"], {"image": images.numpy()})
        assert np.abs(logits - pytorch_logits(weights, images).numpy()).max() <= 1e-4


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_network_takes_and_returns_what_metadata_says(repository, n):
    configs = repository / "bundles" / "effisegnet" / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
        n=n,
    )
