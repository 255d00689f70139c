"""Predictions of an evaluation: one row a bone and image, from one process or several."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Engine

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.engine import SubmissionFile, submission
from handseg_bundle_common.formats.rle import decode_rle, read_submission


def _evaluate(path, items):
    """Run an engine that returns random masks for every item, and return these by patient and name."""
    generator = torch.Generator().manual_seed(0)
    masks = [(torch.rand((NUM_BONES, 6, 5), generator=generator) < 0.4).to(torch.uint8) for _ in items]
    engine = Engine(lambda engine, batch: [{"pred": masks[engine.state.iteration - 1]}])
    loader = [[item] for item in items]
    SubmissionFile(str(path)).attach(engine)
    engine.run(_Loader(loader, items))
    return dict(zip([(item["patient"], item["image_name"]) for item in items], masks, strict=True))


class _Loader(list):
    """Batches with the data set that a data loader has."""

    def __init__(self, batches, items):
        super().__init__(batches)
        self.dataset = SimpleNamespace(data=items)


def _decoded(codes):
    return np.stack([decode_rle(codes[bone], 6, 5) for bone in BONE_NAMES])


def test_every_image_stands_in_the_file(tmp_path):
    items = [{"patient": "a", "image_name": "1.png"}, {"patient": "b", "image_name": "2.png"}]
    masks = _evaluate(tmp_path / "predictions.csv", items)
    found = read_submission(tmp_path / "predictions.csv")
    assert set(found) == {"1.png", "2.png"}
    for (_, name), expected in masks.items():
        np.testing.assert_array_equal(_decoded(found[name]), expected)


def test_images_of_one_name_are_told_apart_by_patient(tmp_path):
    items = [{"patient": patient, "image_name": name} for patient, name in (("a", "1.png"), ("b", "1.png"))]
    masks = _evaluate(tmp_path / "predictions.csv", items)
    found = read_submission(tmp_path / "predictions.csv")
    assert set(found) == {"a/1.png", "b/1.png"}
    for (patient, name), expected in masks.items():
        np.testing.assert_array_equal(_decoded(found[f"{patient}/{name}"]), expected)


@pytest.mark.parametrize("rank", [0, 1])
def test_of_two_processes_the_first_writes_the_images_of_both(tmp_path, monkeypatch, rank):
    other = {"2.png": ["1 2"] * NUM_BONES}

    def gather(codes, parts):
        if parts is not None:
            parts[:] = [codes, other]

    monkeypatch.setattr(submission.idist, "get_world_size", lambda: 2)
    monkeypatch.setattr(submission, "is_main_process", lambda: rank == 0)
    monkeypatch.setattr(submission.torch.distributed, "gather_object", gather)
    _evaluate(tmp_path / "predictions.csv", [{"patient": "a", "image_name": "1.png"}])
    if rank == 0:
        assert set(read_submission(tmp_path / "predictions.csv")) == {"1.png", "2.png"}
    else:
        assert not (tmp_path / "predictions.csv").exists()


def test_an_evaluation_that_fails_leaves_no_file(tmp_path):
    engine = Engine(lambda engine, batch: [{}])
    SubmissionFile(str(tmp_path / "predictions.csv")).attach(engine)
    items = [{"patient": "a", "image_name": "1.png"}]
    with pytest.raises(KeyError, match="pred"):
        engine.run(_Loader([items], items))
    assert not list(tmp_path.iterdir())
