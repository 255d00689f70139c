"""Averaged weights: they equal averages kept by hand, leave the training alone and continue where they stopped."""

from __future__ import annotations

import copy
import csv
import logging
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from ignite.engine import Events
from ignite.metrics import Average
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler
from monai.optimizers import WarmupCosineSchedule
from monai.transforms import Compose, EnsureTyped, RandGaussianNoised
from torch.optim.lr_scheduler import SequentialLR
from torch.optim.swa_utils import SWALR, AveragedModel

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets.seeded import SeededBatchSampler, SeededDataset
from handseg_bundle_common.engine import (
    ExponentialMovingAverage,
    MetricsLog,
    SeededEpochs,
    TrainingCheckpoint,
    WeightAveraging,
)
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_checkpoint, load_weights

pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler.step")

IMAGES, EPOCH_LENGTH = 5, 3
EMA = {"momentum": 0.1, "momentum_warmup": 0.9, "warmup_iters": 7}


class PowerCut(BaseException):
    """What no handler expects."""


def _dataset():
    generator = torch.Generator().manual_seed(1)
    data = [
        {
            "image": torch.randn(1, 4, 4, generator=generator),
            "label": torch.randn(NUM_BONES, 4, 4, generator=generator),
        }
        for _ in range(IMAGES)
    ]
    return SeededDataset(data, Compose([RandGaussianNoised("image", prob=0.5), EnsureTyped("image", track_meta=False)]))


def _network():
    """Two normalisations: one of the images, one of what a convolution makes of them."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.BatchNorm2d(1),
        torch.nn.Dropout(0.3),
        torch.nn.Conv2d(1, 2, 1),
        torch.nn.BatchNorm2d(2),
        torch.nn.Conv2d(2, NUM_BONES, 1),
    )


def _evaluator(network):
    distance = Average(lambda output: (output["pred"] - output["label"]).abs().mean())
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(_dataset().data), batch_size=1),
        network=network,
        key_val_metric={"mean_dice": distance},
        decollate=False,
    )


class Training:
    """Three batches an epoch, two to a step of the optimiser, and averages of one kind or both."""

    def __init__(
        self, folder, max_epochs=5, *, resume=False, num_workers=0, swa=True, ema=None, learning_rate=0.1, **options
    ):
        self.folder = folder
        self.dataset = _dataset()
        self.sampler = SeededBatchSampler(self.dataset, batch_size=2)
        loader = DataLoader(
            self.dataset, batch_sampler=self.sampler, num_workers=num_workers, persistent_workers=num_workers > 0
        )
        self.network = _network()
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=learning_rate)
        base = WarmupCosineSchedule(optimizer, warmup_steps=2, t_total=5 * EPOCH_LENGTH)
        late = SWALR(optimizer, swa_lr=0.05, anneal_epochs=2 * EPOCH_LENGTH)
        scheduler = SequentialLR(optimizer, [base, late], milestones=[2 * EPOCH_LENGTH])
        self.objects = {"network": self.network, "optimizer": optimizer, "lr_scheduler": scheduler}
        handlers = [SeededEpochs(self.sampler), LrScheduleHandler(scheduler, print_lr=False, epoch_level=False)]
        if swa:
            options = {"start": 2, "path": str(folder / "swa.pt")} | options
            average = AveragedModel(self.network)
            self.swa = WeightAveraging(self.network, average, loader, _evaluator(average.module), **options)
            self.objects["swa"] = self.swa
            handlers.append(self.swa)
        if ema is not None:
            self.ema = ExponentialMovingAverage(self.network, **ema)
            self.objects["ema"] = self.ema
            handlers.append(self.ema)
        checkpoint = TrainingCheckpoint(str(folder / "checkpoint.pt"), self.objects, resume=resume)
        self.trainer = SupervisedTrainer(
            device=torch.device("cpu"),
            max_epochs=max_epochs,
            train_data_loader=loader,
            network=self.network,
            optimizer=optimizer,
            loss_function=torch.nn.MSELoss(),
            accumulation_steps=2,
            train_handlers=[*handlers, MetricsLog(str(folder / "metrics.csv")), checkpoint],
            decollate=False,
        )
        self.weights = []
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, self._note_weights)

    def _note_weights(self):
        self.weights.append(copy.deepcopy(dict(self.network.named_parameters())))

    def run(self):
        self.trainer.run()
        return self

    def metrics(self):
        with (self.folder / "metrics.csv").open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Five epochs, of which the last three are averaged."""
    return Training(tmp_path_factory.mktemp("whole"), ema=EMA).run()


def test_the_average_is_the_mean_of_the_weights_after_the_last_epochs(training):
    assert len(training.weights) == 5
    for name, average in training.swa.average.module.named_parameters():
        expected = sum(weights[name] for weights in training.weights[2:]) / 3
        torch.testing.assert_close(average, expected)
        assert not torch.allclose(average, training.weights[-1][name], rtol=1e-3)


def test_the_saved_average_tells_its_epoch_and_metric(training):
    saved = load_weights(_network(), str(training.folder / "swa.pt"))
    torch.testing.assert_close(saved.state_dict(), training.swa.average.module.state_dict(), rtol=0, atol=0)
    content = load_checkpoint(training.folder / "swa.pt")
    assert content["epoch"] == 5
    assert content["mean_dice"] == pytest.approx(float(training.metrics()[-1]["swa_mean_dice"]))


def test_the_average_is_validated_with_new_statistics(training):
    """The evaluator sees the network as saved, and its statistics are not those of the trained network."""
    saved = load_weights(_network(), str(training.folder / "swa.pt")).eval()
    distances = [(saved(item["image"][None]) - item["label"]).abs().mean().item() for item in training.dataset.data]
    assert float(training.metrics()[-1]["swa_mean_dice"]) == pytest.approx(np.mean(distances), rel=1e-5)
    assert not torch.allclose(saved[3].running_mean, training.network[3].running_mean, rtol=1e-2)


def _batch_statistics(values):
    """Return mean and unbiased variance of every channel of a batch (N, C, H, W)."""
    return values.mean(axis=(0, 2, 3)), values.var(axis=(0, 2, 3), ddof=1)


@pytest.mark.parametrize(("batches", "used"), [(2, 2), (100, EPOCH_LENGTH)])
def test_statistics_are_means_over_the_first_batches_of_the_epoch(tmp_path, batches, used):
    """Layer after layer in NumPy, without dropout and with each batch normalised by itself."""
    training = Training(tmp_path, batches=batches).run()
    state = {name: value.double().numpy() for name, value in training.swa.average.module.state_dict().items()}
    training.sampler.set_epoch(5)
    found = []
    for draws in list(training.sampler)[:used]:
        image = np.stack([training.dataset[draw]["image"].double().numpy() for draw in draws])
        mean, variance = image.mean(), image.var()
        normal = (image - mean) / np.sqrt(variance + 1e-5) * state["0.weight"] + state["0.bias"]
        convolved = np.einsum("oi,nihw->nohw", state["2.weight"][:, :, 0, 0], normal) + state["2.bias"][:, None, None]
        found.append([_batch_statistics(image), _batch_statistics(convolved)])
    for layer, name in enumerate("03"):
        for number, statistic in enumerate(("running_mean", "running_var")):
            expected = np.mean([batch[layer][number] for batch in found], axis=0)
            np.testing.assert_allclose(state[f"{name}.{statistic}"], expected, rtol=1e-5)
        assert state[f"{name}.num_batches_tracked"] == used


def test_momenta_and_modes_are_restored(training):
    modules = list(training.swa.average.modules())
    assert not any(module.training for module in modules)
    assert [module.momentum for module in modules if isinstance(module, torch.nn.BatchNorm2d)] == [0.1, 0.1]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_training_goes_on_as_if_nothing_were_averaged(tmp_path, num_workers):
    """Persistent workers share one iterator, which a loop over two of three batches would leave half-way."""
    alone = Training(tmp_path / "alone", swa=False).run()
    averaging = Training(tmp_path / "averaging", batches=2, num_workers=num_workers)
    states = []
    for event in (Events.ITERATION_COMPLETED(every=EPOCH_LENGTH), Events.EPOCH_COMPLETED):
        averaging.trainer.add_event_handler(event, lambda: states.append(torch.get_rng_state()))
    averaging.run()
    torch.testing.assert_close(averaging.network.state_dict(), alone.network.state_dict(), rtol=0, atol=0)
    assert all(torch.equal(before, after) for before, after in zip(states[::2], states[1::2], strict=True))


def test_statistics_come_from_the_precision_of_the_training(tmp_path, monkeypatch):
    """On the CPU there is no mixed precision, so a stand-in notes what is asked for."""
    asked = []
    monkeypatch.setattr("torch.autocast", lambda *args, **options: asked.append((args, options)) or nullcontext())
    training = Training(tmp_path, max_epochs=4)
    options = {"amp": True, "amp_kwargs": {"dtype": torch.bfloat16}}
    training.trainer.add_event_handler(Events.STARTED, lambda: vars(training.trainer).update(options))
    training.run()
    assert asked == [(("cuda",), {"dtype": torch.bfloat16})] * 2


def test_metrics_appear_in_the_epochs_with_a_validation_alone(tmp_path):
    rows = Training(tmp_path, start=0, interval=2).run().metrics()
    assert [row["epoch"] for row in rows if row["swa_mean_dice"]] == ["2", "4", "5"]


def _power_cut():
    raise PowerCut


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_training_continued_before_or_amid_the_averaging_equals_an_uninterrupted_one(tmp_path, training, epoch):
    interrupted = Training(tmp_path, ema=EMA)
    interrupted.trainer.add_event_handler(Events.ITERATION_STARTED(once=epoch * EPOCH_LENGTH + 2), _power_cut)
    with pytest.raises(PowerCut):
        interrupted.run()
    resumed = Training(tmp_path, ema=EMA, resume=True).run()
    assert resumed.metrics() == training.metrics()
    found, expected = (load_checkpoint(folder / "checkpoint.pt") for folder in (tmp_path, training.folder))
    assert found["lr_scheduler"] == expected["lr_scheduler"]
    for name in ("network", "optimizer", "swa", "ema", "trainer"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    found, expected = (load_checkpoint(folder / "swa.pt") for folder in (tmp_path, training.folder))
    torch.testing.assert_close(found.pop("model"), expected.pop("model"), rtol=0, atol=0)
    assert found == expected


def test_a_start_after_the_last_epoch_is_refused(tmp_path):
    with pytest.raises(HandsegInputError) as caught:
        Training(tmp_path, max_epochs=3, start=3).run()
    assert str(caught.value) == (
        "swa_start: 3 leaves no epoch of 3 to average; choose 0 or more, and less than max_epochs."
    )


@pytest.mark.parametrize("name", ["batches", "interval"])
def test_no_batches_and_no_interval_are_refused(tmp_path, name):
    with pytest.raises(HandsegInputError, match=f"swa_{name}: 0 is too few"):
        Training(tmp_path, **{name: 0})


def test_without_batch_normalisation_no_batch_is_loaded(tmp_path, caplog):
    """The network has no statistics, so that the handler can do without a loader."""
    training = Training(tmp_path, swa=False)
    network = torch.nn.Conv2d(1, NUM_BONES, 1)
    average = AveragedModel(network)
    swa = WeightAveraging(network, average, None, _evaluator(average.module), str(tmp_path / "swa.pt"), start=0)
    swa.attach(training.trainer)
    with caplog.at_level(logging.INFO, "handseg_bundle_common"):
        training.run()
    assert [message for message in caplog.messages if "no batch normalisation" in message] == [
        "the network has no batch normalisation, so its average needs no statistics"
    ]
    torch.testing.assert_close(swa.average.module.state_dict(), network.state_dict())


def _statistics(folder, batches):
    """Return the statistics after one epoch in which the network learns nothing."""
    training = Training(folder, max_epochs=1, start=0, batches=batches, learning_rate=0.0).run()
    return {name: value for name, value in training.swa.average.module.state_dict().items() if "running" in name}


def test_statistics_of_two_processes_are_means_over_the_batches_of_both(on_two_processes, tmp_path):
    """One batch of each process is the first two of one alone."""
    expected = _statistics(tmp_path / "alone", 2)
    for found in on_two_processes(_statistics, tmp_path / "together", 1):
        torch.testing.assert_close(found, expected)


def _warm_up(update):
    """Return the momentum of an update: a straight line from 0.9 to 0.1 within seven."""
    return max(0.1, 0.9 + (0.1 - 0.9) * update / 6)


def test_the_exponential_average_moves_once_a_step(tmp_path):
    """Three batches an epoch make two steps, after the second and the third."""
    training = Training(tmp_path, ema=EMA, swa=False)
    expected = copy.deepcopy(dict(training.network.named_parameters()))
    momenta = iter(_warm_up(update) for update in range(100))

    def step(*_):
        momentum = next(momenta)
        for name, parameter in training.network.named_parameters():
            expected[name].data.mul_(1 - momentum).add_(momentum * parameter.data)

    training.objects["optimizer"].register_step_post_hook(step)
    training.run()
    assert next(momenta) == _warm_up(10)
    torch.testing.assert_close(dict(training.ema.ema_model.named_parameters()), expected)


def test_the_exponential_average_needs_no_warm_up(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = Training(whole, ema={"momentum": 0.2}, swa=False).run()
    Training(parts, max_epochs=2, ema={"momentum": 0.2}, swa=False).run()
    resumed = Training(parts, resume=True, ema={"momentum": 0.2}, swa=False).run()
    torch.testing.assert_close(resumed.ema.ema_model.state_dict(), expected.ema.ema_model.state_dict(), rtol=0, atol=0)
