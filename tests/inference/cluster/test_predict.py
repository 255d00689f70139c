"""Runs on a cluster, with actors in this process: the results of a run on one machine, from anywhere to anywhere."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.inference import SegmenterSettings
from handseg_bundle_common.inference import predict as predict_here
from handseg_bundle_common.inference.cluster import PredictedOnCluster, predict, predict_on_cluster
from handseg_bundle_common.inference.cluster.parts import PartsWriter
from handseg_bundle_common.measurements import measure, predicted_sources

COUNT = 5
FORMATS = ("overlay", "rle", "nifti", "png", "coco")


def run(images: str | Path, bundle: Path, output: str | Path, **options: object) -> PredictedOnCluster:
    settings = SegmenterSettings(str(bundle), device="cpu", threshold=options.pop("threshold", None))
    return predict_on_cluster([str(images)], settings, str(output), **{"formats": FORMATS, **options})


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the parts and the records, in which each engine keeps what it has done."""
    files = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if name.split("/")[0] not in ("results", "segmented")}


def rows(folder: Path) -> list[dict[str, object]]:
    return [row for part in sorted(folder.glob("results/*")) for row in pq.read_table(part).to_pylist()]


def test_results_are_those_of_one_machine(bundle: Path, images: Path, tmp_path: Path, done: list[str]) -> None:
    (images / "3.png").write_bytes(b"broken")
    here = predict_here([images], str(bundle), tmp_path / "here", device="cpu", formats=FORMATS, probabilities=True)
    there = run(images, bundle, tmp_path / "there", probabilities=True)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert there.failures == here.failures
    assert there.segmented == tuple(path.name for path in here.segmented)


def test_parquet_holds_masks_measures_and_confidence(
    bundle: Path, images: Path, tmp_path: Path, done: list[str]
) -> None:
    (images / "3.png").write_bytes(b"broken")
    run(images, bundle, tmp_path / "out")
    by_name = {row["image_name"]: row for row in rows(tmp_path / "out")}
    assert list(by_name) == [f"{number}.png" for number in range(COUNT)]
    assert by_name["3.png"]["problem"].startswith(f"{images / '3.png'}: cannot be read")
    assert by_name["3.png"]["bones"] is None
    (images / "3.png").unlink()
    run(images, bundle, tmp_path / "out")
    measure(predicted_sources(tmp_path / "out", images), tmp_path / "measured", overlays=False, workers=1)
    table = (tmp_path / "measured" / "bone_sizes.csv").read_text().splitlines()
    expected = dict(zip(table[0].split(","), table[1].split(","), strict=True))
    bone = by_name["0.png"]["bones"][0]
    assert (by_name["0.png"]["height"], by_name["0.png"]["width"]) == (40, 30)
    assert by_name["0.png"]["unit"] == expected["unit"] == "px"
    assert bone["bone"] == expected["bone"]
    for name in ("length", "width", "area", "perimeter", "mean_intensity"):
        assert ("" if bone[name] is None else f"{bone[name]:.4f}") == expected[name]
    assert bone["area_px"] == sum(map(int, bone["rle"].split()[1::2]))


def test_radiographs_and_results_may_lie_anywhere(bundle: Path, images: Path, tmp_path: Path, done: list[str]) -> None:
    (images / "3.png").write_bytes(b"broken")
    memory = fsspec.filesystem("memory")
    memory.put(str(images), "/anywhere/hands", recursive=True)
    predict_here([images], str(bundle), tmp_path / "here", device="cpu", formats=FORMATS)
    told = run("memory://anywhere/hands", bundle, "memory://anywhere/results")
    memory.get("/anywhere/results", str(tmp_path / "there"), recursive=True)
    memory.rm("/anywhere", recursive=True)
    here, there = contents(tmp_path / "here"), contents(tmp_path / "there")
    # The only difference is where the broken file lies.
    file = str(images / "3.png").encode()
    assert there.pop("failures.csv") == here.pop("failures.csv").replace(file, b"memory://anywhere/hands/3.png")
    assert there == here
    assert [failure.file for failure in told.failures] == ["memory://anywhere/hands/3.png"]
    assert len(rows(tmp_path / "there")) == COUNT


def test_radiographs_are_read_out_of_an_archive(bundle: Path, images: Path, tmp_path: Path, done: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "hands.zip", "w") as archive:
        for path in sorted(images.iterdir()):
            archive.write(path, f"hands/{path.name}")
    address = f"zip://hands::file://{tmp_path / 'hands.zip'}"
    run(address, bundle, tmp_path / "there")
    predict_here([images], str(bundle), tmp_path / "here", device="cpu", formats=FORMATS)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert rows(tmp_path / "there")[0]["file"] == f"zip://hands/0.png::file://{tmp_path / 'hands.zip'}"


def test_an_interrupted_run_goes_on_and_ends_the_same(
    bundle: Path, images: Path, tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(images, bundle, tmp_path / "whole")
    add = PartsWriter.add

    def interrupted(self: PartsWriter, table: object) -> None:
        add(self, table)
        if len(done) > COUNT + 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PartsWriter, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(images, bundle, tmp_path / "out")
    assert not {"predictions.csv", "masks/coco.json", "prediction.json"} & contents(tmp_path / "out").keys()
    done.clear()
    told = run(images, bundle, tmp_path / "out")
    assert (done, told.kept) == (["4.png"], 4)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert Counter(row["image_name"] for row in rows(tmp_path / "out")) == {f"{n}.png": 1 for n in range(COUNT)}


def test_only_what_has_changed_is_done_again(bundle: Path, images: Path, tmp_path: Path, done: list[str]) -> None:
    output = tmp_path / "out"
    run(images, bundle, output)
    done.clear()
    assert run(images, bundle, output).kept == COUNT
    assert not done
    write_radiograph(images / "0.png", np.random.default_rng(99).random((44, 30)).astype(np.float32))
    (output / "overlays" / "1.png").unlink()
    (output / "masks" / "nifti" / "2.nii.gz").unlink()
    (images / "3.png").unlink()
    run(images, bundle, output)
    assert done == ["0.png", "1.png", "2.png"]
    run(images, bundle, tmp_path / "anew")
    assert contents(output) == contents(tmp_path / "anew")
    assert Counter(row["image_name"] for row in rows(output)) == {f"{n}.png": 1 for n in (0, 1, 2, 4)}


@pytest.mark.parametrize("change", ["threshold", "configuration", "formats", "anew"])
def test_everything_is_done_again_by_other_settings(
    bundle: Path, images: Path, tmp_path: Path, done: list[str], change: str
) -> None:
    run(images, bundle, tmp_path / "out", formats=("rle",))
    done.clear()
    options: dict[str, object] = {"formats": ("rle",)}
    if change == "configuration":
        (bundle / "configs" / "inference.json").write_text(
            json.dumps({**json.loads((bundle / "configs" / "inference.json").read_text()), "note": 1})
        )
    else:
        options |= {"threshold": {"threshold": 0.6}, "formats": {"formats": ("rle", "png")}, "anew": {"anew": True}}[
            change
        ]
    run(images, bundle, tmp_path / "out", **options)
    assert len(done) == COUNT
    run(images, bundle, tmp_path / "anew", **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "anew")


def test_a_failure_is_tried_again(bundle: Path, images: Path, tmp_path: Path, done: list[str]) -> None:
    good = (images / "1.png").read_bytes()
    (images / "1.png").write_bytes(b"broken")
    assert [failure.name for failure in run(images, bundle, tmp_path / "out").failures] == ["1.png"]
    done.clear()
    run(images, bundle, tmp_path / "out")
    assert done == ["1.png"]
    (images / "1.png").write_bytes(good)
    assert not run(images, bundle, tmp_path / "out").failures
    assert not (tmp_path / "out" / "failures.csv").exists()


def test_a_damaged_part_is_done_again(bundle: Path, images: Path, tmp_path: Path, done: list[str]) -> None:
    run(images, bundle, tmp_path / "out")
    (tmp_path / "out" / "results" / "part-00000.parquet").write_bytes(b"PAR1")
    done.clear()
    run(images, bundle, tmp_path / "out")
    assert len(done) == COUNT


def test_a_network_that_is_another_elsewhere_ends_the_run(
    bundle: Path, images: Path, tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = predict.Task

    def of_another(*arguments: object) -> object:
        (bundle / "configs" / "inference.json").write_text("{}")
        return task(*arguments)

    monkeypatch.setattr(predict, "Task", of_another)
    with pytest.raises(HandsegInputError, match="does not define network"):
        run(images, bundle, tmp_path / "out")


def test_a_dicom_segmentation_needs_dicom(bundle: Path, images: Path, tmp_path: Path, done: list[str]) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(images), "/dicom/hands", recursive=True)
    for place in (str(images), "memory://dicom/hands"):
        with pytest.raises(HandsegInputError, match="dicom-seg out of --formats"):
            run(place, bundle, tmp_path / "out", formats=("rle", "dicom-seg"))
    memory.rm("/dicom", recursive=True)
