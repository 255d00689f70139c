"""UNet++ against a textbook forward pass with its own weights, and its encoder against published weights."""

from copy import deepcopy
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks.hrnet import HRNetEncoder
from handseg_bundle_common.networks.unetplusplus import UNetPlusPlus

SMALLEST = "hrnet-w18-small"


def randomised(module: nn.Module) -> nn.Module:
    """Give every normalisation weights and statistics that leave a mark, so that none can be skipped unnoticed."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return module


@pytest.fixture(params=[False, True], ids=["one-head", "deep-supervision"])
def network(request) -> UNetPlusPlus:
    torch.manual_seed(0)
    return randomised(UNetPlusPlus(model_name=SMALLEST, deep_supervision=request.param)).double()


def textbook_forward(network: UNetPlusPlus, image: Tensor) -> Tensor:
    """The paper's recursion: X[i, j] = H([X[i, 0], ..., X[i, j - 1], U(X[i + 1, j - 1])]), heads on X[0, j]."""
    height, width = image.shape[-2:]
    features = network.encoder(F.pad(image, (0, -width % 32, 0, -height % 32), mode="replicate"))

    def up(x: Tensor) -> Tensor:
        return F.interpolate(x, size=(2 * x.shape[2], 2 * x.shape[3]), mode="bilinear")

    @cache
    def node(i: int, j: int) -> Tensor:
        if j == 0:
            return features[i]
        x = torch.cat([*(node(i, k) for k in range(j)), up(node(i + 1, j - 1))], dim=1)
        conv1, norm1, _, conv2, norm2, _ = network.rows[i][j - 1]
        x = F.relu(norm1(F.conv2d(x, conv1.weight, padding=1)))
        return F.relu(norm2(F.conv2d(x, conv2.weight, padding=1)))

    heads = [*network.auxiliary_heads, network.head]
    logits = [up(head(node(0, 5 - len(heads) + k))) for k, head in enumerate(heads)]
    return torch.stack(logits).mean(dim=0)[..., :height, :width]


@pytest.mark.parametrize("size", [(64, 96), (50, 33)])
def test_logits_are_the_textbook_ones(network, size):
    image = torch.rand(1, 1, *size, dtype=torch.float64)
    network.eval()
    with torch.inference_mode():
        logits, expected = network(image), textbook_forward(network, image)
    assert logits.shape == (1, NUM_BONES, *size)
    assert expected.std(dim=(2, 3)).max() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


def test_training_is_the_textbook_one(network):
    image, target = torch.rand(2, 1, 50, 70).double(), torch.rand(2, NUM_BONES, 50, 70).double()
    results = []
    for forward in (network, lambda x: textbook_forward(network, x)):
        network.zero_grad()
        logits = forward(image)
        F.binary_cross_entropy_with_logits(logits, target).backward()
        results.append((logits.detach(), {name: p.grad.clone() for name, p in network.named_parameters()}))
    (logits, gradients), (expected, expected_gradients) = results
    torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-6, atol=1e-9)
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_deep_supervision_is_the_mean_of_four_heads():
    torch.manual_seed(0)
    network = UNetPlusPlus(model_name=SMALLEST, deep_supervision=True).eval()
    heads = [*network.auxiliary_heads, network.head]
    image = torch.rand(1, 1, 64, 64)
    for head in heads:
        nn.init.zeros_(head.weight)
    for head, value in zip(heads, (1.0, 2.0, 4.0, 9.0), strict=True):
        nn.init.constant_(head.bias, value)
    with torch.inference_mode():
        torch.testing.assert_close(network(image), torch.full((1, NUM_BONES, 64, 64), 4.0))


def test_weights_with_deep_supervision_hold_all_weights_without_it():
    with torch.device("meta"):
        plain, supervised = (UNetPlusPlus(deep_supervision=flag).state_dict() for flag in (False, True))
    assert {name for name in supervised if name not in plain} == {
        f"auxiliary_heads.{k}.{tensor}" for k in range(3) for tensor in ("weight", "bias")
    }
    assert [list(plain)[-1], list(supervised)[-1]] == ["head.bias", "head.bias"]


@pytest.mark.parametrize(
    ("decoder_channels", "widths"), [(None, [16, 18, 36, 72]), ([4, 6, 10, 7], [4, 6, 10, 7])], ids=["default", "given"]
)
def test_every_node_has_the_width_of_its_row(decoder_channels, widths):
    with torch.device("meta"):
        network = UNetPlusPlus(decoder_channels=decoder_channels)
    assert [[node[3].out_channels for node in row] for row in network.rows] == [[widths[k]] * (4 - k) for k in range(4)]
    assert network(torch.empty(1, 1, 64, 32, device="meta")).shape == (1, NUM_BONES, 64, 32)


def test_the_default_network_is_small():
    with torch.device("meta"):
        network = UNetPlusPlus()
    encoder = sum(p.numel() for p in network.encoder.parameters())
    # Channels into each node, row by row, and the row's width.
    grid = {16: (82, 98, 114, 130), 18: (54, 72, 90), 36: (108, 144), 72: (216,)}
    decoder = sum(9 * width * (n + width) + 4 * width for width, inputs in grid.items() for n in inputs)
    assert sum(p.numel() for p in network.parameters()) == encoder + decoder + 17 * NUM_BONES == 4_266_721


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"model_name": "resnet50"}, "is resnet50; choose one of hrnet-w18-small,"),
        ({"decoder_channels": (16, 18, 36)}, r"decoder_channels: is \[16, 18, 36\]; give four positive widths"),
        ({"decoder_channels": (0, 18, 36, 72)}, r"decoder_channels: is \[0, 18, 36, 72\]; give four"),
        ({"decoder_channels": ()}, r"decoder_channels: is \[\]; give four"),
        ({"pretrained_path": "nowhere.pth"}, "nowhere.pth: cannot be read"),
    ],
    ids=str,
)
def test_bad_arguments_are_explained(arguments, problem):
    with pytest.raises(HandsegInputError, match=problem):
        UNetPlusPlus(**arguments)


class TestPretrainedEncoder:
    """Published weights are those of a classifier of colour images, whose head is not needed."""

    @pytest.fixture(scope="class")
    def classifier(self) -> HRNetEncoder:
        torch.manual_seed(0)
        return randomised(HRNetEncoder(3, SMALLEST)).eval()

    @pytest.fixture
    def published(self, classifier, tmp_path):
        state = {name: x for name, x in classifier.state_dict().items() if not name.endswith("num_batches_tracked")}
        head = {"final_layer.0.weight": torch.zeros(2048, 1024, 1, 1), "classifier.weight": torch.zeros(1000, 2048)}
        torch.save(state | head, tmp_path / "hrnet.pth")
        return str(tmp_path / "hrnet.pth")

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_a_grey_image_has_the_features_of_the_classifier(self, classifier, published, channels):
        network = UNetPlusPlus(channels, model_name=SMALLEST, pretrained_path=published).double().eval()
        grey = torch.rand(1, 1, 64, 96, dtype=torch.float64)
        with torch.inference_mode():
            found = network.encoder(grey.expand(-1, channels, -1, -1))
            expected = deepcopy(classifier).double()(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    def test_colours_stay_as_they_are(self, classifier, published):
        encoder = UNetPlusPlus(3, model_name=SMALLEST, pretrained_path=published).encoder
        assert torch.equal(encoder.conv1.weight, classifier.conv1.weight)

    def test_weights_of_a_deeper_encoder_are_refused_although_every_tensor_is_found(self, tmp_path):
        """HRNet-w18 has the widths of w18-small-v2, and more blocks."""
        torch.save(UNetPlusPlus(model_name="hrnet-w18").encoder.state_dict(), tmp_path / "w18.pth")
        with pytest.raises(HandsegInputError, match=r"holds \d+ tensors of a deeper encoder than this one of \d+"):
            UNetPlusPlus(model_name="hrnet-w18-small-v2", pretrained_path=str(tmp_path / "w18.pth"))

    def test_weights_of_another_encoder_are_refused_with_the_count(self, published):
        with pytest.raises(HandsegInputError, match=r"hrnet.pth: fits only \d+ of the encoder's 720 tensors"):
            UNetPlusPlus(pretrained_path=published)
