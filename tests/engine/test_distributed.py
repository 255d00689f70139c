"""What several processes must agree on, tried on two of them."""

from __future__ import annotations

import logging
import sys

import pytest
import torch
from ignite.engine import Engine
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, from_engine
from torch import distributed, multiprocessing

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.engine import (
    BestWeights,
    ExecutedConfig,
    MetricsLog,
    OverlayWriter,
    PerBoneMetrics,
    PerBoneTable,
    SharedBuffers,
    TrainingCheckpoint,
    join_processes,
    unique_run_name,
    validation_sampler,
)
from handseg_bundle_common.engine.distributed import is_main_process, on_main_process
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.metrics import BoneDice

IMAGES = 5
NAMES = [f"hand{number}.png" for number in range(IMAGES)]


def _hands():
    """Return predictions and labels of five small hands, all different, by item."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(IMAGES, 2, NUM_BONES, 8, 8, generator=generator) < 0.5
    return [
        {"image": torch.zeros(1, 8, 8), "pred": pred, "label": label, "image_name": name, "patient": "p1"}
        for (pred, label), name in zip(masks, NAMES, strict=True)
    ]


def _evaluate(folder):
    """Evaluate the hands with all that writes, and return the metrics."""
    hands = Dataset(_hands())
    sampler = validation_sampler(hands)
    batches = [hands[index] for index in (range(IMAGES) if sampler is None else sampler)]

    def iteration(engine, item):
        engine.state.batch = [item]
        return [item]

    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=batches,
        network=(network := torch.nn.Conv2d(1, NUM_BONES, 1)),
        iteration_update=iteration,
        decollate=False,
        key_val_metric={"mean_dice": IgniteMetricHandler(BoneDice(), output_transform=from_engine(["pred", "label"]))},
        val_handlers=[
            PerBoneMetrics(),
            PerBoneTable(str(folder / "per_bone.csv")),
            OverlayWriter(str(folder / "overlays"), count=3),
            MetricsLog(str(folder / "metrics.csv")),
            ExecutedConfig(str(folder)),
            BestWeights(network, str(folder / "model.pt")),
        ],
    )
    evaluator.run()
    return dict(evaluator.state.metrics)


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_evaluation_on_two_processes_equals_one_alone(on_two_processes, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    expected = _evaluate(alone)
    for metrics in on_two_processes(_evaluate, together):
        assert metrics == pytest.approx(expected, rel=1e-12)
    assert _files(together) == _files(alone)
    assert len(list((together / "overlays").rglob("*.png"))) == 3
    assert (together / "per_bone.csv").read_text() == (alone / "per_bone.csv").read_text()


def _write_checkpoint(folder):
    network = torch.nn.Linear(1, 1)
    checkpoint = TrainingCheckpoint(str(folder / f"{distributed.get_rank()}" / "checkpoint.pt"), {"network": network})
    checkpoint.attach(trainer := Engine(lambda *_: None))
    trainer.run([0])


def test_the_first_process_alone_writes_the_checkpoint(on_two_processes, tmp_path):
    on_two_processes(_write_checkpoint, tmp_path / "ranks")
    assert _files(tmp_path / "ranks") == ["0/checkpoint.pt"]


def test_all_processes_have_one_run_name(on_two_processes):
    first, second = on_two_processes(unique_run_name, "trial")
    assert first == second
    assert first.startswith("trial-")


def _share_buffers():
    evaluator = Engine(lambda *_: None)
    SharedBuffers().attach(evaluator)
    evaluator.network = network = torch.nn.BatchNorm2d(2)
    network.running_mean += distributed.get_rank()
    network.num_batches_tracked += distributed.get_rank()
    evaluator.run([0])
    return {name: buffer.tolist() for name, buffer in network.named_buffers()}


def test_a_validation_starts_with_the_buffers_of_the_first_process(on_two_processes):
    expected = {"running_mean": [0, 0], "running_var": [1, 1], "num_batches_tracked": 0}
    assert on_two_processes(_share_buffers) == [expected, expected]


def _too_few_images():
    with pytest.raises(HandsegInputError, match="1 validation images are too few for 2 processes") as caught:
        validation_sampler(Dataset([0]))
    return str(caught.value)


def test_a_process_without_a_validation_image_is_refused(on_two_processes):
    assert "start fewer processes" in on_two_processes(_too_few_images)[1]


def _speak():
    heard = [logging.getLogger().isEnabledFor(level) for level in (logging.WARNING, logging.ERROR)]
    return is_main_process(), on_main_process(lambda word: word)("hello"), heard


def test_the_first_process_speaks(on_two_processes):
    assert on_two_processes(_speak) == [(True, "hello", [True, True]), (False, None, [False, True])]


def test_one_process_needs_no_sampler():
    assert validation_sampler(Dataset([0, 1])) is None
    assert is_main_process()


def test_without_torchrun_there_is_nothing_to_join(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(HandsegInputError, match="for processes of torchrun"):
        join_processes()


def _wait_before_reports():
    """Return how long this process waits before it reports an input error and another one."""
    waited, reported = [], []
    errors = [HandsegInputError("hand.png", "is empty", "copy it again"), RuntimeError("connection lost")]
    sys.excepthook = lambda kind, error, traceback: reported.append(error)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", waited.append)
        join_processes("gloo")
        for error in errors:
            sys.excepthook(type(error), error, None)
    assert reported == errors
    return waited


def test_an_error_of_all_processes_is_reported_by_the_first_one(on_two_processes):
    """A lost connection, which mostly follows from the error of another process, is reported last."""
    first, second = on_two_processes(_wait_before_reports)
    assert len(first) == 1
    assert len(second) == 2
    assert 0 < second[0] < second[1] == first[0]


def _fail(folder):
    """Meet bad input, as all processes do; nobody catches the error."""
    with (folder / f"{distributed.get_rank()}.txt").open("w") as sys.stderr:
        error = HandsegInputError("hand.png", "is empty", "copy it again")
        sys.excepthook(HandsegInputError, error, None)


def test_an_input_error_ends_all_processes_with_one_sentence(on_two_processes, tmp_path):
    with pytest.raises(multiprocessing.ProcessExitedException, match="exit code 2"):
        on_two_processes(_fail, tmp_path)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)] == [
        "handseg: hand.png: is empty; copy it again.\n",
        "",
    ]
