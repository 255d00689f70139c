"""A bundle that was trained on windows predicts with windows of the same size."""

from __future__ import annotations

import json
import shutil

import pytest
from ignite.engine import Engine
from monai.bundle import ConfigParser

from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.weights import stored_settings


@pytest.fixture
def bundle(repository, tmp_path):
    """A copy of the bundle without weights, whose inference has windows of its own."""
    copy = tmp_path / "effisegnet"
    shutil.copytree(repository / "bundles" / "effisegnet" / "configs", copy / "configs")
    path = copy / "configs" / "inference.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"window_size": 48, "overlap": 0.1}))
    return copy


def _save_as_training_does(bundle, **overrides):
    """Let the training configuration save weights after a validation."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "train.json"))
    parser.update({"bundle_root": str(bundle), "device": "cpu", "image_size": 64, **overrides})
    evaluator = Engine(lambda engine, value: engine.state.metrics.update(mean_dice=value))
    parser.get_parsed_content("best_weights").attach(evaluator)
    evaluator.run([0.5])


@pytest.mark.parametrize(("window_size", "roi"), [(32, 32), (None, 64)], ids=["windows", "whole radiographs"])
def test_prediction_takes_the_windows_of_the_training_over(bundle, window_size, roi):
    _save_as_training_does(bundle, window_size=window_size, overlap=0.5)
    trained = bundle / "models" / "trained" / "model.pt"
    settings = stored_settings(trained)
    assert (settings["window_size"], settings["overlap"]) == (window_size, 0.5)
    inferer = load_predictor(str(bundle), device="cpu", weights=trained).inferer
    assert tuple(inferer.roi_size) == (roi, roi)
    assert inferer.overlap == 0.5
