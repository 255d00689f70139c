"""Peak memory of a prediction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    save_weights(EffiSegNet(decoder_channels=16), path, settings={"image_size": 64, "decoder_channels": 16})
    return path


@pytest.fixture
def contestant(script, repository, tmp_path, weights):
    """A bundle whose network works at 64 px."""
    shutil.copytree(repository / "bundles" / "effisegnet" / "configs", tmp_path / "bundle" / "configs")
    return script.Contestant("effisegnet", tmp_path / "bundle", weights, {}, 64)


def test_a_peak_is_not_forgotten(script, contestant, sample_data):
    """1.5 GB are held for a moment while the bundle is loaded; all libraries take half of that."""
    radiograph = Path(data_list(sample_data)[0]["image"])
    configuration = contestant.folder / "configs" / "inference.json"
    settings = json.loads(configuration.read_text())
    configuration.write_text(json.dumps(settings | {"threshold": "$0.5 if bytearray(b'1') * 1_500_000_000 else 0"}))
    peak = script.weigh(contestant, radiograph, "cpu")
    assert 1.6 < peak.process < 3
    assert peak.gpu == 0


def test_what_libraries_print_is_no_peak(script, contestant, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3 warnings\necho 1.5 0.25\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    assert script.weigh(contestant, tmp_path / "hand.png", "cpu") == script.Peak(1.5, 0.25)


def test_a_process_that_fails_says_why(script, contestant, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(SystemExit, match="effisegnet: no room"):
        script.weigh(contestant, tmp_path / "hand.png", "cpu")
