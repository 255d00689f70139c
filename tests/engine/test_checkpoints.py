"""Checkpoints: the best weights are kept, and a continued training ends where an uninterrupted one does."""

from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from monai.handlers import LrScheduleHandler
from monai.transforms import EnsureTyped, RandGaussianNoised

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets.seeded import SeededBatchSampler, SeededDataset
from handseg_bundle_common.engine import BestWeights, GradientClipping, SeededEpochs, TrainingCheckpoint
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.weights import load_checkpoint, load_weights, save_checkpoint, save_weights

pytestmark = pytest.mark.filterwarnings("ignore:.*(cuda|CUDA|GradScaler|lr_scheduler.step)")


class CpuScaler:
    """Gives the trainer a GradScaler that works on the CPU and whose scale grows every third step."""

    def attach(self, trainer):
        trainer.add_event_handler(Events.STARTED, self._replace)

    def _replace(self, trainer):
        trainer.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)


class PowerCut(BaseException):
    """What no handler expects."""


def _network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Conv2d(1, NUM_BONES, 1)


def _trainer(path, max_epochs, *, resume, num_workers=0, images=5, settings=None):
    """Three batches an epoch and two to a step of the optimiser, with everything that has a state or is random."""
    torch.manual_seed(1)
    data = [{"image": torch.randn(1, 4, 4), "label": torch.randn(NUM_BONES, 4, 4)} for _ in range(images)]
    dataset = SeededDataset(data, [RandGaussianNoised("image", prob=0.5), EnsureTyped("image", track_meta=False)])
    sampler = SeededBatchSampler(dataset, batch_size=2)
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Dropout(0.3), _network())
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    objects = {"network": network, "optimizer": optimizer, "lr_scheduler": scheduler, "sampler": sampler}
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=max_epochs,
        train_data_loader=DataLoader(
            dataset, batch_sampler=sampler, num_workers=num_workers, persistent_workers=num_workers > 0
        ),
        network=network,
        optimizer=optimizer,
        loss_function=torch.nn.MSELoss(),
        accumulation_steps=2,
        amp=True,
        train_handlers=[
            CpuScaler(),
            SeededEpochs(sampler),
            GradientClipping(optimizer, 0.5),
            LrScheduleHandler(scheduler, print_lr=False, epoch_level=False),
            TrainingCheckpoint(str(path), objects, resume=resume, settings=settings),
        ],
        decollate=False,
    )
    return trainer, objects


def _train(*args, **options):
    trainer, objects = _trainer(*args, **options)
    trainer.run()
    states = {name: copy.deepcopy(thing.state_dict()) for name, thing in objects.items()}
    return states | {"scaler": trainer.scaler.state_dict()}, trainer.state


def _assert_identical(found, expected):
    assert found.pop("sampler") == expected.pop("sampler")
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_training_continued_after_an_epoch_equals_an_uninterrupted_one(tmp_path, num_workers):
    expected, _ = _train(tmp_path / "whole.pt", 4, resume=False)
    assert expected["scaler"]["scale"] > 8
    _train(tmp_path / "parts.pt", 2, resume=False, num_workers=num_workers)
    resumed, state = _train(tmp_path / "parts.pt", 4, resume=True, num_workers=num_workers)
    _assert_identical(resumed, expected)
    assert (state.epoch, state.iteration) == (4, 12)


def test_a_training_continued_after_a_crash_within_an_epoch_equals_an_uninterrupted_one(tmp_path):
    def crash():
        raise PowerCut

    expected, _ = _train(tmp_path / "whole.pt", 3, resume=False)
    trainer, _ = _trainer(tmp_path / "parts.pt", 3, resume=False)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=5), crash)
    with pytest.raises(PowerCut):
        trainer.run()
    resumed, _ = _train(tmp_path / "parts.pt", 3, resume=True)
    _assert_identical(resumed, expected)


def test_without_resume_a_training_starts_from_the_beginning(tmp_path):
    expected, _ = _train(tmp_path / "a.pt", 2, resume=False)
    again, state = _train(tmp_path / "a.pt", 2, resume=False)
    _assert_identical(again, expected)
    assert state.epoch == 2


def test_resume_without_a_checkpoint_starts_from_the_beginning(tmp_path):
    _, state = _train(tmp_path / "absent.pt", 1, resume=True)
    assert state.epoch == 1


def test_resume_on_other_data_is_refused(tmp_path):
    _train(tmp_path / "a.pt", 1, resume=False)
    with pytest.raises(HandsegInputError, match="started with images 5 instead of 6"):
        _train(tmp_path / "a.pt", 2, resume=True, images=6)


def test_a_refused_resume_leaves_the_records_of_the_training_alone(tmp_path):
    _train(tmp_path / "a.pt", 1, resume=False, settings={"fold": 0})
    with pytest.raises(HandsegInputError, match="fold 0 instead of 1"):
        _trainer(tmp_path / "a.pt", 2, resume=True, settings={"fold": 1})


def test_resume_with_other_settings_is_refused_in_one_sentence(tmp_path):
    _train(tmp_path / "a.pt", 1, resume=False, settings={"fold": 0, "image_size": 512, "window_size": None})
    with pytest.raises(HandsegInputError) as caught:
        _train(tmp_path / "a.pt", 2, resume=True, settings={"fold": 1, "image_size": 512, "window_size": 256})
    assert str(caught.value) == (
        "resume: the training was started with fold 0 instead of 1, window_size None instead of 256; "
        "give data and settings as at the start, or start anew."
    )


def test_a_checkpoint_that_does_not_tell_its_settings_is_refused(tmp_path):
    _train(tmp_path / "a.pt", 1, resume=False)
    states = load_checkpoint(tmp_path / "a.pt")
    del states["settings"]
    save_checkpoint(tmp_path / "a.pt", states)
    with pytest.raises(HandsegInputError, match=r"holds no settings to continue from; name the checkpoint\.pt that a"):
        _train(tmp_path / "a.pt", 2, resume=True)


def test_only_a_new_maximum_replaces_the_best_weights(tmp_path):
    network, path = _network(), tmp_path / "model.pt"
    best = BestWeights(network, str(path))
    engine = Engine(lambda engine, value: engine.state.metrics.update(mean_dice=value))
    best.attach(engine)
    for value, bias in [(0.3, 1.0), (0.7, 2.0), (0.5, 3.0)]:
        torch.nn.init.constant_(network.bias, bias)
        engine.run([value])
    assert load_weights(_network(1), str(path)).bias[0] == 2.0
    assert best.best == 0.7


def test_a_resumed_best_is_not_replaced_by_worse_weights(tmp_path):
    network, path = _network(), tmp_path / "model.pt"
    best = BestWeights(network, str(path))
    best.load_state_dict({"best": 0.9})
    engine = Engine(lambda engine, value: engine.state.metrics.update(mean_dice=value))
    best.attach(engine)
    engine.run([0.8])
    assert not path.exists()


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    states = {name: {} for name in ("optimizer", "lr_scheduler", "sampler")}
    network = torch.nn.Conv2d(1, 3, 1).state_dict()
    counters = {"epoch": 1, "iteration": 3}
    save_checkpoint(tmp_path / "other.pt", {"network": network, **states, "settings": {}, "trainer": counters})
    with pytest.raises(HandsegInputError, match="another network than this training has"):
        _train(tmp_path / "other.pt", 2, resume=True)


def test_weights_alone_are_no_checkpoint(tmp_path):
    save_weights(_network(), tmp_path / "model.pt")
    with pytest.raises(HandsegInputError, match="holds no network to continue from"):
        _train(tmp_path / "model.pt", 2, resume=True)
