"""Segmentations by the code of 3D Slicer itself, where the package slicer-core is installed (it brings VTK along)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.seg_nrrd import read_seg_nrrd, write_seg_nrrd
from handseg_bundle_common.masks import pack_masks

vtk = pytest.importorskip("vtk", reason="the code of 3D Slicer (pip install slicer-core)")
slicer_core = pytest.importorskip("slicer_core", reason="the code of 3D Slicer (pip install slicer-core)")

SPACING = (0.14, 0.15)


def hand() -> np.ndarray:
    """Return masks away from the border, some of them overlapping and some empty."""
    masks = np.zeros((NUM_BONES, 12, 15), bool)
    for channel in range(0, NUM_BONES, 2):
        masks[channel, 2 + channel // 5 : 6 + channel // 5, 3 : 5 + channel // 4] = True
    return masks


def load(path: Path) -> tuple[Any, Any]:
    """Return Slicer's node of a segmentation file, and what stores it."""
    scene = slicer_core.vtkMRMLScene()
    for name in ("vtkMRMLSegmentationNode", "vtkMRMLSegmentationDisplayNode", "vtkMRMLSegmentationStorageNode"):
        scene.RegisterNodeClass(getattr(slicer_core, name)())
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    node.scene = scene  # which would be gone before its nodes
    return node, storage


def points(node: Any, name: str) -> set[tuple[float, ...]]:
    """Return where Slicer has the pixels of a segment: to the left, back and bottom in mm."""
    from vtk.util.numpy_support import vtk_to_numpy  # noqa: PLC0415

    segmentation = node.GetSegmentation()
    segment = segmentation.GetSegment(segmentation.GetSegmentIdBySegmentName(name))
    picture, matrix = segment.GetRepresentation("Binary labelmap"), vtk.vtkMatrix4x4()
    if not picture.GetNumberOfPoints():
        return set()
    picture.GetImageToWorldMatrix(matrix)
    extent = picture.GetExtent()
    shape = [extent[k + 1] - extent[k] + 1 for k in (4, 2, 0)]
    levels = vtk_to_numpy(picture.GetPointData().GetScalars()).reshape(shape)
    found = set()
    for k, j, i in np.argwhere(levels == segment.GetLabelValue()):
        right, front, top, _ = matrix.MultiplyPoint((i + extent[0], j + extent[2], k + extent[4], 1))
        found.add((round(-right, 3), round(-front, 3), round(-top, 3)))
    return found


def test_slicer_has_every_pixel_where_it_lies(tmp_path: Path) -> None:
    write_seg_nrrd(tmp_path / "x.seg.nrrd", MaskImage("x.png", pack_masks(hand()), SPACING))
    node, _ = load(tmp_path / "x.seg.nrrd")
    for name, mask in zip(BONE_NAMES, hand(), strict=True):
        expected = {(round(column * 0.15, 3), round(row * 0.14, 3), 0) for row, column in np.argwhere(mask)}
        assert points(node, name) == expected


@pytest.mark.parametrize("is_cropped", [False, True])
def test_what_slicer_saves_comes_back(tmp_path: Path, is_cropped: bool) -> None:
    write_seg_nrrd(tmp_path / "x.seg.nrrd", MaskImage("x.png", pack_masks(hand()), SPACING))
    node, storage = load(tmp_path / "x.seg.nrrd")
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    storage.SetCropToMinimumExtent(is_cropped)
    storage.SetFileName(str(tmp_path / "back.seg.nrrd"))
    assert storage.WriteData(node)
    back = read_seg_nrrd(tmp_path / "back.seg.nrrd")
    np.testing.assert_array_equal(back.masks, pack_masks(hand()))
    assert back.spacing_mm == pytest.approx(SPACING)


@pytest.mark.parametrize("space", ["right-anterior-superior", "left-anterior-superior", "left-posterior-superior"])
@pytest.mark.parametrize(
    "directions",
    [
        [[0.3, 0, 0], [0, 0.4, 0], [0, 0, 1]],
        [[-0.3, 0, 0], [0, 0.4, 0], [0, 0, 1]],
        [[0, -0.3, 0], [0.4, 0, 0], [0, 0, 1]],
        [[0.3, 0, 0], [0, 0, -0.4], [0, 1, 0]],
        [[0, 0, 0.3], [0, 0.4, 0], [1, 0, 0]],
    ],
)
def test_files_of_any_axes_are_shown_as_slicer_has_them(
    tmp_path: Path, space: str, directions: list[list[float]]
) -> None:
    data = np.zeros((5, 7, 1), np.uint8)
    data[1:3, 2:6, 0] = data[4, 1, 0] = 1
    data[0, 0, 0] = data[-1, -1, 0] = 1  # so that the first and last column and row are known
    header = {
        "space": space,
        "space directions": np.array(directions),
        "space origin": np.zeros(3),
        "kinds": ["domain"] * 3,
        **{f"Segment0_{key}": value for key, value in (("ID", "a"), ("Name", "Ulna"), ("LabelValue", "1"))},
        **{"Segment0_Layer": "0", "Segment0_Extent": "0 4 0 6 0 0"},
    }
    nrrd.write(str(tmp_path / "x.seg.nrrd"), data, header)
    found = np.array(sorted(points(load(tmp_path / "x.seg.nrrd")[0], "Ulna")))
    sides = [axis for axis in range(3) if np.ptp(found[:, axis]) > 0]
    places = found[:, sides] - found[:, sides].min(0)
    masks = read_seg_nrrd(tmp_path / "x.seg.nrrd")
    rows, columns = masks.spacing_mm or (0, 0)
    shown = np.argwhere(masks.masks == 1 << CHANNEL["Ulna"])[:, ::-1] * (columns, rows)
    np.testing.assert_allclose(sorted(map(tuple, shown)), sorted(map(tuple, places)), atol=1e-6)
