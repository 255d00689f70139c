"""The curve of few labels with a random small network on a few small hands."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from handseg_bundle_common.datasets import data_list, fold_split
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.simulation import write_hands
from handseg_bundle_common.weights import save_weights, stored_settings


@pytest.fixture
def bundle(repository, tmp_path):
    """A bundle with weights that nobody has trained."""
    pytest.importorskip("numba")
    folder = tmp_path / "effisegnet"
    shutil.copytree(repository / "bundles" / "effisegnet" / "configs", folder / "configs")
    torch.manual_seed(0)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    metadata.pop("weights", None)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    settings = {"image_size": 64, "window_size": None, "decoder_channels": 16}
    save_weights(EffiSegNet(decoder_channels=16), folder / "models" / "model.pt", settings=settings)
    return folder


def test_the_first_hands_train_and_the_last_patient_is_validated(script, tmp_path):
    hands = write_hands(6, 96, 5, tmp_path / "hands", workers=1)
    folds = script.labelled_subset(hands, 3, tmp_path / "three")
    assert len(data_list(folds.parent)) == 5
    trained, validated = (fold_split(folds.parent, folds, 0, part) for part in ("training", "validation"))
    assert sorted(item["image_name"] for item in trained) == sorted(hand.name for hand in hands[:3])
    assert sorted(item["image_name"] for item in validated) == sorted(hand.name for hand in hands[4:])


def test_more_labels_cost_no_more_and_nothing_is_done_twice(script, bundle, tmp_path, monkeypatch):
    words = ["--counts", "0,2", "--bundles", str(bundle), "--test", "2", "--size", "96", "--presented", "4"]
    words += ["--threads", "1", "--output", str(tmp_path / "output")]
    monkeypatch.setattr(script, "draw", lambda curves: _Figure())
    script.main(words)
    page = (tmp_path / "output" / "few-labels.md").read_text()
    assert "| 0 | 0." in page
    assert "| 2 | 0." in page
    assert f"python benchmarks/few_labels.py --counts 0,2 --bundles {bundle}" in page
    assert (tmp_path / "output" / "pictures" / "few_labels.png").read_text() == "drawn"
    (tuned,) = (tmp_path / "output").rglob("done.pt")
    assert torch.load(tuned, weights_only=True)["epoch"] == 2
    assert stored_settings(tuned)["image_size"] == 64
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: pytest.fail("trained twice"))
    monkeypatch.setattr(script, "load_predictor", lambda *_, **__: pytest.fail("scored twice"))
    script.main(words)
    assert (tmp_path / "output" / "few-labels.md").read_text() == page


def test_the_figure_has_a_line_a_bundle_with_its_intervals(script):
    scores = {count: script.Score((0.5 + count / 100, 0.4, 0.8), (0.4, 0.3, 0.5)) for count in (0, 2, 20)}
    figure = script.draw({"first": scores, "second": scores})
    assert [len(axes.containers) for axes in figure.axes] == [2, 2]
    line = figure.axes[0].containers[0].lines[0]
    assert line.get_xydata().tolist() == [[0, 0.5], [2, 0.52], [20, 0.7]]
    figure.savefig("/dev/null", format="png")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "2", "20"]


class _Figure:
    """Stands in for a drawing."""

    def savefig(self, path, **_):
        path.write_text("drawn")
