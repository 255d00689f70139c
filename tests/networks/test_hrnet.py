"""HRNet against the published parameter counts and a forward pass that reads the weights by their published names."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks.hrnet import HRNetEncoder

# Channels at stride 4, bottlenecks, modules a stage, blocks a branch; millions of parameters of stem and stages, and
# parameters of the whole classifier of colour images into 1000 classes.
PUBLISHED = {
    "hrnet-w18-small": (16, 1, (1, 1, 1), 2, 1.48, 13_187_464),
    "hrnet-w18-small-v2": (18, 2, (1, 3, 2), 2, 3.86, 15_597_464),
    "hrnet-w18": (18, 4, (1, 4, 3), 4, 9.56, 21_299_004),
    "hrnet-w32": (32, 4, (1, 4, 3), 4, 29.31, 41_232_680),
    "hrnet-w48": (48, 4, (1, 4, 3), 4, 65.33, 77_469_864),
    "hrnet-w64": (64, 4, (1, 4, 3), 4, 115.70, 128_059_944),
}


def classification_head(widths: list[int]) -> nn.ModuleList:
    """The layers after the last stage: a bottleneck a branch, from fine to coarse, two final layers."""
    layers = nn.ModuleList()
    for width, inner in zip(widths, (32, 64, 128, 256), strict=True):
        for channels, out_channels, kernel_size in (
            (width, inner, 1),
            (inner, inner, 3),
            (inner, 4 * inner, 1),
            (width, 4 * inner, 1),  # the shortcut
        ):
            layers += [nn.Conv2d(channels, out_channels, kernel_size, bias=False), nn.BatchNorm2d(out_channels)]
    for channels, out_channels, kernel_size in ((128, 256, 3), (256, 512, 3), (512, 1024, 3), (1024, 2048, 1)):
        layers += [nn.Conv2d(channels, out_channels, kernel_size), nn.BatchNorm2d(out_channels)]
    return layers.append(nn.Linear(2048, 1000))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("model_name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(model_name):
    width, *_, millions, classifier = PUBLISHED[model_name]
    with torch.device("meta"):
        encoder = HRNetEncoder(3, model_name)
        head = classification_head(encoder.widths[1:])
    assert encoder.widths == [64, width, 2 * width, 4 * width, 8 * width]
    assert round(count(encoder) / 1e6, 2) == millions
    assert count(encoder) + count(head) == classifier


def test_features_have_exact_strides_and_the_stated_widths():
    encoder = HRNetEncoder(3, "hrnet-w18-small").eval()
    for height, width in ((32, 32), (96, 160)):
        with torch.inference_mode():
            features = encoder(torch.rand(2, 3, height, width))
        assert [x.shape[1] for x in features] == encoder.widths
        assert [x.shape[2:] for x in features] == [(height >> k, width >> k) for k in range(1, 6)]


class PublishedForward:
    """The network of the paper in evaluation, layer by layer, with the tensors of a state dictionary."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state
        self.used: set[str] = set()

    def tensor(self, name: str) -> Tensor:
        self.used.add(name)
        return self.state[name]

    def conv_norm(self, conv: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.tensor(f"{conv}.weight")
        x = F.conv2d(x, weight, stride=stride, padding=len(weight[0, 0]) // 2)
        gamma, beta, mean, var = (
            self.tensor(f"{norm}.{name}")[:, None, None] for name in ("weight", "bias", "running_mean", "running_var")
        )
        return gamma * (x - mean) / torch.sqrt(var + 1e-5) + beta

    def residual(self, name: str, x: Tensor, convolutions: int) -> Tensor:
        y = x
        for k in range(1, convolutions + 1):
            y = self.conv_norm(f"{name}.conv{k}", f"{name}.bn{k}", y)
            y = F.relu(y) if k < convolutions else y
        if f"{name}.downsample.0.weight" in self.state:
            x = self.conv_norm(f"{name}.downsample.0", f"{name}.downsample.1", x)
        return F.relu(x + y)

    def fusion(self, name: str, x: Tensor, source: int, target: int) -> Tensor:
        name = f"{name}.fuse_layers.{target}.{source}"
        if source > target:
            x = self.conv_norm(f"{name}.0", f"{name}.1", x)
            for _ in range(source - target):
                x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        for k in range(target - source):
            x = self.conv_norm(f"{name}.{k}.0", f"{name}.{k}.1", x, stride=2)
            x = F.relu(x) if k < target - source - 1 else x
        return x

    def module(self, name: str, maps: list[Tensor], blocks: int) -> list[Tensor]:
        for branch in range(len(maps)):
            for k in range(blocks):
                maps[branch] = self.residual(f"{name}.branches.{branch}.{k}", maps[branch], convolutions=2)
        return [
            F.relu(sum(self.fusion(name, maps[source], source, target) for source in range(len(maps))))
            for target in range(len(maps))
        ]

    def __call__(self, image: Tensor, bottlenecks: int, modules: tuple[int, int, int], blocks: int) -> list[Tensor]:
        stem = F.relu(self.conv_norm("conv1", "bn1", image, stride=2))
        x = F.relu(self.conv_norm("conv2", "bn2", stem, stride=2))
        for k in range(bottlenecks):
            x = self.residual(f"layer1.{k}", x, convolutions=3)
        maps = [F.relu(self.conv_norm("transition1.0.0", "transition1.0.1", x))]
        for stage in (1, 2, 3):
            new = f"transition{stage}.{stage}.0"
            coarsest = x if stage == 1 else maps[-1]
            maps.append(F.relu(self.conv_norm(f"{new}.0", f"{new}.1", coarsest, stride=2)))
            for k in range(modules[stage - 1]):
                maps = self.module(f"stage{stage + 1}.{k}", maps, blocks)
        return [stem, *maps]


@pytest.mark.parametrize("model_name", ["hrnet-w18-small", "hrnet-w18-small-v2", "hrnet-w18"])
def test_features_are_those_of_the_published_network(randomise, model_name):
    torch.manual_seed(0)
    encoder = randomise(HRNetEncoder(2, model_name)).double().eval()
    state = {name: tensor for name, tensor in encoder.state_dict().items() if not name.endswith("num_batches_tracked")}
    _, bottlenecks, modules, blocks, *_ = PUBLISHED[model_name]
    image = torch.rand(1, 2, 64, 96, dtype=torch.float64)
    published = PublishedForward(state)
    with torch.inference_mode():
        expected = published(image, bottlenecks, modules, blocks)
        torch.testing.assert_close(encoder(image), expected, rtol=1e-9, atol=1e-9)
    assert published.used == set(state)


def test_an_unknown_encoder_is_refused_with_the_known_ones():
    with pytest.raises(HandsegInputError, match=r"is 'hrnet-w19'; choose one of .*hrnet-w18-small-v2.*hrnet-w64"):
        HRNetEncoder(1, "hrnet-w19")
