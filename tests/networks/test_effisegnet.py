"""EffiSegNet against the published parameter counts, MONAI's own encoder and a textbook forward pass.

`test_networks.py` has what all networks do.
"""

import pytest
import torch
from monai.networks.nets import EfficientNetBN, EfficientNetBNFeatures
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import EffiSegNet

# Parameters with 32 decoder channels and one class, the encoder with its classification head (without the last
# linear layer); channels of the last features; channels of that head.
PUBLISHED = {
    "efficientnet-b0": (4_156_860, 320, 1280),
    "efficientnet-b1": (6_662_496, 320, 1280),
    "efficientnet-b2": (7_864_130, 352, 1408),
    "efficientnet-b3": (10_877_800, 384, 1536),
    "efficientnet-b4": (17_757_832, 448, 1792),
    "efficientnet-b5": (28_577_648, 512, 2048),
    "efficientnet-b6": (41_002_520, 576, 2304),
    "efficientnet-b7": (64_083_728, 640, 2560),
}


@pytest.fixture
def network(randomise) -> EffiSegNet:
    torch.manual_seed(0)
    return randomise(EffiSegNet(drop_connect_rate=0.0))


def textbook_forward(network: EffiSegNet, image: Tensor) -> Tensor:
    """The paper's order: every level to full size, sum, normalise, two whole Ghost modules, point-wise convolution."""
    height, width = image.shape[-2:]
    image = F.pad(image, (0, -width % 32, 0, -height % 32), mode="replicate")
    total = torch.zeros(())
    for features, (conv, _, norm) in zip(network.encoder(image), network.levels, strict=True):
        level = norm(F.relu(F.conv2d(features, conv.weight, padding=1)))
        total = total + F.interpolate(level, size=image.shape[-2:], mode="nearest")
    x = network.norm(total)
    for ghost in (network.ghost1, network.ghost2):
        primary = ghost.primary_norm(F.relu(F.conv2d(x, ghost.primary_conv.weight)))
        cheap = ghost.cheap_norm(F.relu(F.conv2d(primary, ghost.cheap_conv.weight, padding=1, groups=len(primary[0]))))
        x = torch.cat([primary, cheap], dim=1)
    return F.conv2d(x, network.head.weight)[..., :height, :width]


@pytest.fixture(scope="module", params=PUBLISHED)
def large_network(request) -> tuple[str, EffiSegNet]:
    """Every variant for colour images and 29 bones, without memory for its weights."""
    with torch.device("meta"):
        return request.param, EffiSegNet(in_channels=3, model_name=request.param)


def test_parameter_counts_are_the_published_ones(large_network):
    model_name, network = large_network
    published, features, head = PUBLISHED[model_name]
    unused_head = features * head + 2 * head
    more_classes = 28 * 32
    assert sum(p.numel() for p in network.parameters()) == published - unused_head + more_classes


def test_features_have_exact_strides_whatever_the_native_size(large_network):
    _, network = large_network
    for height, width in ((32, 96), (224, 416)):
        features = network.encoder(torch.empty(1, 3, height, width, device="meta"))
        assert [x.shape[-2:] for x in features] == [(height >> k, width >> k) for k in range(1, 6)]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("model_name", ["efficientnet-b0", "efficientnet-b2"])
def test_the_encoder_is_monais(model_name, training):
    torch.manual_seed(0)
    encoder = EffiSegNet(model_name=model_name, drop_connect_rate=0.0).encoder.double()
    reference = EfficientNetBNFeatures(model_name, pretrained=False, in_channels=1).double()
    unused = reference.load_state_dict(encoder.state_dict(), strict=False)
    assert not unused.unexpected_keys
    assert {name.split(".")[0] for name in unused.missing_keys} == {"_conv_head", "_bn1", "_fc"}
    for block in (block for stack in reference._blocks for block in stack):
        block.drop_connect_rate = 0.0
    image = torch.rand(2, 1, 96, 160, dtype=torch.float64)
    expected = reference.train(training)(image)
    torch.testing.assert_close(encoder.train(training)(image), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(224, 224), (250, 250), (1024, 768)])
def test_logits_are_the_textbook_ones(network, size):
    image = torch.rand(1, 1, *size)
    network.eval()
    with torch.inference_mode():
        logits, expected = network(image), textbook_forward(network, image)
    assert logits.shape == (1, NUM_BONES, *size)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_training_is_the_textbook_one(network):
    network.double()
    image, target = torch.rand(2, 1, 90, 122).double(), torch.rand(2, NUM_BONES, 90, 122).double()
    results = []
    for forward in (network, lambda x: textbook_forward(network, x)):
        network.zero_grad()
        logits = forward(image)
        F.binary_cross_entropy_with_logits(logits, target).backward()
        results.append((logits.detach(), {name: p.grad.clone() for name, p in network.named_parameters()}))
    (logits, gradients), (expected, expected_gradients) = results
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-9)
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_drop_connect_rises_linearly_with_depth():
    blocks = [block for stack in EffiSegNet(drop_connect_rate=0.32).encoder._blocks for block in stack]
    assert [block.drop_connect_rate for block in blocks] == pytest.approx([0.02 * depth for depth in range(16)])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"model_name": "efficientnet-b9"}, "efficientnet-b9.*efficientnet-b0"),
        ({"decoder_channels": 33}, "is 33; choose an even number"),
        ({"decoder_channels": 0}, "is 0; choose an even number"),
        ({"pretrained_path": "nowhere.pth"}, "nowhere.pth: cannot be read"),
    ],
    ids=str,
)
def test_bad_arguments_are_explained(arguments, problem):
    with pytest.raises(HandsegInputError, match=problem):
        EffiSegNet(**arguments)


def test_a_classifier_under_the_names_of_efficientnet_pytorch_gives_its_features(randomise, tmp_path):
    """These count blocks through, where MONAI nests them."""
    torch.manual_seed(0)
    classifier = randomise(EfficientNetBN("efficientnet-b0", pretrained=False)).eval()
    state = {}
    for name, tensor in classifier.state_dict().items():
        parts = name.split(".")
        state[".".join(parts[:1] + parts[2:] if parts[0] == "_blocks" else parts)] = tensor
    assert "_blocks.15._project_conv.weight" in state
    torch.save(state, tmp_path / "efficientnet-b0.pth")
    network = EffiSegNet(pretrained_path=str(tmp_path / "efficientnet-b0.pth")).eval()
    grey = torch.rand(1, 1, 64, 96)
    with torch.inference_mode():
        stem = classifier._conv_stem(classifier._conv_stem_padding(grey.expand(-1, 3, -1, -1)))
        expected = classifier._blocks(classifier._swish(classifier._bn0(stem)))
        torch.testing.assert_close(network.encoder(grey)[-1], expected, rtol=1e-4, atol=1e-5)
