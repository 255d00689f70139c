"""Downloads: the files of `handseg predict`, read back by programs that know nothing of handseg."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.anatomy import BONE_NAMES, BONES
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.serve.downloads import FILES

from .conftest import NAME, as_dicom

STEM = NAME.removesuffix(".png")


@pytest.fixture
def download(served, study):
    def get(name):
        answer = served.client.get(f"/api/studies/{study['id']}/files/{name}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == FILES[name].media_type
        return answer.content

    return get


@pytest.fixture(scope="module")
def hand(expected):
    return unpack_masks(expected)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("rle", "predictions.csv"),
        ("confidence", "confidence.csv"),
        ("overlay", f"overlays/{NAME}"),
        ("polygons", f"masks/polygons/{STEM}.json"),
        ("seg-nrrd", f"masks/seg-nrrd/{STEM}.seg.nrrd"),
    ],
)
def test_files_are_those_of_handseg_predict_byte_for_byte(download, predicted, name, place):
    assert download(name) == (predicted / place).read_bytes()


def test_nibabel_reads_the_volumes(download, hand):
    image = nib.Nifti1Image.from_bytes(gzip.decompress(download("nifti")))
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, 0, :].transpose(2, 1, 0) != 0, hand)


def test_pynrrd_reads_the_segments(download, hand, tmp_path):
    nrrd = pytest.importorskip("nrrd")
    (tmp_path / "hand.seg.nrrd").write_bytes(download("seg-nrrd"))
    data, header = nrrd.read(str(tmp_path / "hand.seg.nrrd"))
    data = data if data.ndim == 4 else data[None]
    names = [header[f"Segment{k}_Name"] for k in range(29)]
    assert [name.split(" ")[0] in BONE_NAMES or name for name in names]
    for k in range(29):
        layer, label = int(header[f"Segment{k}_Layer"]), int(header[f"Segment{k}_LabelValue"])
        np.testing.assert_array_equal(label == data[layer, :, :, 0].T, hand[k])


def test_pycocotools_reads_the_instances(download, hand):
    coding = pytest.importorskip("pycocotools.mask")
    document = json.loads(download("coco"))
    names = {category["id"]: category["name"] for category in document["categories"]}
    found = {names[entry["category_id"]]: coding.decode(entry["segmentation"]) for entry in document["annotations"]}
    for bone, mask in zip(BONES, hand, strict=True):
        np.testing.assert_array_equal(found.get(bone.name, np.zeros_like(mask)) != 0, mask)


def test_polygons_give_the_masks_back(download, expected, tmp_path):
    (tmp_path / "hand.json").write_bytes(download("polygons"))
    np.testing.assert_array_equal(rasterise_packed(read_annotations(tmp_path / "hand.json"), 256, 256), expected)


def test_an_archive_holds_a_picture_a_bone(download, hand):
    with zipfile.ZipFile(io.BytesIO(download("png"))) as archive:
        assert len(archive.namelist()) == 29
        for bone, mask in zip(BONES, hand, strict=True):
            picture = Image.open(io.BytesIO(archive.read(f"{bone.name}.png")))
            np.testing.assert_array_equal(np.asarray(picture), mask)


def test_pictures_and_tables_can_be_opened(download):
    for name in ("overlay", "measured"):
        assert Image.open(io.BytesIO(download(name))).width > 256
    for name in ("bone-sizes", "indices", "gaps", "confidence"):
        assert download(name).startswith(b"image_name,")


def test_downloads_have_names_that_tell_what_they_are(served, study):
    for entry in study["files"]:
        if entry["problem"] is None:
            answer = served.client.get(f"/api/studies/{study['id']}/files/{entry['format']}")
            header = answer.headers["content-disposition"]
            assert header == f"attachment; filename=\"{entry['name']}\"; filename*=utf-8''{entry['name']}"
    assert len({entry["name"] for entry in study["files"]}) == len(FILES)


def test_a_name_with_any_letters_arrives(served, radiograph):
    study = served.send(radiograph.read_bytes(), "Röntgen 手.png").json()
    answer = served.client.get(f"/api/studies/{study['id']}/files/rle")
    assert answer.headers["content-disposition"].endswith("filename*=utf-8''R%C3%B6ntgen%20%E6%89%8B_masks.csv")
    assert 'filename="R_ntgen __masks.csv"' in answer.headers["content-disposition"]
    assert answer.text.splitlines()[1].startswith("Röntgen 手.png,finger-1,")


def test_what_cannot_be_made_is_told_before_and_refused(served, study):
    problems = {entry["format"]: entry["problem"] for entry in study["files"] if entry["problem"]}
    assert problems.keys() == {"dicom-seg", "disagreement"}
    for name, problem in problems.items():
        answer = served.client.get(f"/api/studies/{study['id']}/files/{name}")
        assert answer.status_code == 409
        assert answer.json()["error"]["why"] == problem


def test_an_ensemble_shows_where_its_members_disagree(served, radiograph):
    study = served.send(radiograph.read_bytes(), NAME, bundle="ensemble").json()
    answer = served.client.get(f"/api/studies/{study['id']}/files/disagreement")
    assert Image.open(io.BytesIO(answer.content)).size == (256, 256)


def test_a_dicom_radiograph_gets_a_dicom_segmentation(served, radiograph, masks_of, tmp_path):
    seg = pytest.importorskip("highdicom.seg", reason="DICOM segmentations (pip install highdicom)")
    content = as_dicom(radiograph, tmp_path / "IM0001").read_bytes()
    study = served.send(content, "IM0001").json()
    assert (study["unit"], study["spacing_mm"]) == ("mm", 0.25)
    assert (study["side"], study["side_from"]) == ("L", "dicom_tag")
    (tmp_path / "seg.dcm").write_bytes(served.client.get(f"/api/studies/{study['id']}/files/dicom-seg").content)
    read = seg.segread(str(tmp_path / "seg.dcm"))
    masks = dict(zip(BONE_NAMES, masks_of(study), strict=True))
    frames = read.pixel_array.reshape(-1, 256, 256)
    there = [mask for mask in masks.values() if mask.any()]
    assert len(frames) == len(there)
    assert sorted(frame.tobytes() for frame in frames.astype(bool)) == sorted(mask.tobytes() for mask in there)
