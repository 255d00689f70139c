"""The unit of work that any engine can call: it travels to another process and never stops at a bad file."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.formats.radiograph import read_radiograph, write_radiograph
from handseg_bundle_common.formats.rle import decode_packed
from handseg_bundle_common.inference import Failure, Segmenter, SegmenterSettings, Source, load_predictor
from handseg_bundle_common.inference.findings import find
from handseg_bundle_common.inference.loading import load_radiograph
from handseg_bundle_common.inference.records import read_record, record_of, write_record
from handseg_bundle_common.transforms import ScaleRadiographd

CONFIG = {
    "threshold": 0.5,
    "network": {"_target_": "torch.nn.Identity"},
    "preprocessing": {"_target_": "handseg_bundle_common.transforms.inference_transforms", "image_size": 32},
    "inferer": "$lambda image, network: 20 * (image - torch.arange(29).view(1, -1, 1, 1) / 29)",
}


@pytest.fixture
def settings(tmp_path: Path) -> SegmenterSettings:
    configs = tmp_path / "tiny" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text("{}")
    (configs / "inference.json").write_text(json.dumps(CONFIG))
    return SegmenterSettings(str(tmp_path / "tiny"), "cpu")


@pytest.fixture
def sources(tmp_path: Path) -> list[Source]:
    good, broken = tmp_path / "hand_R.png", tmp_path / "broken.png"
    write_radiograph(good, np.random.default_rng(0).random((50, 40)).astype(np.float32))
    broken.write_bytes(b"broken")
    return [Source(good, "p/hand_R.png"), Source(broken, "p/broken.png"), Source(good, "again.png")]


def test_rows_are_those_of_the_masks(settings: SegmenterSettings, sources: list[Source]) -> None:
    record, failure, other = Segmenter(settings)(sources)
    masks = load_predictor(settings.bundle, device="cpu")(sources[0].path)
    assert (record.name, record.height, record.width, record.side) == ("p/hand_R.png", 50, 40, "R")
    np.testing.assert_array_equal(decode_packed(record.codes, 50, 40), masks)
    assert record == record_of("p/hand_R.png", masks, find("hand_R.png", "", read_radiograph(sources[0].path), masks))
    assert other.codes == record.codes
    assert failure == Failure("p/broken.png", str(sources[1].path), failure.sentence)
    assert "cannot be read as a picture" in failure.sentence


def test_a_segmenter_travels_to_another_process(settings: SegmenterSettings, sources: list[Source]) -> None:
    segmenter = Segmenter(settings)
    here = segmenter(sources)
    copy = pickle.loads(pickle.dumps(segmenter))  # noqa: S301 - made above
    assert vars(copy) == {"settings": settings}
    assert copy(sources) == here == pickle.loads(pickle.dumps(here))  # noqa: S301
    assert copy.fingerprint == segmenter.fingerprint


def test_the_fingerprint_tells_settings_apart_and_not_places(settings: SegmenterSettings, tmp_path: Path) -> None:
    first = Segmenter(settings).fingerprint
    assert Segmenter(replace(settings, threshold=0.6)).fingerprint != first
    moved = (tmp_path / "tiny").rename(tmp_path / "elsewhere")
    assert Segmenter(replace(settings, bundle=str(moved))).fingerprint == first


def test_records_on_disk_are_what_was_written(
    settings: SegmenterSettings, sources: list[Source], tmp_path: Path
) -> None:
    (record,) = Segmenter(settings)(sources[:1])
    path = tmp_path / "a.case"
    write_record(path, "key", record, ["overlay"])
    assert read_record(path) == read_record(path, "key", ["overlay"]) == record
    assert read_record(path, "other") is None
    assert read_record(path, "key", ["overlay", "nifti"]) is None
    whole = path.read_text()
    for damaged in ("", "{", "[]", whole[:-9], whole.replace('"height"', '"h"'), whole.replace('"codes": [', '"x": [')):
        path.write_text(damaged)
        assert read_record(path) is None


def test_a_radiograph_is_read_once_and_gives_what_the_pipeline_gives(
    settings: SegmenterSettings, sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocessing = load_predictor(settings.bundle, device="cpu").preprocessing
    path = sources[0].path
    expected = preprocessing({"image": str(path)})
    monkeypatch.setattr("handseg_bundle_common.transforms.load.read_radiograph", None)
    loaded = load_radiograph(path, preprocessing)
    np.testing.assert_array_equal(loaded.image, expected["image"])
    assert loaded.size == (50, 40)
    stretched = ScaleRadiographd("image")({"image": read_radiograph(path)})["image"]
    np.testing.assert_array_equal(loaded.picture, stretched)


def test_any_other_preprocessing_reads_for_itself(sources: list[Source]) -> None:
    asked = []

    def preprocessing(item: dict[str, object]) -> dict[str, object]:
        asked.append(item)
        return {"image": np.zeros((1, 3, 2)), "native_size": [50, 40]}

    loaded = load_radiograph(sources[0].path, preprocessing)
    assert loaded.image.shape == (1, 3, 2)
    assert asked == [{"image": str(sources[0].path), "image_name": "hand_R.png"}]
