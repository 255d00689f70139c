"""Check of a data set before training: its files, its polygons, and whether the bones lie where bones lie."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from os import PathLike
from pathlib import Path

from tqdm import tqdm

from handseg_bundle_common.datasets.check_anatomy import order_faults, side_faults
from handseg_bundle_common.datasets.check_areas import MIN_IMAGES, area_faults, size_faults
from handseg_bundle_common.datasets.check_copies import copied_bones, copied_images, repeated_rings
from handseg_bundle_common.datasets.check_faults import Fault, FaultKind, sorted_faults
from handseg_bundle_common.datasets.check_polygons import nested_rings, points_outside, scale_faults, scan_polygons
from handseg_bundle_common.datasets.lists import Item, Listing, list_files
from handseg_bundle_common.datasets.moments import Moments, polygon_moments
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.formats.boostcamp import Annotations
from handseg_bundle_common.formats.radiograph import read_stored, side_of_name

# Size (H, W), None for a picture that cannot be read, and the reasons why.
_Picture = tuple[tuple[int, int] | None, list[Fault]]


@dataclass(frozen=True)
class _Hand:
    """One image: its faults, its usable rings, and its bones as far as they can be measured."""

    patient: str
    image: str
    faults: list[Fault]
    annotations: Annotations
    bones: dict[str, Moments]


def check_data(data_dir: str | PathLike[str]) -> list[Fault]:
    """Find the faults of an annotated data set, without stopping at the first.

    Every image is decoded, because a truncated one shows only then; bones are measured by their polygons. Errors are
    what data lists, folds and loaders refuse. Warnings compare with anatomy and with the rest of the set, so each is
    a reason to look, not a proof. A note says which comparison the set is too small for.

    Args:
        data_dir: folder in the layout of `data_list`.

    Returns:
        The faults, errors first, notes last.

    Raises:
        HandsegInputError: no image is found.
    """
    listing = list_files(data_dir)
    images, labels = listing.images, listing.labels or {}
    bar = partial(tqdm, total=len(images), unit="image", disable=None)
    # Decoders work outside the interpreter's lock; parsing JSON beside them would slow both down.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(bar(pool.map(_read_image, (image for _, image in images)), desc="checking images"))
    hands = [
        _check_hand(listing.item(image), picture, labels.get(key))
        for (key, image), picture in bar(zip(images, pictures, strict=True), desc="checking polygons", delay=2)
    ]
    copies = copied_images([(f"{hand.patient}/{hand.image}", hand.annotations) for hand in hands])
    odd = area_faults([{name: bone.area for name, bone in hand.bones.items()} for hand in hands])
    faults = [*_layout_faults(listing), *_name_faults(hands), *_unchecked(hands)]
    for hand, *found in zip(hands, copies, odd, strict=True):
        of_hand = chain(hand.faults, *found)
        faults += [replace(fault, patient=hand.patient, image=hand.image) for fault in of_hand]
    return sorted_faults(faults)


def _check_hand(item: Item, picture: _Picture, label: Path | None) -> _Hand:
    """Check the polygons of an image, each by itself and against the others, and add them to its own faults."""
    size, image_faults = picture
    annotations, polygon_faults = _read_polygons(label) if label else ({}, [])
    outer, nested_faults = nested_rings(annotations)
    measured = {name: polygon_moments(rings) for name, rings in outer.items()}
    bones = {name: moments for name, moments in measured.items() if moments}
    centroids = {name: moments.centroid for name, moments in bones.items()}
    side = side_of_name(item["image_name"])
    faults = [
        *image_faults,
        *polygon_faults,
        *repeated_rings(annotations),
        *nested_faults,
        *(Fault(FaultKind.ODD_AREA, "encloses no area", bone=name) for name in measured if name not in bones),
        *(points_outside(annotations, *size) if size else ()),
        *(scale_faults(annotations, *size) if size else ()),
        *(side_faults(centroids, side) if side else ()),
        *order_faults(centroids),
        *size_faults({name: moments.area for name, moments in bones.items()}),
        *copied_bones(bones),
    ]
    return _Hand(item["patient"], item["image_name"], faults, annotations, bones)


def _read_image(image: Path) -> _Picture:
    """Return the size (H, W) of an image, or None and why it cannot be read."""
    try:
        return read_stored(image, inverted=False).size, []
    except HandsegInputError as error:
        return None, [Fault(FaultKind.UNREADABLE_IMAGE, f"{error.problem}; {error.remedy}")]


def _read_polygons(label: Path) -> tuple[Annotations, list[Fault]]:
    """Return the usable rings of a polygon file and what is wrong with it."""
    try:
        return scan_polygons(read_json(label, "export the polygons again"))
    except HandsegInputError as error:
        return {}, [Fault(FaultKind.UNREADABLE_POLYGONS, f"{error.problem}; {error.remedy}")]


def _layout_faults(listing: Listing) -> Iterator[Fault]:
    """Yield what data lists and folds refuse about the files as such."""
    patients = {listing.item(image)["patient"] for _, image in listing.images}
    if len(patients) < 2:
        problem = "all images are of one patient, but training and validation need patients of their own"
        yield Fault(FaultKind.FEW_PATIENTS, problem)
    if listing.labels is None:
        problem = f"none of {len(listing.images)} images has polygons: there is no folder outputs_json"
        yield Fault(FaultKind.LONE_IMAGE, problem)
        return
    images: defaultdict[Path, list[Path]] = defaultdict(list)
    for key, image in listing.images:
        images[key].append(image)
    for key, same in images.items():
        patient, names = listing.patient(key), [image.name for image in same]
        if key not in listing.labels:
            yield Fault(FaultKind.LONE_IMAGE, "has no polygons in outputs_json", patient, names[0])
        if len(same) > 1:
            problem = f"shares its polygons with {', '.join(names[1:])}; keep one of them"
            yield Fault(FaultKind.SAME_PLACE, problem, patient, names[0])
    for key, label in listing.labels.items():
        if key not in images:
            yield Fault(FaultKind.LONE_POLYGONS, "has no image in DCM", listing.patient(key), label.name)


def _name_faults(hands: Iterable[_Hand]) -> Iterator[Fault]:
    """Yield a fault for every image whose name another patient's image has, too."""
    names = Counter(hand.image for hand in hands)
    for hand in hands:
        if names[hand.image] > 1:
            problem = f"{names[hand.image]} images have this name, which submissions tell images by"
            yield Fault(FaultKind.SAME_NAME, problem, hand.patient, hand.image)


def _unchecked(hands: Iterable[_Hand]) -> Iterator[Fault]:
    """Yield a note if too few images have bones for a comparison of their areas."""
    measured = sum(bool(hand.bones) for hand in hands)
    if measured < MIN_IMAGES:
        problem = f"areas are compared in {MIN_IMAGES} or more images with polygons, and there are {measured}"
        yield Fault(FaultKind.UNCHECKED_AREAS, problem)
