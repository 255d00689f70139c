"""Masks from every format to every other and back: overlaps, empty bones, holes and parts come back pixel for pixel."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.conversion import FORMATS, convert
from handseg_bundle_common.conversion.sinks import open_sink
from handseg_bundle_common.conversion.sources import Radiographs, entries_of
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.masks import pack_masks

WriteDicom = Callable[..., Path]

DICOM, RAM = "dicom-seg", "coco-ram"
WITHOUT_SPACING = {"rle", DICOM}
SPACING = (0.14, 0.15)
PISIFORM, TRIQUETRUM = CHANNEL["Pisiform"], CHANNEL["Triquetrum"]
PAIRS = [pair for pair in product(FORMATS, FORMATS) if pair[0] != pair[1]]


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Draw overlapping masks (29, H, W): some empty, some full, the others of blocks with holes in several parts."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    found = np.zeros((NUM_BONES, height, width), bool)
    block = st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(1, 8), st.integers(1, 8), st.booleans())
    for channel in draw(st.lists(st.integers(0, NUM_BONES - 1), max_size=6)):
        for top, left, rows, columns, is_hole in draw(st.lists(block, min_size=1, max_size=5)):
            found[channel, top : top + rows, left : left + columns] = not is_hole
    return found


def hand() -> np.ndarray:
    """Return masks with overlaps of three, a hole with a part in it, parts of one pixel, full and empty ones."""
    found = np.zeros((NUM_BONES, 9, 11), bool)
    found[TRIQUETRUM, 1:8, 1:8] = found[PISIFORM, 4:9, 4:11] = True
    found[TRIQUETRUM, 2:7, 2:7] = False
    found[TRIQUETRUM, 4, 4] = True
    found[CHANNEL["Hamate"], 3:6, 3:6] = True
    found[CHANNEL["Ulna"]] = True
    found[0, 0, 0] = found[0, 1, 1] = found[0, 8, 10] = True
    return found


def merged(found: np.ndarray) -> np.ndarray:
    """Return masks as RAM-H1200 has them: what is pisiform or triquetrum is triquetrum."""
    found = found.copy()
    found[TRIQUETRUM] |= found[PISIFORM]
    found[PISIFORM] = False
    return found


def write(folder: Path, name: str, images: list[MaskImage], radiographs: Path | None) -> Path:
    known = Radiographs(radiographs)
    with open_sink(folder, name) as sink:
        for image in images:
            sink.write(image, known.find(image.name))
    return folder


def read(folder: Path, name: str, radiographs: Path | None) -> list[MaskImage]:
    return [entry.read() for entry in entries_of(folder, name, Radiographs(radiographs))]


def is_told(begin: str, end: str, drawn: list[np.ndarray]) -> bool:
    """Tell whether something is lost on the way, apart from what was lost when the source was written."""
    spacing = end in WITHOUT_SPACING and begin not in WITHOUT_SPACING
    # Nobody knows which of a merged bone's pixels were lost before, so reading tells it as soon as there are any.
    both = any(found[[PISIFORM, TRIQUETRUM]].any() for found in drawn)
    apart = end == RAM and any(found[PISIFORM].any() for found in drawn)
    return spacing or (begin == RAM and both) or apart


def check(begin: str, end: str, drawn: list[np.ndarray], write_dicom: WriteDicom) -> None:
    suffixes = (".dcm", ".dcm") if DICOM in (begin, end) else (".png", ".tif")
    names = [f"{folder}/a.1{suffix}" for folder, suffix in zip(("p1", "p2"), suffixes, strict=True)]
    spacings = (SPACING, None)
    images = [MaskImage(*parts) for parts in zip(names, map(pack_masks, drawn), spacings, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        source, there, back = (Path(folder, name) for name in ("source", "there", "back"))
        radiographs = Path(folder, "DCM") if DICOM in (begin, end) else None
        for image in images if radiographs else []:
            write_dicom(Path(folder, "DCM", image.name), image.masks.shape)
        write(source, begin, images, radiographs)
        to = convert(source, there, target_format=end, images=radiographs)
        fro = convert(there, back, source_format=end, target_format=begin, images=radiographs)
        assert (to.done, fro.done, to.kept, fro.kept) == (2, 2, 0, 0)
        assert bool(to.lost) == is_told(begin, end, drawn)
        for place, name, way in ((source, begin, {begin}), (there, end, {begin, end}), (back, begin, {begin, end})):
            for image, found, original in zip(read(place, name, radiographs), images, drawn, strict=True):
                expected = merged(original) if RAM in way else original
                np.testing.assert_array_equal(image.masks, pack_masks(expected))
                spacing = None if way & WITHOUT_SPACING else found.spacing_mm
                assert (image.name, image.spacing_mm) == (found.name, spacing)


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(first=masks(), second=masks())
@example(first=hand(), second=hand()[:, ::-1, 2:])
@pytest.mark.parametrize(("begin", "end"), [pair for pair in PAIRS if DICOM not in pair])
def test_every_pair(write_dicom: WriteDicom, begin: str, end: str, first: np.ndarray, second: np.ndarray) -> None:
    check(begin, end, [first, second], write_dicom)


@settings(max_examples=2, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(first=masks(), second=masks())
@example(first=hand(), second=hand()[:, ::-1, 2:])
@pytest.mark.parametrize(("begin", "end"), [pair for pair in PAIRS if DICOM in pair])
def test_every_pair_with_dicom(
    write_dicom: WriteDicom, begin: str, end: str, first: np.ndarray, second: np.ndarray
) -> None:
    """A DICOM segmentation takes a tenth of a second to write, so fewer are drawn."""
    pytest.importorskip("highdicom", reason="DICOM segmentations (pip install 'handseg[dicom]')")
    check(begin, end, [first, second], write_dicom)


def test_every_pair_is_there() -> None:
    assert len(PAIRS) == len(FORMATS) * (len(FORMATS) - 1) == 56
