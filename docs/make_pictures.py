"""Make the pictures of the documentation: `python docs/make_pictures.py`."""

from __future__ import annotations

import csv
import tempfile
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import cv2
import highdicom
import nibabel
import nrrd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pycocotools.coco import COCO
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from handseg_bundle_common.anatomy import BONES, CHANNEL, Bone
from handseg_bundle_common.drawing import overlay, save_png
from handseg_bundle_common.formats.coco import CocoWriter
from handseg_bundle_common.formats.coco_categories import bone_categories
from handseg_bundle_common.formats.dicom import write_dicom_seg
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.formats.nifti import write_nifti
from handseg_bundle_common.formats.seg_nrrd import write_seg_nrrd
from handseg_bundle_common.simulation import SimulatedHands

PICTURES = Path(__file__).parent / "pictures"
CURVES = Path(__file__).parent / "weights"

_TILE_PX, _COLUMNS = 320, 4
_OVERLAPPING = ("Triquetrum", "Pisiform")
_MARGIN_PX, _ENLARGED = 30, 4
_CURVES = {"all bones": "mean_dice", "trapezoid": "dice/Trapezoid", "pisiform": "dice/Pisiform"}


def main() -> None:
    """Write the pictures."""
    _write_overlay()
    _write_contact_sheet()
    _write_learning_curves()
    _write_segmentation()
    _write_formats()


def _write_overlay() -> None:
    """Write `overlay.png`: a simulated radiograph beside the overlay of its exact masks."""
    hand = SimulatedHands(count=8, size=900, seed=29)[1]
    radiograph = hand["image"][0]
    masks = overlay(radiograph, hand["label"][0].view(np.uint32))
    grey = cv2.cvtColor(np.round(radiograph * 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    grey = np.pad(grey, ((0, masks.shape[0] - grey.shape[0]), (0, 0), (0, 0)))
    save_png(PICTURES / "overlay.png", np.hstack([grey, masks]))


def _write_contact_sheet() -> None:
    """Write `simulated.jpg`: eight hands of the preset `dataset` above eight of `wild`."""
    tiles = []
    for preset in ("dataset", "wild"):
        hands = SimulatedHands(count=8, size=1024, seed=30, preset=preset)
        for number in range(8):
            grey = np.rint(hands[number]["image"][0] * 255).astype(np.uint8)
            scale = _TILE_PX / max(grey.shape)
            small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            tiles.append(np.pad(small, [(0, _TILE_PX - side) for side in small.shape], constant_values=255))
    rows = [np.hstack(tiles[start : start + _COLUMNS]) for start in range(0, len(tiles), _COLUMNS)]
    cv2.imwrite(str(PICTURES / "simulated.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _write_learning_curves() -> None:
    """Write `learning.png`: what the shipped weights reached on their validation hands while they were trained."""
    files = sorted(CURVES.glob("*.csv"))
    figure = Figure(figsize=(10, 3.2 * ((len(files) + 1) // 2)), layout="constrained")
    panels = np.ravel(figure.subplots((len(files) + 1) // 2, 2, sharey=True))
    for axes, path in zip(panels, files, strict=False):
        _draw_learning_curve(axes, path)
    for axes in panels[len(files) :]:
        axes.set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(PICTURES / "learning.png", dpi=110)


def _draw_learning_curve(axes: Axes, path: Path) -> None:
    """Draw Dice against the number of hands seen; a stage of the training is a shade, other validation hands a gap."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for colour, (name, column) in enumerate(_CURVES.items()):
        told = [row for row in rows if row[column]]
        for number, (_, same) in enumerate(groupby(told, key=itemgetter("validation_seed"))):
            hands, dice = zip(*((int(row["hands"]), float(row[column])) for row in same), strict=True)
            axes.plot(hands, dice, ".-", color=f"C{colour}", label=None if number else name)
    start = 0
    for stage in dict.fromkeys(row["stage"] for row in rows):
        of_stage = [row for row in rows if row["stage"] == stage]
        end = int(of_stage[-1]["hands"])
        axes.axvspan(start, end, color="black", alpha=0.03 * (int(stage) % 2), linewidth=0)
        axes.text((start + end) / 2, 0.03, f"{of_stage[0]['image_size']} px", ha="center", size=8)
        start = end
    axes.set_title(path.stem)
    axes.set_xlabel("hands seen")
    axes.set_ylabel("Dice on validation hands")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)


def _write_segmentation() -> None:
    """Write `dicom_seg.png`: two overlapping bones of a DICOM segmentation, as highdicom reads them."""
    hand = SimulatedHands(count=8, size=900, seed=29)[1]
    radiograph, masks = hand["image"][0], hand["label"][0].view(np.uint32)
    with tempfile.TemporaryDirectory() as folder:
        source, segmentation = Path(folder, "hand.dcm"), Path(folder, "hand.seg.dcm")
        _dicom_radiograph(radiograph).save_as(source, enforce_file_format=True)
        write_dicom_seg(segmentation, source, masks)
        read = highdicom.seg.segread(segmentation)
        numbers = [read.get_segment_numbers(segment_label=_bone(name).anatomical_name)[0] for name in _OVERLAPPING]
        instance = read.get_source_image_uids()[0][2]
        pixels = read.get_pixels_by_source_instance([instance], segment_numbers=numbers)[0]
    save_png(PICTURES / "dicom_seg.png", _bones_apart_and_together(radiograph, pixels.astype(np.uint8)))


def _write_formats() -> None:
    """Write `formats.jpg`: two overlapping bones of a segmentation of 3D Slicer, a COCO file and a NIfTI file."""
    hand = SimulatedHands(count=8, size=900, seed=29)[1]
    radiograph, masks = hand["image"][0], hand["label"][0].view(np.uint32)
    image, channels = MaskImage("hand.png", masks), [CHANNEL[name] for name in _OVERLAPPING]
    with tempfile.TemporaryDirectory() as folder:
        slicer, coco, nifti = (str(Path(folder, name)) for name in ("hand.seg.nrrd", "hand.json", "hand.nii.gz"))
        write_seg_nrrd(slicer, image)
        write_nifti(nifti, image)
        with CocoWriter(coco, bone_categories()) as file:
            file.write(image)
        layers, header = nrrd.read(slicer)
        places = [[int(header[f"Segment{channel}_{key}"]) for key in ("Layer", "LabelValue")] for channel in channels]
        annotations = COCO(coco)
        codes = [annotations.loadAnns(annotations.getAnnIds(catIds=[channel + 1]))[0] for channel in channels]
        volumes = np.asarray(nibabel.load(nifti).dataobj)
        found = {
            "seg.nrrd, read by pynrrd": [value == layers[layer, :, :, 0].T for layer, value in places],
            "COCO, read by pycocotools": [annotations.annToMask(code) for code in codes],
            "NIfTI, read by nibabel": [volumes[:, :, 0, channel].T for channel in channels],
        }
    rows = [
        _with_title(_bones_apart_and_together(radiograph, np.stack(pair, axis=-1).astype(np.uint8)), title)
        for title, pair in found.items()
    ]
    picture = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(PICTURES / "formats.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


def _with_title(picture: np.ndarray, title: str) -> np.ndarray:
    """Write a title above a picture."""
    titled = np.pad(picture, ((34, 6), (0, 0), (0, 0)), constant_values=255)
    return cv2.putText(titled, title, (4, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 40, 40), 1, cv2.LINE_AA)


def _bone(name: str) -> Bone:
    return BONES[CHANNEL[name]]


def _dicom_radiograph(radiograph: np.ndarray) -> Dataset:
    """Return a simulated radiograph as the DICOM file of nobody."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1.1", "DX"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "2.25.1", "2.25.2", "2.25.3"
    dataset.Rows, dataset.Columns = radiograph.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = np.rint(radiograph * 4095).astype(np.uint16).tobytes()
    return dataset


def _bones_apart_and_together(radiograph: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Draw masks (H, W, 2) over a part of the radiograph: neither, either, and both with what they share."""
    rows, columns = np.nonzero(pixels.any(axis=-1))
    window = tuple(slice(at.min() - _MARGIN_PX, at.max() + _MARGIN_PX) for at in (rows, columns))
    scale = {"fx": _ENLARGED, "fy": _ENLARGED}
    grey = cv2.resize(np.round(radiograph[window] * 255).astype(np.uint8), None, **scale)
    masks = [cv2.resize(pixels[window][..., k], None, interpolation=cv2.INTER_NEAREST, **scale) for k in (0, 1)]
    tiles = []
    for shown in ((), (0,), (1,), (0, 1)):
        tile = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
        for number in shown:
            inside = masks[number].astype(bool)
            tile[inside] = (0.6 * tile[inside] + 0.4 * np.array(_bone(_OVERLAPPING[number]).colour)).astype(np.uint8)
        tiles.append(np.pad(tile, ((0, 0), (0, 8), (0, 0)), constant_values=255))
    return np.hstack(tiles)


if __name__ == "__main__":
    main()
