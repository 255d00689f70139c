"""A real radiograph through reader, pipeline and prediction; runs where `HANDSEG_REAL_RADIOGRAPH` names one."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handseg_bundle_common.anatomy import BONE_NAMES
from handseg_bundle_common.formats.radiograph import read_radiograph, read_size
from handseg_bundle_common.formats.rle import decode_rle, read_submission
from handseg_bundle_common.inference import predict
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.transforms import inference_transforms
from handseg_bundle_common.weights import save_weights

PATH = os.environ.get("HANDSEG_REAL_RADIOGRAPH")
pytestmark = pytest.mark.skipif(PATH is None, reason="HANDSEG_REAL_RADIOGRAPH names no radiograph")


@pytest.fixture
def radiograph() -> Path:
    return Path(str(PATH))


def test_it_is_read_upright_with_bright_bones(radiograph: Path) -> None:
    image = read_radiograph(radiograph)
    height, width = read_size(radiograph)
    assert image.shape == (1, height, width)
    assert 0 <= image.min() < image.max() <= 1
    middle = image[0, height // 2 : 3 * height // 4, width // 3 : 2 * width // 3]
    assert middle.mean() > 1.2 * np.median(image), "carpus and metacarpals should be brighter than the picture's median"


def test_the_working_image_keeps_its_aspect(radiograph: Path) -> None:
    height, width = read_size(radiograph)
    item = inference_transforms(image_size=256)({"image": str(radiograph)})
    assert max(item["image"].shape) == 256
    assert item["image"].shape[2] / item["image"].shape[1] == pytest.approx(width / height, rel=0.01)
    assert item["native_size"].tolist() == [height, width]


def test_predictions_have_its_native_size(radiograph: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_weights(EffiSegNet(), tmp_path / "model.pt")
    output = tmp_path / "output"
    predict([radiograph], "effisegnet", output, device="cpu", image_size=96, weights=tmp_path / "model.pt")
    size = read_size(radiograph)
    codes = read_submission(output / "predictions.csv")[radiograph.name]
    assert list(codes) == list(BONE_NAMES)
    masks = np.stack([decode_rle(code, *size) for code in codes.values()])
    assert masks.any(), "an untrained network should still mark something"
    with Image.open(output / "overlays" / radiograph.name) as picture:
        assert picture.height >= size[0]
        assert picture.width > size[1]


def test_the_shipped_ensemble_finds_every_bone(radiograph: Path, tmp_path: Path) -> None:
    """One point well inside each bone, where a file beside the picture gives them, is covered by the bone's mask."""
    landmarks = radiograph.with_name(f"{radiograph.stem}_landmarks.json")
    if not landmarks.exists():
        pytest.skip(f"{landmarks} is not there")
    predict([radiograph], "ensemble", tmp_path / "output", device="cpu")
    codes = read_submission(tmp_path / "output" / "predictions.csv")[radiograph.name]
    masks = {bone: decode_rle(code, *read_size(radiograph)) for bone, code in codes.items()}
    points = json.loads(landmarks.read_text())["points"]
    assert sorted(points) == sorted(BONE_NAMES)
    assert [bone for bone, (x, y) in points.items() if not masks[bone][y, x]] == []
    with (tmp_path / "output" / "images.csv").open() as file:
        assert [row["picture"] for row in csv.DictReader(file)] == [""]
