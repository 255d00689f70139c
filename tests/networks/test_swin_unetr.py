"""SwinUNETR against MONAI's own network with the same weights.

`test_networks.py` has what all networks do.
"""

import pytest
import torch
from monai.networks import nets
from monai.networks.layers import DropPath
from torch import nn
from torch.nn import functional as F  # noqa: N812

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import SwinUNETR


def monais(network: SwinUNETR, **arguments) -> nets.SwinUNETR:
    """MONAI's network with the weights of one of ours."""
    reference = nets.SwinUNETR(in_channels=1, out_channels=NUM_BONES, spatial_dims=2, **arguments)
    reference.load_state_dict(network.state_dict())
    return reference


def gradients(network: nn.Module, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what a training step leaves, the random parts of which are the same in every call."""
    torch.manual_seed(1)
    network.train().zero_grad()
    network(image).square().mean().backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def test_a_feature_size_of_24_has_six_million_parameters():
    parameters = sum(p.numel() for p in SwinUNETR().parameters())
    assert parameters == sum(p.numel() for p in nets.SwinUNETR(1, NUM_BONES, spatial_dims=2).parameters())
    assert parameters == pytest.approx(6.3e6, rel=0.01)


def test_logits_and_gradients_are_monais():
    torch.manual_seed(0)
    network = SwinUNETR(feature_size=12)
    reference = monais(network, feature_size=12)
    image = torch.rand(2, 1, 64, 96)
    torch.testing.assert_close(network(image), reference(image), rtol=0, atol=0)
    torch.testing.assert_close(gradients(network, image), gradients(reference, image), rtol=0, atol=0)


@pytest.mark.parametrize(("size", "monais_size"), [((100, 65), (128, 96)), ((32, 96), (64, 96)), ((1, 1), (64, 64))])
def test_other_sizes_are_those_of_a_repeated_border(size, monais_size):
    torch.manual_seed(0)
    network = SwinUNETR(feature_size=12)
    image = torch.rand(1, 1, *size)
    padding = (0, monais_size[1] - size[1], 0, monais_size[0] - size[0])
    expected = monais(network, feature_size=12)(F.pad(image, padding, mode="replicate"))
    torch.testing.assert_close(network(image), expected[:, :, : size[0], : size[1]], rtol=0, atol=0)


def test_checkpoints_change_no_gradient():
    networks = [SwinUNETR(feature_size=12, drop_path_rate=0.5, use_checkpoint=flag) for flag in (False, True)]
    networks[1].load_state_dict(networks[0].state_dict())
    image = torch.rand(2, 1, 64, 64)
    torch.testing.assert_close(gradients(networks[1], image), gradients(networks[0], image), rtol=0, atol=0)


def test_drop_path_rises_linearly_with_depth():
    network = SwinUNETR(feature_size=12, drop_path_rate=0.7)
    rates = [module.drop_prob for module in network.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0.1 * depth for depth in range(1, 8)])


@pytest.mark.parametrize("feature_size", [0, 13, 32])
def test_a_feature_size_that_is_no_multiple_of_12_is_refused(feature_size):
    with pytest.raises(HandsegInputError, match=rf"feature_size: is {feature_size}; choose a multiple of 12"):
        SwinUNETR(feature_size=feature_size)
