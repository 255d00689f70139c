"""The handler that bundles write their predictions with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from PIL import Image

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.formats.rle import decode_rle, read_submission
from handseg_bundle_common.inference import PredictionWriter

Item = dict[str, object]


@pytest.fixture
def item(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Item]:
    """Makes a radiograph on disk with random masks of its size."""
    folder = tmp_path_factory.mktemp("radiographs")
    return partial(_item, folder)


def _item(folder: Path, name: str, seed: int, height: int, width: int) -> Item:
    rng = np.random.default_rng(seed)
    write_radiograph(folder / name, rng.random((height, width), np.float32), bits=8)
    return {
        "image_name": name,
        "image_path": str(folder / name),
        "pred": torch.from_numpy((rng.random((NUM_BONES, height, width)) < 0.5).astype(np.uint8)),
    }


def evaluator(output_dir: Path) -> Engine:
    """An engine that returns the predictions of its batches, as MONAI's evaluators do."""
    engine = Engine(lambda _, batch: [{"pred": entry["pred"]} for entry in batch])
    PredictionWriter(str(output_dir)).attach(engine)
    return engine


def test_writes_masks_and_pictures_of_every_batch(item: Callable[..., Item], tmp_path: Path) -> None:
    batches = [[item("a.png", 0, 20, 30)], [item("b.jpg", 1, 40, 10), item("c.png", 2, 8, 8)]]
    evaluator(tmp_path).run(batches)
    submission = read_submission(tmp_path / "predictions.csv")
    for entry in (entry for batch in batches for entry in batch):
        codes = submission[str(entry["image_name"])]
        size = entry["pred"].shape[1:]
        masks = np.stack([decode_rle(codes[bone], *size) for bone in BONE_NAMES])
        assert np.array_equal(masks, entry["pred"].numpy() != 0)
    assert sorted(path.name for path in (tmp_path / "overlays").iterdir()) == ["a.png", "b.jpg.png", "c.png"]
    with Image.open(tmp_path / "overlays" / "a.png") as picture:
        assert picture.width > 30
        assert picture.height >= 20


def test_an_exception_passes_through_and_leaves_no_submission(item: Callable[..., Item], tmp_path: Path) -> None:
    nameless = item("b.png", 1, 8, 8)
    del nameless["image_name"]
    with pytest.raises(KeyError, match="image_name"):
        evaluator(tmp_path).run([[item("a.png", 0, 8, 8)], [nameless]])
    assert [path.name for path in tmp_path.iterdir()] == ["overlays"]


def test_every_run_writes_anew(item: Callable[..., Item], tmp_path: Path) -> None:
    engine = evaluator(tmp_path)
    engine.run([[item("a.png", 0, 8, 8)]])
    engine.run([[item("b.png", 1, 8, 8)]])
    assert set(read_submission(tmp_path / "predictions.csv")) == {"b.png"}
