"""Which radiographs are taken from files and folders, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.drawing import overlay_name
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.nifti import write_nifti
from handseg_bundle_common.formats.png_stack import write_png_stack
from handseg_bundle_common.formats.radiograph import write_radiograph
from handseg_bundle_common.inference import find_sources

Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write radiographs of 2 x 3 px into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(*names: str) -> None:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            write_radiograph(name, np.zeros((2, 3), np.float32), bits=8)

    return write


def names(*images: str, **options: object) -> list[str]:
    return [source.name for source in find_sources(images, **options)]


def test_files_and_folders_mix(make: Make) -> None:
    make("z.png", "set/b.jpg", "set/deep/a.tif", "set/.hidden.png")
    Path("set/notes.txt").touch()
    assert names("z.png", "set") == ["z.png", "b.jpg", "a.tif"]


def test_masks_in_a_folder_are_passed_over(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    make("set/a.png")
    masks = MaskImage("a.png", np.zeros((2, 3), np.uint32))
    write_nifti("set/a.nii.gz", masks)
    write_png_stack("set/stack", masks)
    assert names("set") == ["a.png"]
    assert "set/a.nii.gz: holds masks, not a radiograph" in caplog.text.replace(str(Path.cwd()) + "/", "")
    with pytest.raises(HandsegInputError, match="holds 29 slices"):
        names("set/a.nii.gz")


def test_an_image_given_twice_is_taken_once(make: Make) -> None:
    make("set/a.png")
    assert names("set/a.png", "set", "./set/../set/a.png") == ["a.png"]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["p1", "p2"], ["p1/001.png", "p2/001.png"]),
        (["."], ["p1/001.png", "p2/001.png"]),
        (["p1/001.png", "p2"], ["p1/001.png", "p2/001.png"]),
        (["p1"], ["001.png"]),
    ],
)
def test_names_below_the_deepest_common_folder(make: Make, images: list[str], expected: list[str]) -> None:
    make("p1/001.png", "p2/001.png")
    assert names(*images, keep_folders=True) == expected


def test_two_images_of_one_name_are_both_named(make: Make) -> None:
    make("p1/001.png", "p2/001.png")
    with pytest.raises(HandsegInputError, match="--keep-folders") as caught:
        names("p1", "p2")
    assert str(Path("p1/001.png")) in str(caught.value)
    assert str(Path("p2/001.png")) in str(caught.value)


def test_earlier_results_are_no_input(make: Make) -> None:
    make("a.png", "out/overlays/a.png")
    assert names(".", exclude=[Path("out/overlays")]) == ["a.png"]
    with pytest.raises(HandsegInputError, match="earlier results"):
        names("out", exclude=[Path("out/overlays")])


def test_what_a_folder_holds_is_not_opened_yet(make: Make) -> None:
    make("set/a.png")
    Path("set/broken.png").write_bytes(b"\x89PNG")
    assert names("set") == ["a.png", "broken.png"]


@pytest.mark.parametrize(
    "images", [[], [""], ["absent.png"], ["notes.txt"], ["broken.png"], ["empty"], ["good.png", "broken.png"]]
)
def test_what_is_no_radiograph_is_refused(make: Make, images: list[str]) -> None:
    make("good.png")
    Path("notes.txt").write_text("notes")
    Path("broken.png").write_bytes(b"\x89PNG")
    Path("empty").mkdir()
    with pytest.raises(HandsegInputError) as caught:
        find_sources(images)
    assert (images[-1] if images else "images") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "a.png"),
        ("a.jpg", "a.jpg.png"),
        ("001", "001.png"),
        ("p/a.b.tif", "p/a.b.tif.png"),
        ("A.PNG", "A.PNG"),
        ("/home/me/DCM/a.png", "home/me/DCM/a.png"),
        ("../DCM/a.png", "DCM/a.png"),
    ],
)
def test_overlays_of_distinct_images_have_distinct_names(name: str, expected: str) -> None:
    assert overlay_name(name) == expected
