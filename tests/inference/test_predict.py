"""Many radiographs through a bundle: what is written, under which names, and what is not."""

from __future__ import annotations

import csv
import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common import __version__
from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.drawing import overlay
from handseg_bundle_common.ensemble.case import BLANK, case_flags
from handseg_bundle_common.ensemble.confidence import case_confidence
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.probabilities import probabilities_path, read_probabilities
from handseg_bundle_common.formats.radiograph import read_radiograph, write_radiograph
from handseg_bundle_common.formats.rle import decode_rle, read_submission
from handseg_bundle_common.inference import load_predictor, predict
from handseg_bundle_common.transforms import ScaleRadiographd

# Channel k is where the radiograph at its working size is brighter than k / 29.
CONFIG = {
    "threshold": 0.5,
    "network": {"_target_": "torch.nn.Identity"},
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": 60},
    "inferer": "$lambda image, network: 20 * (image - torch.arange(29).view(1, -1, 1, 1) / 29)",
}
SIZE = (60, 44)


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    configs = tmp_path / "tiny" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text("{}")
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    return str(tmp_path / "tiny")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for seed, (name, size) in enumerate({"a,b.png": SIZE, "001.tif": (120, 88), "deep/=c.png": (30, 61)}.items()):
        write_radiograph(folder / name, np.random.default_rng(seed).random(size).astype(np.float32))
    return folder


def decoded(codes: dict[str, str], size: tuple[int, int]) -> np.ndarray:
    return np.stack([decode_rle(codes[bone], *size) for bone in BONE_NAMES])


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_writes_an_overlay_an_image_and_one_submission(bundle: str, images: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = predict([images], bundle, output, device="cpu")
    assert sorted(path.name for path in done.segmented) == ["001.tif", "=c.png", "a,b.png"]
    assert (done.failures, done.kept) == ((), 0)
    assert files_in(output) == {
        "predictions.csv",
        "images.csv",
        "confidence.csv",
        "prediction.json",
        *(f"overlays/{name}" for name in ("a,b.png", "001.tif.png", "=c.png")),
        *(f"segmented/{name}.case" for name in ("a,b.png", "001.tif.png", "=c.png")),
    }
    assert len((output / "predictions.csv").read_text().splitlines()) == 1 + 3 * NUM_BONES


def test_every_bone_has_a_confidence_and_what_is_wrong_stands_on_the_overlay(
    bundle: str, images: Path, tmp_path: Path
) -> None:
    predict([images / "001.tif"], bundle, tmp_path / "out", device="cpu")
    with (tmp_path / "out" / "confidence.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["bone"] for row in rows] == list(BONE_NAMES)
    masks = load_predictor(bundle, device="cpu")(images / "001.tif")
    expected = case_confidence(masks)
    assert [float(row["confidence"]) for row in rows] == pytest.approx([b.confidence for b in expected.bones], abs=1e-4)
    of_case = case_flags(masks, read_radiograph(images / "001.tif"))
    assert of_case and expected.flags  # random grey values make no hand
    with (tmp_path / "out" / "images.csv").open(newline="") as file:
        assert [(row["picture"], row["bones"]) for row in csv.DictReader(file)] == [
            ("; ".join(of_case), "; ".join(expected.flags))
        ]
    with Image.open(tmp_path / "out" / "overlays" / "001.tif.png") as picture:
        plain = overlay(np.zeros((120, 88)), np.zeros((120, 88), np.uint32))
        assert picture.height > len(plain)


def test_images_that_are_wrong_as_a_whole_are_listed_in_a_warning(
    bundle: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    write_radiograph(folder / "blank.png", np.full(SIZE, 0.3, np.float32))
    write_radiograph(folder / "noise.png", np.random.default_rng(0).random(SIZE).astype(np.float32))
    predict([folder], bundle, tmp_path / "out", device="cpu")
    with (tmp_path / "out" / "images.csv").open(newline="") as file:
        reasons = {row["image_name"]: row["picture"] for row in csv.DictReader(file)}
    assert reasons["blank.png"] == BLANK
    assert reasons["noise.png"].startswith(BLANK)
    lines = "".join(f"\n  {name}: {reason}" for name, reason in reasons.items())
    table = tmp_path / "out" / "images.csv"
    assert caplog.messages == [f"2 of 2 images are flagged as a whole ({table}): {lines}"]


def test_what_has_made_the_predictions_is_written_down(bundle: str, images: Path, tmp_path: Path) -> None:
    predict([images / "001.tif"], bundle, tmp_path / "out", device="cpu", threshold=0.6)
    origin = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert (origin["handseg"], origin["bundle"], origin["threshold"]) == (__version__, bundle, 0.6)


def test_probabilities_are_kept_on_request(bundle: str, images: Path, tmp_path: Path) -> None:
    predict([images / "001.tif"], bundle, tmp_path / "out", device="cpu", probabilities=True)
    stored = read_probabilities(probabilities_path(tmp_path / "out", "001.tif"))
    assert stored.native_size == (120, 88)
    predictor = load_predictor(bundle, device="cpu")
    prediction = predictor.predict(images / "001.tif")
    np.testing.assert_allclose(stored.values / 255, predictor.probabilities(prediction), atol=0.5 / 255 + 1e-6)
    assert np.array_equal(stored.values > 127, prediction.logits.numpy() > 0)


def test_images_are_listed_with_size_and_side(bundle: str, images: Path, tmp_path: Path) -> None:
    write_radiograph(images / "hand_L.png", np.random.default_rng(3).random(SIZE).astype(np.float32))
    predict([images], bundle, tmp_path / "out", device="cpu")
    with (tmp_path / "out" / "images.csv").open(newline="") as file:
        rows = {row["image_name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"001.tif", "=c.png", "a,b.png", "hand_L.png"}
    assert (rows["001.tif"]["height"], rows["001.tif"]["width"]) == ("120", "88")
    assert (rows["hand_L.png"]["side"], rows["hand_L.png"]["side_from"]) == ("L", "file_name")
    assert (rows["001.tif"]["side"], rows["001.tif"]["side_from"]) == ("", "")


def test_file_names_that_are_not_unicode_keep_their_bytes(
    bundle: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = os.fsdecode(b"h\xff_R.png")
    write_radiograph(tmp_path / "images" / name, np.random.default_rng(4).random(SIZE).astype(np.float32))
    predict([tmp_path / "images"], bundle, tmp_path / "out", device="cpu")
    assert set(read_submission(tmp_path / "out" / "predictions.csv")) == {name}
    assert (tmp_path / "out" / "images.csv").read_bytes().splitlines()[1].startswith(b"h\xff_R.png,60,44,R,file_name,")
    assert (tmp_path / "out" / "overlays" / name).is_file()
    assert r"  h\udcff_R.png: " in caplog.text


def test_masks_and_pictures_have_the_native_size(bundle: str, images: Path, tmp_path: Path) -> None:
    predict([images], bundle, tmp_path / "out", device="cpu")
    submission = read_submission(tmp_path / "out" / "predictions.csv")
    for name, picture, (height, width) in (("001.tif", "001.tif.png", (120, 88)), ("=c.png", "=c.png", (30, 61))):
        masks = decoded(submission[name], (height, width))
        assert all(later.sum() <= earlier.sum() for earlier, later in pairwise(masks))
        with Image.open(tmp_path / "out" / "overlays" / picture) as overlay:
            assert overlay.width > width
            assert overlay.height >= height


def test_masks_are_the_networks_where_nothing_is_resampled(bundle: str, images: Path, tmp_path: Path) -> None:
    predict([images / "a,b.png"], bundle, tmp_path / "out", device="cpu")
    with Image.open(images / "a,b.png") as picture:
        levels = np.asarray(picture, np.float32)[None] / 65535
    stretched = ScaleRadiographd("image")({"image": levels})["image"]
    steps = stretched - np.arange(NUM_BONES)[:, None, None] / NUM_BONES
    masks = decoded(read_submission(tmp_path / "out" / "predictions.csv")["a,b.png"], SIZE)
    assert np.array_equal(masks[np.abs(steps) > 1e-5], (steps > 0)[np.abs(steps) > 1e-5])


def test_keep_folders_names_results_by_paths(bundle: str, images: Path, tmp_path: Path) -> None:
    predict([images], bundle, tmp_path / "out", device="cpu", keep_folders=True)
    assert set(read_submission(tmp_path / "out" / "predictions.csv")) == {"001.tif", "a,b.png", "deep/=c.png"}
    assert (tmp_path / "out" / "overlays" / "deep" / "=c.png").is_file()


def test_a_second_run_gives_the_same_files(bundle: str, images: Path) -> None:
    """Also with the results among the images: they are not taken for radiographs."""
    predict([images], bundle, images, device="cpu")
    first = {name: (images / name).read_bytes() for name in files_in(images)}
    predict([images], bundle, images, device="cpu")
    assert {name: (images / name).read_bytes() for name in files_in(images)} == first


def test_a_broken_picture_stops_nothing_and_is_listed(bundle: str, images: Path, tmp_path: Path) -> None:
    content = (images / "a,b.png").read_bytes()
    (images / "header.png").write_bytes(b"\x89PNG")
    (images / "pixels.png").write_bytes(content[:900])
    output = tmp_path / "out"
    done = predict([images], bundle, output, device="cpu")
    assert [path.name for path in done.segmented] == ["001.tif", "a,b.png", "=c.png"]
    with (output / "failures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image_name"], row["file"]) for row in rows] == [
        (name, str(images / name)) for name in ("header.png", "pixels.png")
    ]
    assert [row["problem"] for row in rows] == [failure.sentence for failure in done.failures]
    assert all("cannot be read as a picture" in row["problem"] for row in rows)
    assert set(read_submission(output / "predictions.csv")) == {"001.tif", "a,b.png", "=c.png"}

    for name in ("header.png", "pixels.png"):
        (images / name).write_bytes(content)
    again = predict([images], bundle, output, device="cpu")
    assert (len(again.segmented), again.failures, again.kept) == (5, (), 3)
    assert not (output / "failures.csv").exists()


def test_a_file_that_is_named_must_be_there(bundle: str, images: Path, tmp_path: Path) -> None:
    with pytest.raises(HandsegInputError, match=r"absent\.png"):
        predict([images, images / "absent.png"], bundle, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
