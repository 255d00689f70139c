"""Two recipes of EffiSegNet in detail: the reference from ImageNet weights, and fine-tuning from any others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.networks.nets import EfficientNetBN

from handseg_bundle_common.errors import input_error_message
from handseg_bundle_common.losses import DiceBCELoss
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import load_weights, save_weights

# Six hands train: three batches of two, and an optimiser step after the second and the last.
SMALL = {
    "model_name": "efficientnet-b0",
    "image_size": 64,
    "batch_size": 2,
    "accumulation_steps": 2,
    "num_workers": 0,
    "max_epochs": 1,
    "device": "cpu",
}
SETTINGS = {
    "image_size": 64,
    "window_size": None,
    "overlap": 0.25,
    "model_name": "efficientnet-b0",
    "in_channels": 1,
    "decoder_channels": 32,
}


@pytest.fixture(scope="module")
def configs(repository):
    return repository / "bundles" / "effisegnet" / "configs"


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """The reference's classifier of colour images, in place of published weights, and its file."""
    torch.manual_seed(0)
    classifier = EfficientNetBN("efficientnet-b7", pretrained=False)
    path = tmp_path_factory.mktemp("imagenet") / "efficientnet-b7.pth"
    torch.save(classifier.state_dict(), path)
    return classifier, str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of a small network as a training leaves them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "model.pt"
    save_weights(EffiSegNet(), path, settings=SETTINGS)
    return path


def _parser(configs: Path, *overlays: str, **overrides: object) -> ConfigParser:
    """Return train.json under overlays, with nothing instantiated yet."""
    parser = ConfigParser()
    parser.read_config([str(configs / name) for name in ("train.json", *overlays)])
    parser.update({"num_workers": 0, **overrides})
    return parser


def _train(configs: Path, overlays: list[str], folder: Path, **overrides: object) -> ConfigWorkflow:
    """Train one epoch and return the workflow, with the number of optimiser steps in `steps`."""
    workflow = ConfigWorkflow(
        config_file=[str(configs / name) for name in ("train.json", *overlays, "no_tracking.json")],
        logging_file=False,
        workflow_type="train",
        **({"ckpt_dir": str(folder / "models"), "output_dir": str(folder / "output")} | SMALL | overrides),
    )
    workflow.initialize()
    workflow.steps = []
    optimizer = workflow.parser.get_parsed_content("optimizer")
    optimizer.register_step_post_hook(lambda *_: workflow.steps.append(optimizer.param_groups[0]["lr"]))
    workflow.run()
    return workflow


def _message(configs, overlays, folder, **overrides) -> str:
    with pytest.raises(Exception) as caught:
        _train(configs, overlays, folder, **overrides)
    message = input_error_message(caught.value)
    assert message is not None, f"no sentence for {caught.value!r}"
    assert "\n" not in message
    return message


class TestReference:
    """EfficientNet-b7 from ImageNet at 1024 px, binary cross-entropy only."""

    def test_two_steps_of_the_whole_network_from_imagenet_weights(self, configs, imagenet, tmp_path):
        """The recipe itself, but for size and accumulation: six windows are too few for two steps of eight."""
        classifier, path = imagenet
        workflow = _train(configs, ["reference.json"], tmp_path, model_name="efficientnet-b7", pretrained_path=path)
        assert workflow.steps == [0.005, 0.005]
        stored = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
        assert stored["settings"] == SETTINGS | {
            "model_name": "efficientnet-b7",
            "in_channels": 3,
            "decoder_channels": 128,
        }
        stem = stored["model"]["encoder._conv_stem.weight"]
        # AdamW moves a weight by at most the learning rate a step.
        torch.testing.assert_close(stem, classifier._conv_stem.weight.detach(), rtol=0.001, atol=0.0101)
        assert not torch.equal(stem, classifier._conv_stem.weight)

    def test_imagenet_weights_have_to_be_named(self, configs, tmp_path):
        message = _message(configs, ["reference.json"], tmp_path)
        assert message.startswith("--pretrained_path: is missing; name a file with ImageNet weights")
        assert list(tmp_path.iterdir()) == []

    def test_weights_of_another_encoder_are_refused(self, configs, imagenet, tmp_path):
        message = _message(
            configs, ["reference.json"], tmp_path, pretrained_path=imagenet[1], model_name="efficientnet-b2"
        )
        assert "of the encoder's" in message

    def test_the_network_has_the_size_of_the_reference(self, configs):
        """Counted twice, from EffiSegNet-b7 as published with 32 channels and from the ImageNet classifier."""
        with torch.device("meta"):
            network = _parser(configs, "reference.json", pretrained_path=None).get_parsed_content("network_def")
        head_of_features = 640 * 2560 + 2 * 2560
        published = 64_083_728 - head_of_features - _decoder_parameters(32, classes=1)
        classifier = 66_347_960 - head_of_features - (2560 + 1) * 1000
        assert published == classifier
        expected = classifier + _decoder_parameters(128, classes=29)
        assert sum(p.numel() for p in network.parameters()) == expected

    def test_the_learning_rate_falls_by_a_twentieth_after_every_epoch(self, configs):
        """As ExponentialLR stepped once an epoch, although the trainer steps once an iteration."""
        parser = _parser(
            configs, "reference.json", pretrained_path=None, **{"model_name": "efficientnet-b0", "batch_size": 2}
        )
        scheduler = parser.get_parsed_content("lr_scheduler")
        iterations = len(parser.get_parsed_content("train#dataloader"))
        reference = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.005)
        exponential = torch.optim.lr_scheduler.ExponentialLR(reference, gamma=0.95)
        for _ in range(4):
            for _ in range(iterations):
                assert scheduler.get_last_lr() == pytest.approx(exponential.get_last_lr(), rel=1e-12)
                scheduler.optimizer.step()
                scheduler.step()
            reference.step()
            exponential.step()

    def test_the_loss_is_binary_cross_entropy(self, configs):
        loss = _parser(configs, "reference.json").get_parsed_content("loss")
        assert isinstance(loss, DiceBCELoss)
        logits, target = torch.randn(2, 29, 8, 8), torch.rand(2, 29, 8, 8) < 0.3
        expected = torch.nn.BCEWithLogitsLoss()(logits, target.float())
        assert loss(logits, target).item() == pytest.approx(expected.item(), rel=1e-6)


def _decoder_parameters(channels: int, classes: int) -> int:
    """Count what EffiSegNet adds to the features of EfficientNet-b7, layer by layer."""
    levels = sum(9 * width * channels + 2 * channels for width in (32, 48, 80, 224, 640))
    half = channels // 2
    ghost = channels * half + 2 * half + 9 * half + 2 * half
    return levels + 2 * channels + 2 * ghost + channels * classes


class TestFinetuning:
    """A training that starts from weights instead of chance."""

    def test_two_steps_from_given_weights(self, configs, trained, tmp_path):
        before = trained.read_bytes()
        workflow = _train(configs, ["finetune.json"], tmp_path, initial_weights=str(trained))
        assert len(workflow.steps) == 2
        assert max(workflow.steps) <= 0.0002
        old = torch.load(trained, weights_only=True)["model"]
        new = torch.load(tmp_path / "models" / "model.pt", weights_only=True)["model"]
        assert not torch.equal(new["head.weight"], old["head.weight"])
        torch.testing.assert_close(new["head.weight"], old["head.weight"], rtol=0, atol=0.001)
        assert trained.read_bytes() == before
        report = json.loads((tmp_path / "output" / "initial_weights.json").read_text())
        assert report == {
            "weights": str(trained),
            "share": 1.0,
            "missing": [],
            "unexpected": [],
            "other_shape": {},
        }

    def test_by_default_the_bundles_own_weights_stay_as_they_are(self, configs, tmp_path):
        parser = _parser(configs, "finetune.json", bundle_root=str(tmp_path))
        assert parser.get_parsed_content("initial_weights") == f"{tmp_path}/models/model.pt"
        assert parser.get_parsed_content("ckpt_dir") == f"{tmp_path}/models/finetuned"

    def test_weights_that_the_training_would_overwrite_are_refused(self, configs, trained, tmp_path):
        folders = {"initial_weights": str(trained), "ckpt_dir": str(trained.parent)}
        message = _message(configs, ["finetune.json"], tmp_path, **folders)
        assert message == (
            f"{trained}: lies where the training writes its own weights and would be lost; choose another --ckpt_dir."
        )

    def test_another_network_is_refused_with_counts_and_a_complete_list(self, configs, trained, tmp_path):
        wider = {"initial_weights": str(trained), "decoder_channels": 64}
        message = _message(configs, ["finetune.json"], tmp_path, **wider)
        report = tmp_path / "output" / "initial_weights.json"
        assert "tensors of another shape (levels.0.0.weight with (32, 16, 3, 3) for (64, 16, 3, 3), " in message
        assert f'load what fits with "strict": false ({report} lists all)' in message
        assert set(json.loads(report.read_text())["other_shape"]) == _decoder_tensors()
        assert not (tmp_path / "models").exists()

    def test_what_fits_is_loaded_on_request(self, configs, trained, tmp_path, caplog):
        wider = {"initial_weights": str(trained), "decoder_channels": 64, "strict": False, "learning_rate": 0.0}
        _train(configs, ["finetune.json"], tmp_path, **wider)
        new = torch.load(tmp_path / "models" / "model.pt", weights_only=True)["model"]
        old = torch.load(trained, weights_only=True)["model"]
        assert torch.equal(new["encoder._conv_stem.weight"], old["encoder._conv_stem.weight"])
        assert "was trained with decoder_channels 32 and is used with 64" in caplog.text
        assert "of the network, the rest starts anew" in caplog.text

    def test_too_little_that_fits_is_refused(self, configs, trained, tmp_path):
        wider = {"initial_weights": str(trained), "decoder_channels": 64, "strict": False, "min_share": 0.99}
        assert "of the network instead of 99% or more" in _message(configs, ["finetune.json"], tmp_path, **wider)

    def test_missing_weights_are_named(self, configs, tmp_path):
        message = _message(configs, ["finetune.json"], tmp_path, initial_weights=str(tmp_path / "model.pt"))
        assert message.startswith(f"{tmp_path / 'model.pt'}: cannot be read")

    def test_a_reference_training_is_tuned_without_imagenet(self, configs, tmp_path):
        save_weights(EffiSegNet(in_channels=3, decoder_channels=128), tmp_path / "reference.pt")
        parser = _parser(
            configs,
            "reference.json",
            "finetune.json",
            model_name="efficientnet-b0",
            initial_weights=str(tmp_path / "reference.pt"),
            output_dir=str(tmp_path),
        )
        network = parser.get_parsed_content("network")
        expected = load_weights(EffiSegNet(in_channels=3, decoder_channels=128), tmp_path / "reference.pt")
        assert torch.equal(network.head.weight.cpu(), expected.head.weight)


def _decoder_tensors() -> set[str]:
    return {name for name in EffiSegNet().state_dict() if not name.startswith("encoder.")} - {
        name for name in EffiSegNet().state_dict() if name.endswith("num_batches_tracked")
    }
