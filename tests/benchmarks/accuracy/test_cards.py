"""What the benchmark writes into bundles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES, SMALL_BONES


def case(script, number: int, dice: float, small: float):
    scores = np.full((6, NUM_BONES), 0.25)
    scores[0] = dice
    scores[0, [CHANNEL[name] for name in SMALL_BONES]] = small
    return script.Case(f"image{number}", "", f"patient{number}", 1.0, scores)


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A bundle with a page and metadata."""
    folder = tmp_path / "bundles" / "ours"
    for name, text in {
        "docs/README.md": "# Ours\n<!-- benchmark -->\nnone\n<!-- /benchmark -->\nLicence\n",
        "configs/metadata.json": '{"name": "ours", "eval_metrics": {"old": 1}}',
    }.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    return folder


def report_of(script, folder: Path, weights: Path):
    of_half = {
        script.Half.SHIFTED: [case(script, 0, 0.75, 0.5)],
        script.Half.TRAINING: [case(script, 1, 0.875, 0.625), case(script, 2, 0.875, 0.625)],
    }
    contestant = script.contestants_of(folder, weights)
    result = script.Result(contestant, of_half, {}, script.Peak(1.5, 0.0))
    return script.Report([result], [], "make benchmark", 2048, torch.device("cpu"))


@pytest.fixture
def cards(script):
    """The script, with what its parts are made of."""
    import contestants as described  # noqa: PLC0415
    import memory  # noqa: PLC0415
    import scores  # noqa: PLC0415

    script.Case, script.Peak = scores.Case, memory.Peak
    script.contestants_of = lambda folder, weights: described.Contestant(folder.name, folder, weights, {}, 512)
    return script


def test_page_and_metadata_of_a_bundle_tell_its_numbers(cards, bundle):
    report = report_of(cards, bundle, bundle / "models" / "model.pt")
    assert cards.update_cards(bundle.parent, report) == [bundle / "docs" / "README.md"]
    page = (bundle / "docs" / "README.md").read_text()
    assert page.startswith("# Ours\n<!-- benchmark -->\nMade by `make benchmark` on simulated hands of 2048 px")
    assert page.endswith("\n<!-- /benchmark -->\nLicence\n")
    assert "1.00 s an image and 1.50 GB at the peak" in page
    shifted, training = (0.75 * 17 + 0.5 * 12) / NUM_BONES, (0.875 * 17 + 0.625 * 12) / NUM_BONES
    assert f"| shifted | 1 | {shifted:.4f}" in page
    assert f"| training settings | 2 | {training:.4f}" in page
    assert "| pisiform | 0.5000" in page
    assert json.loads((bundle / "configs" / "metadata.json").read_text()) == {
        "name": "ours",
        "eval_metrics": {
            "mean_dice_shifted": round(shifted, 4),
            "small_bone_dice_shifted": 0.5,
            "mean_dice_training_settings": round(training, 4),
            "small_bone_dice_training_settings": 0.625,
        },
    }


def test_other_weights_or_bundles_elsewhere_change_nothing(cards, bundle, tmp_path):
    before = [path.read_bytes() for path in sorted(bundle.rglob("*.*"))]
    assert cards.update_cards(bundle.parent, report_of(cards, bundle, tmp_path / "candidate.pt")) == []
    assert cards.update_cards(tmp_path, report_of(cards, bundle, bundle / "models" / "model.pt")) == []
    assert [path.read_bytes() for path in sorted(bundle.rglob("*.*"))] == before
