"""Files and folders of masks, and what is told to be lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from handseg_bundle_common import conversion
from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.conversion import convert
from handseg_bundle_common.conversion.sinks import open_sink
from handseg_bundle_common.conversion.sources import Radiographs, entries_of
from handseg_bundle_common.datasets.check import check_data
from handseg_bundle_common.datasets.check_faults import Severity
from handseg_bundle_common.datasets.lists import data_list
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.masks import pack_masks

# Formats that need nothing else.
EXACT = ("nifti", "seg-nrrd", "polygons", "png", "rle", "coco")
SPACING = (0.14, 0.15)


def write(folder: Path, name: str, images: list[MaskImage]) -> Path:
    with open_sink(folder, name) as sink:
        for image in images:
            sink.write(image)
    return folder


def read(folder: Path, name: str) -> list[MaskImage]:
    return [entry.read() for entry in entries_of(folder, name, Radiographs(None))]


@pytest.fixture
def images() -> list[MaskImage]:
    generator = np.random.default_rng(0)
    return [
        MaskImage(name, pack_masks(generator.random((NUM_BONES, 6, 7)) < 0.5), SPACING)
        for name in ("a.png", "p1/b.png", "p2/c.png")
    ]


@pytest.mark.parametrize("name", EXACT)
def test_a_single_file_is_converted_to_one(tmp_path: Path, images: list[MaskImage], name: str) -> None:
    suffix = {"nifti": ".nii", "seg-nrrd": ".seg.nrrd", "polygons": ".json", "png": "", "rle": ".csv", "coco": ".json"}
    source = write(tmp_path / "source", "nifti", images[:1]) / "a.nii.gz"
    target = tmp_path / f"x{suffix[name]}"
    assert convert(source, target, target_format=name).done == 1
    assert target.exists()
    assert convert(target, tmp_path / "back.nii.gz").done == 1
    (back,) = read(tmp_path / "back.nii.gz", "nifti")
    np.testing.assert_array_equal(back.masks, images[0].masks)


def test_an_interrupted_conversion_continues(tmp_path: Path, images: list[MaskImage]) -> None:
    source = write(tmp_path / "source", "nifti", images)
    broken = source / "p2" / "c.nii.gz"
    content = broken.read_bytes()
    broken.write_bytes(content[:-30])
    # The header is whole, so the file is one of masks, but its pixels are not.
    with pytest.raises(HandsegInputError, match=r"c\.nii\.gz: cannot be read"):
        convert(source, tmp_path / "there", target_format="seg-nrrd")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "there").rglob("*.nrrd")}
    assert len(times) == 2
    broken.write_bytes(content)
    result = convert(source, tmp_path / "there", target_format="seg-nrrd")
    assert (result.done, result.kept) == (1, 2)
    assert "1 converted, 2 there already" in result.text
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert convert(source, tmp_path / "there", target_format="seg-nrrd", overwrite=True).done == 3


@pytest.mark.parametrize(
    ("name", "target"), [("coco", "x.json"), ("rle", "x.csv"), ("nifti", "x.nii.gz"), ("rle", "x")]
)
def test_what_is_there_is_not_replaced(tmp_path: Path, images: list[MaskImage], name: str, target: str) -> None:
    source = write(tmp_path / "source", "seg-nrrd", images[:1])
    convert(source, tmp_path / target, target_format=name)
    with pytest.raises(HandsegInputError, match=r"is there already.*--overwrite"):
        convert(source, tmp_path / target, target_format=name)
    assert convert(source, tmp_path / target, target_format=name, overwrite=True).done == 1


def test_a_failure_leaves_no_file_of_all_images(tmp_path: Path, images: list[MaskImage]) -> None:
    source = write(tmp_path / "source", "polygons", images)
    (source / "p2" / "c.json").write_text('{"annotations": [{"label": "dog", "points": []}]}')
    for target, name in (("x.json", "coco"), ("x.csv", "rle")):
        with pytest.raises(HandsegInputError, match="unknown label 'dog'"):
            convert(source, tmp_path / target, source_format="polygons", target_format=name)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_submission_of_an_image_without_end_takes_no_memory(tmp_path: Path, images: list[MaskImage]) -> None:
    source = write(tmp_path / "source", "rle", images[:1])
    (source / "images.csv").write_text("image_name,height,width\na.png,1000000,1000000\n")
    with pytest.raises(HandsegInputError, match="more than"):
        convert(source, tmp_path / "x", target_format="png")


def test_labels_of_a_data_set_find_their_sizes_and_names(tmp_path: Path, sample_data: Path) -> None:
    result = convert(sample_data, tmp_path / "x.csv")
    assert result.done == 8
    assert result.text.endswith("nothing is lost.")
    names = {row.split(",")[0] for row in (tmp_path / "x.images.csv").read_text().splitlines()[1:]}
    assert names == {path.relative_to(sample_data / "DCM").as_posix() for path in sample_data.glob("DCM/*/*.png")}
    assert convert(sample_data / "outputs_json", tmp_path / "nifti", target_format="nifti").done == 8


def test_predictions_become_labels_again(tmp_path: Path, sample_data: Path) -> None:
    """The polygons of a data set, through a submission, are the same ones."""
    convert(sample_data, tmp_path / "x.csv")
    convert(tmp_path / "x.csv", tmp_path / "outputs_json", target_format="polygons")
    for path in (tmp_path / "outputs_json").rglob("*.json"):
        before = json.loads((sample_data / path.relative_to(tmp_path)).read_text())["annotations"]
        after = json.loads(path.read_text())["annotations"]
        assert [entry["points"] for entry in after] == [entry["points"] for entry in before]
    # They are labels like any others, for the check of a data set as for its lists.
    (tmp_path / "DCM").symlink_to(sample_data / "DCM")
    assert not [fault for fault in check_data(tmp_path) if fault.severity is Severity.ERROR]
    assert [Path(item["label"]).is_relative_to(tmp_path) for item in data_list(tmp_path)] == 8 * [True]


def test_sizes_come_from_the_radiographs(tmp_path: Path, images: list[MaskImage]) -> None:
    write(tmp_path / "source", "rle", images)
    (tmp_path / "source" / "images.csv").unlink()
    with pytest.raises(HandsegInputError, match=r"does not tell the size of 'a\.png'.*--images"):
        convert(tmp_path / "source", tmp_path / "x", target_format="png")
    for image in images:
        write_radiograph(tmp_path / "DCM" / image.name, np.zeros((6, 7), np.float32), bits=8)
    assert convert(tmp_path / "source", tmp_path / "x", target_format="png", images=tmp_path / "DCM").done == 3
    np.testing.assert_array_equal(read(tmp_path / "x", "png")[2].masks, images[2].masks)


@pytest.mark.parametrize("name", ["rle", "coco", "nifti", "polygons"])
def test_masks_of_another_size_than_their_radiograph_are_refused(
    tmp_path: Path, images: list[MaskImage], name: str
) -> None:
    source = write(tmp_path / "source", name, images[:1])
    write_radiograph(tmp_path / "DCM" / "a.png", np.zeros((7, 6), np.float32), bits=8)
    with pytest.raises(HandsegInputError, match=r"7 x 6.*6 x 7|6 x 7.*7 x 6|has another size"):
        convert(source, tmp_path / "x", source_format=name, target_format="png", images=tmp_path / "DCM")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("target", ["png", "rle", "nifti"])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, images: list[MaskImage], target: str) -> None:
    """Half of a letter of two parts, as JSON may hold."""
    source = write(tmp_path / "source", "coco", images[:1]) / "coco.json"
    source.write_text(source.read_text().replace('"a.png"', '"\\ud83d.png"'))
    with pytest.raises(HandsegInputError, match=r"coco\.json: .*'\\ud83d\.png', which no file can be called"):
        convert(source, tmp_path / "x", target_format=target)
    assert not (tmp_path / "x").exists()


def test_losses_are_counted(tmp_path: Path, images: list[MaskImage]) -> None:
    source = write(tmp_path / "source", "nifti", images)
    rle = convert(source, tmp_path / "rle", target_format="rle")
    assert rle.lost == {"the spacing, for which there is no place": 3}
    assert "not kept:\n  the spacing, for which there is no place (3 images)" in rle.text
    ram = convert(source, tmp_path / "ram.json", target_format="coco-ram")
    assert ram.lost == {"Triquetrum and Pisiform became one": 3}
    (lost,) = convert(tmp_path / "ram.json", tmp_path / "back", target_format="png").lost
    assert "cannot be separated" in lost
    merged = np.uint32(1 << CHANNEL["Pisiform"])
    assert not any((image.masks & merged).any() for image in read(tmp_path / "back", "png"))


def test_a_dicom_segmentation_needs_its_radiograph(tmp_path: Path, images: list[MaskImage]) -> None:
    source = write(tmp_path / "source", "nifti", images)
    with pytest.raises(HandsegInputError, match=r"needs the DICOM radiograph of 'a\.png'.*--images"):
        convert(source, tmp_path / "x", target_format="dicom-seg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing", "x.nii"), "is not there"),
        (("empty", "x.nii"), "holds no masks"),
        (("masks", "masks"), "is the source too"),
        (("masks", "x.seg.nrrd"), "ends as a file of seg-nrrd, not of nifti"),
        (("masks", "x"), "does not tell its format"),
        (("masks", "x.json"), "may be polygons or coco or coco-ram"),
        (("masks", "x.nii"), "holds 3 images"),
        (("notes.txt", "x.nii"), "in no format of masks"),
        (("both", "x.csv"), "holds masks as nifti and as seg-nrrd"),
    ],
)
def test_arguments_that_cannot_be_used(
    tmp_path: Path,
    images: list[MaskImage],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("masks"), "nifti", images)
    write(Path("both"), "nifti", images)
    write(Path("both"), "seg-nrrd", images)
    Path("empty").mkdir()
    Path("notes.txt").write_text("notes")
    options = {"target_format": "nifti"} if arguments[1] in ("masks", "x.seg.nrrd") else {}
    with pytest.raises(HandsegInputError, match=message):
        convert(*arguments, **options)
    assert not Path("x.nii").exists()


def test_unknown_formats_are_told(tmp_path: Path) -> None:
    for options in ({"source_format": "dog"}, {"source_format": "nifti", "target_format": ""}):
        with pytest.raises(HandsegInputError, match="choose among nifti"):
            convert(tmp_path, tmp_path / "x", **options)
    assert conversion.check_formats([" nifti", "png", "nifti"]) == ("nifti", "png")


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "..", "", "C:x.png", "a\\..\\x.png"])
def test_names_in_files_lead_nowhere_else(tmp_path: Path, images: list[MaskImage], name: str) -> None:
    """A COCO file may name its images as it likes."""
    write(tmp_path / "source", "coco", [MaskImage(name, images[0].masks)])
    with pytest.raises(HandsegInputError, match="whose name is no path below it"):
        convert(tmp_path / "source", tmp_path / "there" / "x", target_format="nifti")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("name", [".x.png", "p1/.x.png", ".p1/x.png"])
def test_hidden_files_are_not_written(tmp_path: Path, images: list[MaskImage], name: str) -> None:
    write(tmp_path / "source", "coco", [MaskImage(name, images[0].masks)])
    with pytest.raises(HandsegInputError, match="as a hidden file, which is never found again"):
        convert(tmp_path / "source", tmp_path / "there", target_format="nifti")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_two_images_of_one_file_are_refused(tmp_path: Path, images: list[MaskImage]) -> None:
    write(tmp_path / "source", "coco", [MaskImage(name, images[0].masks) for name in ("a.png", "a.tif")])
    with pytest.raises(HandsegInputError, match=r"a\.nii\.gz: would be written twice, for 'a\.png' and 'a\.tif'"):
        convert(tmp_path / "source", tmp_path / "x", target_format="nifti")


def test_radiographs_beside_masks_are_passed_over(tmp_path: Path, images: list[MaskImage]) -> None:
    write(tmp_path, "nifti", images)
    nib.save(nib.Nifti1Image(np.zeros((7, 6, 1), np.uint8), np.eye(4)), tmp_path / "picture.nii")
    result = convert(tmp_path, tmp_path / "x.csv")
    assert (result.done, result.left_out) == (3, 1)
    assert "left out, being radiographs: 1 file\n" in result.text


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:40], lambda content: b"x" + content])
def test_broken_masks_are_not_left_out(
    tmp_path: Path, images: list[MaskImage], damage: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / "source", "nifti", images) / "p1" / "b.nii.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(HandsegInputError, match=r"b\.nii\.gz: cannot be read"):
        convert(tmp_path / "source", tmp_path / "x.csv")


def test_masks_of_other_bones_are_not_left_out(tmp_path: Path, images: list[MaskImage]) -> None:
    write(tmp_path / "source", "nifti", images)
    nib.save(nib.Nifti1Image(np.zeros((7, 6, 1, 28), np.uint8), np.eye(4)), tmp_path / "source" / "d.nii")
    with pytest.raises(HandsegInputError, match=r"d\.nii: holds 28 volumes, not 29"):
        convert(tmp_path / "source", tmp_path / "x.csv")


@pytest.fixture
def corrupted(tmp_path: Path, images: list[MaskImage]) -> Callable[[str], tuple[Path, bytes]]:
    def make(name: str) -> tuple[Path, bytes]:
        folder = write(tmp_path / name, name, images[:1])
        path = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "images.csv")[0]
        return path, path.read_bytes()

    return make


@pytest.mark.parametrize("name", EXACT)
def test_changed_bytes_give_masks_or_one_error(corrupted: Callable[[str], tuple[Path, bytes]], name: str) -> None:
    path, content = corrupted(name)
    root = path.parent if name == "png" else path
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        # Headers decide more than pixels.
        reach = len(damaged) if generator.random() < 0.5 else min(400, len(damaged))
        for place in generator.integers(0, reach, generator.integers(1, 4)):
            damaged[place] = generator.integers(0, 256)
        path.write_bytes(damaged[: generator.integers(0, len(damaged))] if generator.random() < 0.2 else damaged)
        try:
            for image in read(root, name):
                assert image.masks.dtype == np.uint32
        except HandsegInputError:
            refused += 1
    assert refused
