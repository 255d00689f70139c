"""UNet++ against a textbook forward pass with its own weights, and its encoder against published weights."""

from functools import cache

import pytest
import torch
from monai.losses import DeepSupervisionLoss
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.losses import DiceBCELoss
from handseg_bundle_common.networks.hrnet import HRNetEncoder
from handseg_bundle_common.networks.unetplusplus import UNetPlusPlus

SMALLEST = "hrnet-w18-small"


@pytest.fixture(params=[False, True], ids=["one-head", "deep-supervision"])
def network(request, randomise) -> UNetPlusPlus:
    torch.manual_seed(0)
    return randomise(UNetPlusPlus(model_name=SMALLEST, deep_supervision=request.param)).double()


def textbook_logits(network: UNetPlusPlus, image: Tensor) -> list[Tensor]:
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
    return [up(head(node(0, 5 - len(heads) + k)))[..., :height, :width] for k, head in enumerate(heads)]


@pytest.mark.parametrize("size", [(64, 96), (50, 33)])
def test_logits_are_the_mean_of_the_textbook_ones(network, size):
    image = torch.rand(1, 1, *size, dtype=torch.float64)
    network.eval()
    with torch.inference_mode():
        logits, expected = network(image), torch.stack(textbook_logits(network, image)).mean(dim=0)
    assert logits.shape == (1, NUM_BONES, *size)
    assert expected.std(dim=(2, 3)).max() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


def as_list(logits: Tensor | list[Tensor]) -> list[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


def test_training_is_the_textbook_one_at_every_head(network):
    image, target = torch.rand(2, 1, 50, 70).double(), torch.rand(2, NUM_BONES, 50, 70).double()
    results = []
    for forward in (network, lambda x: textbook_logits(network, x)):
        network.zero_grad()
        logits = as_list(forward(image))
        sum(F.binary_cross_entropy_with_logits(x, target) for x in logits).backward()
        gradients = {name: p.grad.clone() for name, p in network.named_parameters()}
        results.append(([x.detach() for x in logits], gradients))
    (logits, gradients), (expected, expected_gradients) = results
    torch.testing.assert_close(logits, expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-6, atol=1e-9)
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


class TestDeepSupervision:
    """Four heads: their logits one by one in training, their mean in evaluation."""

    @pytest.fixture
    def supervised(self) -> UNetPlusPlus:
        torch.manual_seed(0)
        return UNetPlusPlus(model_name=SMALLEST, deep_supervision=True)

    def test_logits_of_all_heads_have_the_images_size(self, supervised):
        logits = supervised(torch.rand(2, 1, 50, 70))
        assert [x.shape for x in logits] == [(2, NUM_BONES, 50, 70)] * 4

    def test_the_last_logits_in_training_are_those_of_the_network_without_it(self, supervised):
        plain = UNetPlusPlus(model_name=SMALLEST)
        plain.load_state_dict(supervised.state_dict(), strict=False)
        image = torch.rand(2, 1, 64, 64)
        assert torch.equal(plain(image), supervised(image)[-1])

    def test_monais_loss_reaches_every_head_and_node(self, supervised):
        target = (torch.rand(2, NUM_BONES, 64, 64) < 0.3).float()
        logits = supervised(torch.rand(2, 1, 64, 64))
        loss = DeepSupervisionLoss(DiceBCELoss(), weights=[0.25] * 4)(logits, target)
        assert loss.item() == pytest.approx(sum(DiceBCELoss()(x, target).item() for x in logits) / 4, rel=1e-5)
        loss.backward()
        assert all(parameter.grad.any() for parameter in supervised.parameters())

    def test_weights_without_it_load_by_their_names(self, supervised):
        plain = UNetPlusPlus(model_name=SMALLEST)
        result = supervised.load_state_dict(plain.state_dict(), strict=False)
        assert not result.unexpected_keys
        assert set(result.missing_keys) == {
            f"auxiliary_heads.{k}.{tensor}" for k in range(3) for tensor in ("weight", "bias")
        }
        assert list(supervised.state_dict())[-1] == list(plain.state_dict())[-1] == "head.bias"


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
        ({"model_name": "resnet50"}, "is 'resnet50'; choose one of hrnet-w18-small,"),
        ({"decoder_channels": [16, 18, 36]}, r"decoder_channels: is \[16, 18, 36\]; give four positive whole numbers"),
        ({"decoder_channels": (0, 18, 36, 72)}, r"decoder_channels: is \(0, 18, 36, 72\); give four"),
        ({"decoder_channels": [16.0, 18, 36, 72]}, r"decoder_channels: is \[16.0, 18, 36, 72\]; give four"),
        ({"decoder_channels": 16}, r"decoder_channels: is 16; give four"),
        ({"decoder_channels": "wide"}, r"decoder_channels: is 'wide'; give four"),
        ({"pretrained_path": "nowhere.pth"}, "nowhere.pth: cannot be read"),
    ],
    ids=str,
)
def test_bad_arguments_are_explained(arguments, problem):
    with pytest.raises(HandsegInputError, match=problem):
        UNetPlusPlus(**arguments)


def test_a_classifier_under_its_published_names_gives_its_features(randomise, tmp_path):
    torch.manual_seed(0)
    classifier = randomise(HRNetEncoder(3, SMALLEST)).double().eval()
    head = {"final_layer.0.weight": torch.zeros(2048, 1024, 1, 1), "classifier.weight": torch.zeros(1000, 2048)}
    torch.save(classifier.state_dict() | head, tmp_path / "hrnet.pth")
    encoder = UNetPlusPlus(model_name=SMALLEST, pretrained_path=str(tmp_path / "hrnet.pth")).encoder.double().eval()
    grey = torch.rand(1, 1, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        expected = classifier(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(encoder(grey), expected, rtol=1e-4, atol=1e-5)
