"""Studies over HTTP: the masks, measures and doubts of the command line, digit by digit."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.anatomy import BONES
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.measurements import measure, predicted_sources

from .conftest import NAME


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def value(cell: str) -> float | None:
    return float(cell) if cell else None


@pytest.fixture(scope="module")
def measured(predicted, radiograph, tmp_path_factory):
    output = tmp_path_factory.mktemp("measured")
    measure(predicted_sources(predicted, radiograph.parent), output, spacing_mm=0.5, overlays=False, workers=1)
    return output


def test_masks_are_those_of_handseg_predict(study, masks_of, expected):
    np.testing.assert_array_equal(masks_of(study), unpack_masks(expected))
    assert (study["name"], study["bundle"]) == (NAME, "effisegnet")
    assert (study["height"], study["width"]) == expected.shape


def test_every_bundle_gives_its_own_masks(served, radiograph, masks_of):
    answer = served.send(radiograph.read_bytes(), NAME, bundle="unetplusplus").json()
    expected = load_predictor("unetplusplus", device="cpu")(radiograph)
    np.testing.assert_array_equal(masks_of(answer), unpack_masks(expected))


def test_confidence_is_that_of_handseg_predict(study, predicted):
    for found, row in zip(study["bones"], rows(predicted / "confidence.csv"), strict=True):
        assert found["bone"] == row["bone"]
        assert found["confidence"] == float(row["confidence"])
        assert (found["area_px"], found["components"]) == (int(row["area_px"]), int(row["components"]))
        assert "; ".join(found["reasons"]) == row["reasons"]
    (image,) = rows(predicted / "images.csv")
    assert (study["side"], study["side_from"]) == (image["side"], image["side_from"]) == ("R", "file_name")
    assert "; ".join(flag["message"] for flag in study["picture"]) == image["picture"]


def test_measures_are_those_of_handseg_measure(served, radiograph, measured):
    study = served.send(radiograph.read_bytes(), NAME, spacing_mm=0.5).json()
    assert (study["unit"], study["spacing_mm"]) == ("mm", 0.5)
    columns = ("length", "width", "area", "orientation_deg", "perimeter", "mean_intensity")
    for found, row in zip(study["bones"], rows(measured / "bone_sizes.csv"), strict=True):
        if found["sizes"] is None:
            assert not row["cut"]
            continue
        assert [found["sizes"][column] for column in columns] == [value(row[column]) for column in columns]
        assert found["sizes"]["is_cut"] == (row["cut"] == "yes")
    (indices,) = rows(measured / "indices.csv")
    assert [index["value"] for index in study["indices"]] == [value(indices[i["index"]]) for i in study["indices"]]
    for gap, row in zip(study["gaps"], rows(measured / "gaps.csv"), strict=True):
        assert gap["bones"] == [row["bone"], row["neighbour"]]
        assert (gap["distance"], gap["overlap"]) == (value(row["distance"]), value(row["overlap"]))


def test_names_stand_on_their_bones(study, expected):
    for channel, found in enumerate(study["bones"]):
        if found["label"] is None:
            assert not found["area_px"]
        else:
            column, row = found["label"]
            assert expected[row, column] >> channel & 1


def test_a_study_is_read_again_and_deleted(served, study):
    address = f"/api/studies/{study['id']}"
    assert served.client.get(address).json() == study
    assert served.client.delete(address).status_code == 204
    for method, below in (("GET", ""), ("GET", "/masks"), ("DELETE", ""), ("POST", "/again"), ("GET", "/overlay.png")):
        answer = served.client.request(method, address + below)
        assert answer.status_code == 404
        assert answer.json()["error"]["remedy"] == "segment the radiograph again"


def test_the_picture_is_the_radiograph_with_its_contrast_stretched(served, study, radiograph, tmp_path):
    answer = served.client.get(f"/api/studies/{study['id']}/radiograph.png")
    (tmp_path / "picture.png").write_bytes(answer.content)
    stored = np.asarray(Image.open(radiograph), np.float64)
    low, high = np.percentile(stored[::4, ::4], (0.5, 99.8))
    naive = np.clip((stored - low) / (high - low), 0, 1) * 255
    shown = np.asarray(Image.open(tmp_path / "picture.png"), np.float64)
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_allclose(shown, naive, atol=0.51)


def test_two_bundles_are_compared_by_dice(served, study, masks_of):
    other = served.client.post(f"/api/studies/{study['id']}/again", params={"bundle": "unetplusplus"}).json()
    assert other["id"] != study["id"]
    assert (other["bundle"], other["name"]) == ("unetplusplus", NAME)
    answer = served.client.get(f"/api/studies/{study['id']}/compare/{other['id']}").json()
    naive = []
    for first, second in zip(masks_of(study), masks_of(other), strict=True):
        total = first.sum() + second.sum()
        naive.append(2 * (first & second).sum() / total if total else 1.0)
    assert [bone["dice"] for bone in answer["bones"]] == pytest.approx(naive, abs=5e-5)
    assert answer["mean_dice"] == pytest.approx(np.mean(naive), abs=1e-4)
    assert [bone["bone"] for bone in answer["bones"]] == [bone.name for bone in BONES]


def test_studies_of_different_radiographs_are_not_compared(served, study, sample_data):
    path = sample_data / "DCM" / "sim29-0001" / "sim29-0001_L.png"
    other = served.send(path.read_bytes(), path.name).json()
    answer = served.client.get(f"/api/studies/{study['id']}/compare/{other['id']}")
    assert answer.status_code == 409
    assert answer.json()["error"]["why"] == "are of different radiographs"


def test_an_ensemble_tells_how_far_its_members_agree(served, radiograph):
    study = served.send(radiograph.read_bytes(), NAME, bundle="ensemble").json()
    agreements = [bone["agreement"] for bone in study["bones"]]
    assert all(0 <= agreement <= 1 for agreement in agreements)
    assert not math.isclose(max(agreements), min(agreements))


def test_a_picture_of_no_hand_is_flagged(served, tmp_path):
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "blank.png")
    study = served.send((tmp_path / "blank.png").read_bytes(), "blank.png").json()
    assert study["picture"][0]["reason"] == "blank"
    assert not study["picture"][0]["is_usable"]
    assert study["flags"] == []


def test_bones_bundles_and_limits_are_told(served):
    bones = served.client.get("/api/bones").json()
    assert [bone["bone"] for bone in bones] == [bone.name for bone in BONES]
    assert [int(bones[3]["colour"][k : k + 2], 16) for k in (1, 3, 5)] == list(BONES[3].colour)
    bundles = served.client.get("/api/bundles").json()
    assert [(bundle["name"], bundle["is_default"]) for bundle in bundles] == [
        ("effisegnet", True),
        ("unetplusplus", False),
        ("ensemble", False),
    ]
    about = served.client.get("/api/about").json()
    assert (about["studies"], about["minutes"], ".dcm" in about["suffixes"]) == (6, 30, True)
