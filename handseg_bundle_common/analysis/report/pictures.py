"""Pictures inside the page: radiographs of the worst images with their errors as a layer of its own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handseg_bundle_common.analysis.case import Case
from handseg_bundle_common.analysis.faults import FaultKind
from handseg_bundle_common.analysis.overlays import (
    Scene,
    backdrop,
    compose,
    error_layer,
    fit_size,
    hand_box,
    square_around,
)
from handseg_bundle_common.anatomy import BONES, CHANNEL
from handseg_bundle_common.pages import data_uri

_LONGEST_PX, _DETAIL_PX = 1000, 300
_MOST_DETAILS, _LEAST_DETAILS = 8, 4
_QUALITY = 78


@dataclass(frozen=True)
class Detail:
    """A magnified bone: the picture as data URI, and what is wrong with it."""

    source: str
    text: str


@dataclass(frozen=True)
class CasePicture:
    """An image as it stands in the page.

    Attributes:
        radiograph: data URI.
        errors: data URI of a transparent layer of the same size.
        height: rows.
        width: columns.
        details: bones with faults, worst first, then those with the lowest Dice.
    """

    radiograph: str
    errors: str
    height: int
    width: int
    details: tuple[Detail, ...]


def case_picture(scene: Scene, case: Case) -> CasePicture:
    """Draw an image for the page, cut to the hand."""
    hand = scene.crop(hand_box(scene))
    size = fit_size(hand.size, _LONGEST_PX)
    layer = error_layer(hand, size)
    details = (Detail(picture_uri(_magnified(scene, bones)), text) for bones, text in _worth_a_look(case))
    return CasePicture(picture_uri(backdrop(hand, size)), picture_uri(layer, lossless=True), *size, tuple(details))


def picture_uri(picture: NDArray[np.uint8], *, lossless: bool = False) -> str:
    """Return a grey (H, W), RGB or RGBA picture as a WebP data URI."""
    stream = io.BytesIO()
    # What is transparent need not keep its colour.
    Image.fromarray(picture).save(stream, "WEBP", lossless=lossless, quality=_QUALITY, method=4, exact=False)
    return data_uri("image/webp", stream.getvalue())


def _worth_a_look(case: Case) -> Iterator[tuple[int, str]]:
    """Yield bones, as bits, and what to say about them."""
    shown: set[str] = set()
    for fault in case.faults[:_MOST_DETAILS]:
        bones = {fault.bone} | ({fault.other} if fault.kind is FaultKind.SWAPPED and fault.other else set())
        shown |= bones
        yield _bits(bones), fault.text
    lowest = (BONES[channel] for channel in np.argsort(case.scores.dice, kind="stable"))
    others = [bone for bone in lowest if bone.name not in shown]
    for bone in others[: max(_LEAST_DETAILS - len(case.faults), 0)]:
        dice = case.scores.dice[CHANNEL[bone.name]]
        if dice < 1:
            yield _bits({bone.name}), f"The {bone.anatomical_name} has a Dice of {dice:.3f}."


def _bits(bones: set[str]) -> int:
    return sum(1 << CHANNEL[bone] for bone in bones)


def _magnified(scene: Scene, bones: int) -> NDArray[np.uint8]:
    """Draw the errors of some bones only, so that those of their neighbours do not hide them."""
    shown = scene.only(bones)
    cut = scene.crop(square_around((shown.prediction | shown.reference) > 0))
    factor = _DETAIL_PX / max(cut.size)
    size = round(cut.size[0] * factor), round(cut.size[1] * factor)
    return compose(backdrop(cut, size), error_layer(cut, size, bones))
