"""HRNet: an encoder that keeps a branch at a quarter of the image's size beside its coarser ones to the end."""

from __future__ import annotations

from typing import NamedTuple

from monai.networks.nets.resnet import ResNetBlock, ResNetBottleneck
from torch import Tensor, nn

from handseg_bundle_common.errors import HandsegInputError

_STEM_WIDTH = 64


class _Variant(NamedTuple):
    """Depths and widths of an encoder.

    Attributes:
        width: channels of the branch at stride 4; each coarser branch has twice as many as the one before.
        modules: number of modules with two, three and four branches.
        blocks: residual blocks of a branch in one module.
        bottlenecks: blocks of the first layer.
        bottleneck_width: inner channels of these; they give four times as many.
    """

    width: int
    modules: tuple[int, int, int]
    blocks: int
    bottlenecks: int
    bottleneck_width: int


# The models published with the paper, and the two small ones of its authors' repository.
_VARIANTS = {
    "hrnet-w18-small": _Variant(16, modules=(1, 1, 1), blocks=2, bottlenecks=1, bottleneck_width=32),
    "hrnet-w18-small-v2": _Variant(18, modules=(1, 3, 2), blocks=2, bottlenecks=2, bottleneck_width=64),
    "hrnet-w18": _Variant(18, modules=(1, 4, 3), blocks=4, bottlenecks=4, bottleneck_width=64),
    "hrnet-w32": _Variant(32, modules=(1, 4, 3), blocks=4, bottlenecks=4, bottleneck_width=64),
    "hrnet-w48": _Variant(48, modules=(1, 4, 3), blocks=4, bottlenecks=4, bottleneck_width=64),
    "hrnet-w64": _Variant(64, modules=(1, 4, 3), blocks=4, bottlenecks=4, bottleneck_width=64),
}


class HighResolutionModule(nn.Module):
    """Residual blocks in parallel branches, each of which then takes up the features of all the others.

    Args:
        widths: channels of the branches, each at half the size of the one before.
        blocks: residual blocks of a branch.
    """

    def __init__(self, widths: list[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(ResNetBlock(width, width, spatial_dims=2) for _ in range(blocks))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse_layer(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Map one tensor (N, width, H, W) a branch to as many of the same shapes."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        fused = []
        for layers in self.fuse_layers:
            total = layers[0](maps[0])  # type: ignore[index]
            for k in range(1, len(maps)):
                total = total + layers[k](maps[k])  # type: ignore[index]
            fused.append(self.relu(total))
        return fused


class HRNetEncoder(nn.Module):
    """The features of HRNet at strides 2, 4, 8, 16 and 32; height and width are multiples of 32.

    Modules and tensors are named as in the published weights of the classifiers, whose head is left out.

    Source: Wang et al., Deep High-Resolution Representation Learning for Visual Recognition, arXiv:1908.07919.

    Args:
        in_channels: channels of the images.
        model_name: `hrnet-w18-small`, `hrnet-w18-small-v2`, `hrnet-w18`, `hrnet-w32`, `hrnet-w48` or `hrnet-w64`.

    Attributes:
        widths: channels of the features, in the order of `forward`.

    Raises:
        HandsegInputError: no such encoder.
    """

    def __init__(self, in_channels: int, model_name: str) -> None:
        super().__init__()
        if model_name not in _VARIANTS:
            raise HandsegInputError("model_name", f"is {model_name!r}", f"choose one of {', '.join(_VARIANTS)}")
        variant = _VARIANTS[model_name]
        branches = [variant.width << k for k in range(4)]
        self.widths = [_STEM_WIDTH, *branches]
        self.conv1 = nn.Conv2d(in_channels, _STEM_WIDTH, kernel_size=3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM_WIDTH)
        self.conv2 = nn.Conv2d(_STEM_WIDTH, _STEM_WIDTH, kernel_size=3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(_STEM_WIDTH)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _bottlenecks(variant.bottlenecks, variant.bottleneck_width)
        first = ResNetBottleneck.expansion * variant.bottleneck_width
        self.transition1 = nn.ModuleList([_conv_norm_relu(first, branches[0]), _new_branch(first, branches[1])])
        self.stage2 = _stage(branches[:2], variant.modules[0], variant.blocks)
        self.transition2 = _transition(branches[:3])
        self.stage3 = _stage(branches[:3], variant.modules[1], variant.blocks)
        self.transition3 = _transition(branches)
        self.stage4 = _stage(branches, variant.modules[2], variant.blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map images (N, in_channels, H, W) to features (N, widths[k], H / 2 ** (k + 1), W / 2 ** (k + 1))."""
        stem = self.relu(self.bn1(self.conv1(image)))
        first = self.layer1(self.relu(self.bn2(self.conv2(stem))))
        maps = self.stage2([layer(first) for layer in self.transition1])
        for transition, stage in ((self.transition2, self.stage3), (self.transition3, self.stage4)):
            maps = stage([layer(x) for layer, x in zip(transition, [*maps, maps[-1]], strict=True)])
        return [stem, *maps]


def _conv_norm(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> list[nn.Module]:
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False)
    return [conv, nn.BatchNorm2d(out_channels)]


def _conv_norm_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*_conv_norm(in_channels, out_channels, 3, stride), nn.ReLU(inplace=True))


def _bottlenecks(number: int, width: int) -> nn.Sequential:
    """The residual layer between stem and branches; its first block widens the stem's features."""
    widened = ResNetBottleneck.expansion * width
    shortcut = nn.Sequential(*_conv_norm(_STEM_WIDTH, widened, 1, 1))
    blocks = [ResNetBottleneck(_STEM_WIDTH, width, spatial_dims=2, downsample=shortcut)]
    blocks += [ResNetBottleneck(widened, width, spatial_dims=2) for _ in range(number - 1)]
    return nn.Sequential(*blocks)


def _stage(widths: list[int], modules: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(HighResolutionModule(widths, blocks) for _ in range(modules)))


def _transition(widths: list[int]) -> nn.ModuleList:
    """Keep the branches there are and make a further one from the coarsest."""
    return nn.ModuleList([*(nn.Identity() for _ in widths[:-1]), _new_branch(widths[-2], widths[-1])])


def _new_branch(in_channels: int, out_channels: int) -> nn.Sequential:
    """Halve the size; published weights nest this convolution in a list of one."""
    return nn.Sequential(_conv_norm_relu(in_channels, out_channels, stride=2))


def _fuse_layer(widths: list[int], source: int, target: int) -> nn.Module:
    """Bring the features of one branch to size and channels of another."""
    if source == target:
        return nn.Identity()
    if source > target:
        upsample = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*_conv_norm(widths[source], widths[target], 1, 1), upsample)
    halvings = [_conv_norm_relu(widths[source], widths[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*halvings, nn.Sequential(*_conv_norm(widths[source], widths[target], 3, 2)))
