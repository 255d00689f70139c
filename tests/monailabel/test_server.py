"""The whole loop over HTTP: list, segment, correct, store, fine-tune, and ask for the next image."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from monailabel.client import MONAILabelClient

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.formats.boostcamp import parse_annotations, rasterise
from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.masks import unpack_masks

OTHER, _, HAND, _ = IMAGES = [
    *("clinic/sim29-0002/sim29-0002_L", "clinic/sim29-0002/sim29-0002_R"),
    *("sim29-0001/sim29-0001_L", "sim29-0001/sim29-0001_R"),
]


def masks_in(path: Path) -> np.ndarray:
    """Read masks (29, H, W) with pynrrd, by names, layers and label values."""
    data, header = nrrd.read(str(path))
    data = data if data.ndim == 4 else data[None]
    masks = np.zeros((NUM_BONES, data.shape[2], data.shape[1]), bool)
    for number in range(NUM_BONES):
        name, layer, value = (header[f"Segment{number}_{key}"] for key in ("Name", "Layer", "LabelValue"))
        masks[CHANNEL[name]] = np.equal(data[int(layer), :, :, 0].T, int(value))
    return masks


def segmented(server: Any, model: str, image: str, path: Path) -> np.ndarray:
    answer = server.post(f"/infer/{model}", params={"image": image, "output": "image"})
    assert answer.status_code == 200, answer.text
    path.write_bytes(answer.content)
    return masks_in(path)


@pytest.fixture(scope="module")
def expected(server: Any) -> np.ndarray:
    """What `handseg predict` makes of a hand with the ensemble (29, H, W)."""
    return unpack_masks(load_predictor("ensemble", device="cpu")(server.studies / f"{HAND}.png"))


def corrected(masks: np.ndarray) -> np.ndarray:
    """Return masks as a person leaves them: a bone moved, another one erased, and more overlap."""
    masks = masks.copy()
    masks[CHANNEL["Pisiform"]] = np.roll(masks[CHANNEL["Pisiform"]], (3, -2), (0, 1))
    masks[CHANNEL["finger-1"]] = False
    masks[CHANNEL["Lunate"]] |= masks[CHANNEL["Triquetrum"]]
    return masks


def write_as_slicer(path: Path, masks: np.ndarray) -> None:
    """Write masks as 3D Slicer does: a few layers shared by all bones, the erased bone's segment deleted."""
    layers = np.zeros((6, masks.shape[2], masks.shape[1], 1), np.uint8)
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.array([[np.nan] * 3, *np.eye(3)]),
        "space origin": np.zeros(3),
        "encoding": "gzip",
    }
    kept = [channel for channel in range(NUM_BONES) if masks[channel].any()]
    for number, channel in enumerate(reversed(kept)):
        mask = masks[channel].T[..., None]
        layer = next(layer for layer in range(6) if not layers[layer][mask].any())
        layers[layer][mask] = number + 1
        fields = {"ID": f"Segment_{number}", "Name": BONE_NAMES[channel], "Layer": layer, "LabelValue": number + 1}
        header |= {f"Segment{number}_{key}": str(value) for key, value in fields.items()}
    nrrd.write(str(path), layers, header)


def test_lists_hands_in_nested_folders_and_models_with_29_labels(server):
    info = server.get("/info/").json()
    assert list(info["models"]) == ["unetplusplus", "ensemble"]
    assert [name for name, _ in sorted(info["models"]["ensemble"]["labels"].items(), key=lambda pair: pair[1])] == list(
        BONE_NAMES
    )
    assert list(info["trainers"]) == ["unetplusplus"]
    assert list(info["strategies"]) == ["disagreement", "random"]
    assert list(server.get("/datastore/?output=all").json()["objects"]) == IMAGES
    image = server.get("/datastore/image", params={"image": HAND})
    assert image.content == (server.studies / f"{HAND}.png").read_bytes()


def test_segments_are_those_of_predict_and_overlap(server, expected, tmp_path):
    masks = segmented(server, "ensemble", HAND, tmp_path / "hand.seg.nrrd")
    np.testing.assert_array_equal(masks, expected)
    assert (masks.sum(axis=0) > 1).sum() > 50
    data, _ = nrrd.read(str(tmp_path / "hand.seg.nrrd"))
    assert data.ndim == 4
    assert segmented(server, "unetplusplus", HAND, tmp_path / "other.seg.nrrd").any(axis=(1, 2)).all()


def test_numbers_come_as_json(server, expected):
    asked = {"polygons": True}
    answer = server.post(f"/infer/ensemble?image={HAND}&output=json", data={"params": json.dumps(asked)}).json()
    assert list(answer["label_names"]) == list(BONE_NAMES)
    assert [bone["area_px"] for bone in answer["bones"]] == expected.sum(axis=(1, 2)).tolist()
    assert answer["size"] == list(expected.shape[1:])
    assert answer["side"] == "L"
    assert 0 < answer["disagreement"] < 1
    measures = answer["measurements"]
    assert measures["unit"] == "px"
    assert set(measures["bones"]) <= set(BONE_NAMES)
    assert measures["indices"]["carpal_height"]["value"] or measures["indices"]["carpal_height"]["missing"]
    elements = answer["annotations"][0]["annotation"]["elements"]
    rings = [{"label": e["label"], "points": ring} for e in elements for ring in e["contours"]]
    polygons = parse_annotations("annotations", {"annotations": rings})
    np.testing.assert_array_equal(rasterise(polygons, *expected.shape[1:]), expected)


def test_clients_of_slicer_and_cvat_keep_overlaps(server, expected, tmp_path):
    client = MONAILabelClient(server.url, str(tmp_path))
    wanted_by_slicer = {"result_extension": ".nrrd", "result_dtype": "uint8"}
    file, numbers = client.infer("ensemble", HAND, wanted_by_slicer)
    assert file.endswith(".seg.nrrd")
    np.testing.assert_array_equal(masks_in(Path(file)), expected)
    assert list(numbers["label_names"]) == list(BONE_NAMES)
    sent = str(server.studies / f"{HAND}.png")
    _, numbers = client.infer("ensemble", "", {"output": "json"}, file=sent)
    labels = [element["label"] for element in numbers["annotations"][0]["annotation"]["elements"]]
    assert set(labels) == set(BONE_NAMES)


def test_a_corrected_label_comes_back_byte_for_byte(server, expected, tmp_path):
    label = tmp_path / "corrected.seg.nrrd"
    write_as_slicer(label, corrected(expected))
    answer = server.put(f"/datastore/label?image={HAND}", files={"label": (label.name, label.read_bytes())})
    assert answer.status_code == 200, answer.text
    assert answer.json()["notes"] == ["no segment of finger-1: taken for empty"]
    back = server.get("/datastore/label", params={"label": HAND, "tag": "final"})
    assert back.content == label.read_bytes()
    assert (server.labels / "final" / f"{HAND}.seg.nrrd").read_bytes() == label.read_bytes()
    shown = server.get("/datastore/?output=all").json()["objects"][HAND]["labels"]
    assert shown["final"]["ext"] == ".seg.nrrd"
    assert server.get("/datastore/").json()["completed"] == 1
    items = server.get("/datastore/?output=train").json()
    assert [(item["image_name"], item["patient"]) for item in items] == [("sim29-0001_L.png", "sim29-0001")]


def test_the_client_of_slicer_stores_labels(server, expected, tmp_path):
    label = tmp_path / "slicer.seg.nrrd"
    write_as_slicer(label, expected)
    client = MONAILabelClient(server.url, str(tmp_path))
    client.save_label(OTHER, str(label), tag="original", params={"label_info": []})
    assert Path(client.download_label(OTHER, "original")).read_bytes() == label.read_bytes()


def test_a_flattened_label_is_refused_with_the_settings_that_keep_overlaps(server, expected, tmp_path):
    flat = tmp_path / "flat.nrrd"
    nrrd.write(str(flat), expected.argmax(axis=0).T[..., None].astype(np.uint8))
    for name in ("flat.nrrd", "flat.seg.nrrd", "flat.nii.gz"):
        answer = server.put(f"/datastore/label?image={OTHER}", files={"label": (name, flat.read_bytes())})
        assert answer.status_code == 400
    assert "Allow overlapping" in answer.json()["detail"]
    assert not (server.labels / "final" / f"{OTHER}.seg.nrrd").exists()


def test_trains_in_the_background_on_what_was_corrected(server, expected, tmp_path):
    chosen = {"max_epochs": 1, "image_size": 96, "batch_size": 1}
    task = server.post("/train/unetplusplus", json=chosen).json()
    assert task["status"] in ("SUBMITTED", "RUNNING")
    deadline = time.monotonic() + 240
    while (task := server.get("/train/").json())["status"] in ("SUBMITTED", "RUNNING") and time.monotonic() < deadline:
        time.sleep(0.5)
    assert task["status"] == "DONE", task
    assert "unetplusplus-finetuned" in server.get("/info/").json()["models"]
    (run,) = (server.labels / "trainings").iterdir()
    items = json.loads((run / "run.json").read_text())["train#dataset#data"]
    assert [item["label"] for item in items] == [str(server.labels / "final" / f"{HAND}.seg.nrrd")]
    config = json.loads((run / "config.json").read_text())
    assert config["max_epochs"] == 1
    assert config["recipe"][-1] == "finetune"
    tuned = segmented(server, "unetplusplus-finetuned", HAND, tmp_path / "tuned.seg.nrrd")
    own = load_predictor("unetplusplus", device="cpu", weights=run / "models" / "model.pt")
    np.testing.assert_array_equal(tuned, unpack_masks(own(server.studies / f"{HAND}.png")))
    assert (tuned != segmented(server, "unetplusplus", HAND, tmp_path / "own.seg.nrrd")).any()


def test_next_image_by_disagreement_and_at_random(server):
    unlabelled = set(IMAGES) - {HAND}
    assert server.post("/activelearning/random").json()["id"] in unlabelled
    done = server.post("/scoring/disagreement?run_sync=true").json()
    assert done["total"] == 3
    assert server.post("/scoring/disagreement?run_sync=true").json() == {"total": 3, "executed": 0, "skipped": 3}
    scores = {
        image: json.loads((server.labels / "scores" / f"{image}.json").read_text())["score"] for image in unlabelled
    }
    order = [server.post("/activelearning/disagreement").json() for _ in unlabelled]
    assert [choice["score"] for choice in order] == sorted(scores.values(), reverse=True)
    assert {choice["id"] for choice in order} == unlabelled
    assert order[0]["score"] == scores[order[0]["id"]]
    assert order[0]["path"] == str(server.studies / f"{order[0]['id']}.png")
    after_training = server.post(f"/infer/ensemble-finetuned?image={order[0]['id']}&output=json").json()
    assert after_training["disagreement"] == order[0]["score"]


def test_batches_are_kept_as_original_labels(server):
    answer = server.post("/batch/infer/unetplusplus?images=unlabeled&run_sync=true", json={"max_workers": 1})
    assert answer.status_code == 200, answer.text
    stored = server.get("/datastore/?output=all").json()["objects"]
    assert [image for image in IMAGES if "original" in stored[image]["labels"]] == [i for i in IMAGES if i != HAND]
    assert server.get("/datastore/").json()["completed"] == 1
