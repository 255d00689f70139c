"""Where the hand lies on the detector and where the source stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL
from handseg_bundle_common.simulation.field_settings import FieldSettings
from handseg_bundle_common.simulation.hand_model import HandModel, mirrored, moved, turned
from handseg_bundle_common.simulation.projection import Beam

# Framing: bones keep this distance from the edges, and at least this much is left below the wrist's centre.
_MARGIN_MM, _FOREARM_MM = 8.0, 65.0
# The cone beam magnifies by where a bone lies, so that framing is repeated.
_ROUNDS = 3


@dataclass(frozen=True)
class Placement:
    """Drawn geometry of one exposure.

    Attributes:
        field_mm: height of the picture on the detector.
        wrist: place of the wrist's centre as shares of the width and height, for a right hand.
        source_mm: height of the X-ray source above the detector.
        source_offset_mm: foot of the source (x, y) against the picture's centre.
        clearance_mm: distance of the lowest bone from the detector.
        rotation: rotation of the hand in the picture in degrees.
        aspect: width over height of the picture, where the caller does not choose it.
    """

    field_mm: float
    wrist: tuple[float, float]
    source_mm: float
    source_offset_mm: tuple[float, float]
    clearance_mm: float
    rotation: float
    aspect: float


def draw_placement(generator: np.random.Generator, settings: FieldSettings) -> Placement:
    """Draw where the hand lies on the detector; the forearm leaves the picture through its bottom."""
    return Placement(
        field_mm=settings.height_mm.draw(generator),
        wrist=(settings.wrist_x.draw(generator), settings.wrist_y.draw(generator)),
        source_mm=settings.source_mm.draw(generator),
        source_offset_mm=(settings.source_offset_mm.draw(generator), settings.source_offset_mm.draw(generator)),
        clearance_mm=settings.clearance_mm.draw(generator),
        rotation=settings.rotation.draw(generator),
        aspect=settings.aspect.draw(generator),
    )


def place(hand: HandModel, drawn: Placement, height: int, width: int) -> tuple[HandModel, Beam]:
    """Lay a posed right hand on the detector, thumb to the left as seen from the source.

    Where the picture would cut off a bone of the hand, the wrist is moved and, if need be, the field widened.

    Args:
        hand: posed hand with the wrist's centre as its origin.
        drawn: placement without regard to this hand.
        height: rows of the detector.
        width: columns of the detector.

    Returns:
        The hand in the beam's frame, and the beam.
    """
    hand = mirrored(hand)
    if drawn.rotation:
        hand = turned(hand, drawn.rotation)
    placement, points = drawn, _fingers_and_carpus(hand)
    for _ in range(_ROUNDS):
        offset, beam = _layout(points, placement, height, width)
        placement = _framed(points[::4] + offset, beam, placement)
    offset, beam = _layout(points, placement, height, width)
    return moved(hand, offset), beam


def _layout(
    points: NDArray[np.float32], placement: Placement, height: int, width: int
) -> tuple[NDArray[np.float64], Beam]:
    """Return the displacement that lays points with the wrist's centre as origin on the detector, and the beam."""
    spacing = placement.field_mm / height
    size = np.array([width, height]) * spacing
    foot = size / 2 + placement.source_offset_mm
    offset = np.array([*(np.array(placement.wrist) * size), placement.clearance_mm - points[:, 2].min()])
    return offset, Beam(height, width, spacing, (float(foot[0]), float(foot[1]), placement.source_mm))


def _framed(points: NDArray[np.float64], beam: Beam, placement: Placement) -> Placement:
    """Move the wrist, and step back if need be, towards a picture that shows every bone of the hand."""
    pixels, _ = beam.onto_detector(points)
    aspect, old = beam.width / beam.height, placement.field_mm
    wrist = np.array(placement.wrist) * [aspect * old, old]
    left, top = wrist - pixels.min(0) * beam.spacing_mm + _MARGIN_MM
    right = pixels[:, 0].max() * beam.spacing_mm - wrist[0] + _MARGIN_MM
    field = max(old, float(left + right) / aspect, float(top) + _FOREARM_MM)
    x = np.clip(placement.wrist[0] * aspect * field, left, aspect * field - right)
    y = np.clip(placement.wrist[1] * field, top, field - _FOREARM_MM)
    return replace(placement, field_mm=field, wrist=(float(x / (aspect * field)), float(y / field)))


def _fingers_and_carpus(hand: HandModel) -> NDArray[np.float32]:
    return hand.vertices[: hand.slice_of(CHANNEL["Radius"]).start]
