"""Masks as pictures, against Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.png_stack import (
    has_png_stack,
    is_png_mask,
    is_png_stack,
    read_png_stack,
    write_png_stack,
)
from handseg_bundle_common.masks import pack_masks

MASKS = np.random.default_rng(0).random((NUM_BONES, 7, 5)) < 0.4
MASKS[CHANNEL["Ulna"]] = False
IMAGE = MaskImage("p1/händ.png", pack_masks(MASKS), (0.14, 1 / 7))


def test_pillow_reads_what_is_written(tmp_path: Path) -> None:
    write_png_stack(tmp_path / "hand", IMAGE)
    assert {path.name for path in (tmp_path / "hand").iterdir()} == {f"{name}.png" for name in BONE_NAMES}
    for name, mask in zip(BONE_NAMES, MASKS, strict=True):
        with Image.open(tmp_path / "hand" / f"{name}.png") as picture:
            assert picture.mode == "1"
            np.testing.assert_array_equal(np.asarray(picture), mask)


def test_name_and_spacing_come_back(tmp_path: Path) -> None:
    write_png_stack(tmp_path / "hand", IMAGE)
    back = read_png_stack(tmp_path / "hand")
    np.testing.assert_array_equal(back.masks, IMAGE.masks)
    assert (back.name, back.spacing_mm, back.notes) == (IMAGE.name, IMAGE.spacing_mm, ())


def test_nothing_but_the_pictures_of_bones_is_replaced(tmp_path: Path) -> None:
    write_png_stack(tmp_path / "hand", MaskImage("", np.zeros_like(IMAGE.masks)))
    for count in (NUM_BONES, NUM_BONES + 1):
        write_png_stack(tmp_path / "hand", IMAGE)
        np.testing.assert_array_equal(read_png_stack(tmp_path / "hand").masks, IMAGE.masks)
        assert len(list((tmp_path / "hand").iterdir())) == count
        assert [path.name for path in tmp_path.iterdir()] == ["hand"]
        (tmp_path / "hand" / "old.png").write_text("mine")
    (tmp_path / "file").touch()
    with pytest.raises(HandsegInputError, match="file: is a file, not a folder"):
        write_png_stack(tmp_path / "file", IMAGE)


def test_a_stack_is_there_when_all_its_pictures_are(tmp_path: Path) -> None:
    assert not has_png_stack(tmp_path / "hand")
    write_png_stack(tmp_path / "hand", IMAGE)
    assert has_png_stack(tmp_path / "hand")
    assert not has_png_stack(tmp_path)
    (tmp_path / "hand" / "Ulna.png").unlink()
    with pytest.raises(HandsegInputError, match="holds pictures of 28 of 29 bones"):
        has_png_stack(tmp_path / "hand")


def test_pictures_of_other_programs(tmp_path: Path) -> None:
    """Two levels of any depth, names in any case, bones that are missing or none."""
    Image.fromarray(MASKS[0].astype(np.uint8) * 200).save(tmp_path / "FINGER_1.png")
    Image.fromarray(MASKS[1]).convert("P").save(tmp_path / "third metacarpal.PNG")
    Image.fromarray(MASKS[1]).save(tmp_path / "cast.png")
    back = read_png_stack(tmp_path, (7, 5))
    expected = np.zeros_like(MASKS)
    expected[0], expected[CHANNEL["finger-11"]] = MASKS[0], MASKS[1]
    np.testing.assert_array_equal(back.masks, pack_masks(expected))
    missing, unknown = back.notes
    Image.fromarray(MASKS[2]).save(tmp_path / "MC3.png")
    both = read_png_stack(tmp_path)
    assert (both.masks & 1 << CHANNEL["finger-11"] > 0).tolist() == (MASKS[1] | MASKS[2]).tolist()
    assert both.notes[-1] == "several pictures became one: finger-11"
    assert missing.startswith("no picture of finger-2")
    assert unknown.endswith("picture cast.png")


def test_stacks_and_pictures_of_bones_are_recognised(tmp_path: Path) -> None:
    write_png_stack(tmp_path / "hand", IMAGE)
    Image.fromarray(MASKS[0].astype(np.uint8)).save(tmp_path / "Ulna.png")
    (tmp_path / "Radius.png").write_bytes(b"broken")
    assert is_png_stack(tmp_path / "hand")
    assert not is_png_stack(tmp_path / "hand" / "Ulna.png")
    assert [is_png_mask(tmp_path / name) for name in ("hand/Ulna.png", "Ulna.png", "Radius.png", "x.png")] == [
        *(True, False, False, False)
    ]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.arange(35, dtype=np.uint8).reshape(7, 5), "more than two levels"),
        (np.zeros((7, 5, 3), np.uint8), "in colour"),
        (np.zeros((5, 7), np.uint8), "of 7 x 5 px, others of 5 x 7"),
        (None, "cannot be read as a PNG"),
    ],
)
def test_pictures_that_are_no_masks_are_refused(tmp_path: Path, picture: np.ndarray | None, message: str) -> None:
    write_png_stack(tmp_path / "hand", IMAGE)
    path = tmp_path / "hand" / "Ulna.png"
    if picture is None:
        path.write_bytes(path.read_bytes()[:60])
    else:
        Image.fromarray(picture).save(path)
    with pytest.raises(HandsegInputError, match=message):
        read_png_stack(tmp_path / "hand")


def test_a_folder_without_bones_is_refused(tmp_path: Path) -> None:
    Image.fromarray(MASKS[0]).save(tmp_path / "cast.png")
    with pytest.raises(HandsegInputError, match="holds no PNG with the name of a bone"):
        read_png_stack(tmp_path)
