"""Peak memory of a prediction."""

from __future__ import annotations

import pytest
import torch

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    save_weights(EffiSegNet(decoder_channels=16), path, settings={"image_size": 64, "decoder_channels": 16})
    return path


def test_a_process_has_at_least_its_tensors(script, weights, sample_data):
    radiograph = data_list(sample_data)[0]["image"]
    held = torch.ones(100_000_000, dtype=torch.uint8)
    peak = script.peak_of("effisegnet", str(weights), radiograph, "cpu")
    assert peak.process > held.numel() / 1e9
    assert torch.cuda.is_available() or peak.gpu == 0


def test_a_process_that_fails_says_why(script, weights, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    contestant = script.Contestant("effisegnet", tmp_path, weights, {}, 64)
    with pytest.raises(SystemExit, match="effisegnet: no room"):
        script.weigh(contestant, tmp_path / "hand.png", "cpu")
