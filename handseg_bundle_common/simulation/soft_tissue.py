"""Soft tissue along the rays: skin, fat and muscle around the bones, with creases, nails and vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.simulation.bodies import Body, Points, sheet, tube
from handseg_bundle_common.simulation.hand_model import HandModel
from handseg_bundle_common.simulation.projection import Beam
from handseg_bundle_common.simulation.settings import TissueSettings
from handseg_bundle_common.simulation.skin import Frame, along_ray, frame_of, ray_tube, trunk_tube
from handseg_bundle_common.simulation.skin_marks import creases_and_vessels, nails, texture
from handseg_bundle_common.simulation.tissue_canvas import Canvas

Image = NDArray[np.float32]

# Water that attenuates like skin of 1.1 g/cm3 (ICRU Report 44).
_SKIN_WATER = 1.09
# Exponent of the border of muscles that lie deep.
_SOFT_EDGE = 1.5


@dataclass(frozen=True)
class SoftTissue:
    """Soft tissue on the detector, as if there were no bones.

    Attributes:
        water_mm: water that attenuates like it (H, W).
        coarse_thickness_mm: distance from skin to skin on the grid of the canvas.
        canvas: the grid.
    """

    water_mm: Image
    coarse_thickness_mm: Image
    canvas: Canvas

    @property
    def thickness_mm(self) -> Image:
        """Distance from skin to skin along the rays (H, W)."""
        return self.canvas.enlarged(self.coarse_thickness_mm)


@dataclass(frozen=True)
class Build:
    """Drawn soft tissue of one person: one value of each distribution of `TissueSettings`.

    Width, palm and depth are the factors themselves, and the nails' thickness is 0 where they do not show.
    """

    width: float
    palm: float
    depth: float
    flatness: float
    joint: float
    pulp_mm: float
    skin_mm: float
    fat_mm: float
    fat_water: float
    muscle_water: float
    web: float
    web_sag: float
    thumb_web: float
    thenar_mm: float
    thenar_reach: float
    thenar_edge: float
    hypothenar_mm: float
    interosseous_mm: float
    crease_mm: float
    nail_mm: float
    vessel_mm: float
    streaks: float
    mottling: float


def draw_build(generator: np.random.Generator, settings: TissueSettings) -> Build:
    """Draw the soft tissue of one person."""
    logarithmic = {name: float(np.exp(getattr(settings, name).draw(generator))) for name in ("width", "palm", "depth")}
    nails = generator.random() < settings.nails
    nail = settings.nail_mm.draw(generator) if nails else 0.0
    others = [name for name in Build.__dataclass_fields__ if name not in {*logarithmic, "nail_mm"}]
    drawn = {name: getattr(settings, name).draw(generator) for name in others}
    return Build(**logarithmic, **drawn, nail_mm=nail)


def soft_tissue(hand: HandModel, beam: Beam, build: Build, size: float, generator: np.random.Generator) -> SoftTissue:
    """Return the soft tissue at every pixel (H, W).

    Tubes with elliptic cross-sections are stacked on a grid of 0.6 mm and enlarged smoothly.

    Args:
        hand: posed hand in the beam's frame.
        beam: detector.
        build: drawn soft tissue.
        size: factor on the whole hand.
        generator: source of creases, vessels and texture.
    """
    frame, canvas = frame_of(hand, beam), Canvas(beam)
    fat = build.skin_mm + build.fat_mm
    factors = build.width, build.depth, size
    fingers = [ray_tube(frame, ray, factors, joint=build.joint, pulp=build.pulp_mm, fat=fat) for ray in range(5)]
    palm = [trunk_tube(frame, build.palm * size, build.depth * size, fat), *_webs(frame, build, size)]
    layers = canvas.layers(fingers, palm, build.skin_mm, build.flatness)
    bulk = canvas.lenses(_thenar(frame, build, size), build.thenar_edge)
    bulk += canvas.lenses(_hypothenar(frame, build, size), _SOFT_EDGE)
    between = canvas.lenses(_interossei(frame, build, size), _SOFT_EDGE)
    marks = creases_and_vessels(frame, canvas, build.crease_mm, build.vessel_mm, generator)
    if build.nail_mm:
        marks += nails(frame, canvas, build.nail_mm, build.pulp_mm)
    irregular = texture(frame, canvas, build.streaks, build.mottling, generator)
    waters = np.array([_SKIN_WATER, build.fat_water, build.muscle_water], np.float32)
    thickness, water = _mixed(*layers, bulk, between, marks, irregular, waters)
    return SoftTissue(canvas.enlarged(water), thickness, canvas)


def _webs(frame: Frame, build: Build, size: float) -> list[Body]:
    """Return the folds between neighbouring fingers and the one between thumb and index finger."""
    fat, scale = build.skin_mm + build.fat_mm, build.depth * size
    webs = []
    for ray in range(1, 4):
        sides = (
            np.array([along_ray(frame, side, place) for place in (0.9, 1.12 + build.web)]) for side in (ray, ray + 1)
        )
        depths = 4.0 * scale, 4.5 * scale, 3.5 * scale
        webs.append(sheet(*sides, sag=0.2 + build.web_sag, radius=4.0 * size, depths=depths, fat=fat, arch=0.0))
    depths = 8.0 * scale, 10.5 * scale, 4.5 * scale
    first, second = _thumb_web(frame, build.thumb_web)
    return [*webs, sheet(first, second, sag=build.web_sag, radius=6.0 * size, depths=depths, fat=fat, arch=0.2)]


def _thumb_web(frame: Frame, share: float) -> tuple[Points, Points]:
    """Return the lines along thumb and index finger that the web between them spans, as far as `share` says."""
    thumb = np.array([along_ray(frame, 0, place) for place in (0.0, 0.1 + 1.2 * share)])
    index = np.array([along_ray(frame, 1, place) for place in (0.0, share)])
    return thumb, index


def _thenar(frame: Frame, build: Build, size: float) -> list[Body]:
    """Return the muscles of the thumb; their half depth is the thickness that they add."""
    first, second = _thumb_web(frame, build.thumb_web * build.thenar_reach)
    depths = 0.3 * build.thenar_mm, 0.9 * build.thenar_mm, build.thenar_mm
    second = second + 0.1 * (first - second)
    return [sheet(first, second, sag=build.web_sag, radius=5.0 * size, depths=depths, fat=0.0, arch=0.9)]


def _hypothenar(frame: Frame, build: Build, size: float) -> list[Body]:
    """Return the muscles of the little finger; their half depth is the thickness that they add."""
    outward = -5.0 * size * frame.towards_thumb
    line = np.array([along_ray(frame, 4, place) + outward for place in (0.0, 0.3, 0.6, 0.95)])
    return [tube(line, 13.0 * size, tuple(share * build.hypothenar_mm for share in (0.3, 1.0, 0.9, 0.1)))]


def _interossei(frame: Frame, build: Build, size: float) -> list[Body]:
    """Return the muscles between the metacarpals; their half depth is the water that they add."""
    muscles = []
    for ray in range(1, 4):
        line = [
            (along_ray(frame, ray, place) + along_ray(frame, ray + 1, place)) / 2 for place in (0.15, 0.35, 0.6, 0.9)
        ]
        depths = tuple(share * build.interosseous_mm for share in (0.2, 0.9, 1.0, 0.1))
        muscles.append(tube(np.array(line), 9.0 * size, depths))
    return muscles


@numba.njit(cache=True, nogil=True, fastmath=True)
def _mixed(skin, fat, muscle, bulk, between, marks, irregular, waters):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Return thickness and water of the layers; muscles and marks fade where the hand is thin."""
    thickness, water = np.empty_like(skin), np.zeros_like(skin)
    for row in range(skin.shape[0]):
        for column in range(skin.shape[1]):
            total = skin[row, column]
            inside = min(total * np.float32(0.1), np.float32(1))
            more = bulk[row, column] * inside
            thickness[row, column] = total + more
            if total > 0:
                outer = waters[0] * (total - fat[row, column]) + waters[1] * (fat[row, column] - muscle[row, column])
                core = waters[2] * (muscle[row, column] + more)
                fading = min(total * np.float32(0.25), np.float32(1))
                water[row, column] = (outer + core) * (1 + irregular[row, column])
                water[row, column] += between[row, column] * inside + marks[row, column] * fading
    return thickness, water
