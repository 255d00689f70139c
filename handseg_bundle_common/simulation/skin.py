"""Skin around a posed hand: tubes around the rays, and the trunk of palm and forearm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from handseg_bundle_common.anatomy import BONE_NAMES, BONES, CHANNEL, Group
from handseg_bundle_common.simulation.bodies import NODES_MM, Body, Points, line_body, smooth_nodes
from handseg_bundle_common.simulation.hand_model import RAYS, HandModel
from handseg_bundle_common.simulation.projection import Beam

# Half widths and half depths in millimetres of an average adult at the middle of the metacarpal, its head, the middle
# of the proximal phalanx, its joint and so on to the pulp; breadths of the joints after Greiner, Hand Anthropometry of
# US Army Personnel (1991), depths fitted to the greys beside bones in reference/intensity.csv.
_FINGER_WIDTHS = np.array([12.0, 12.0, 9.9, 9.7, 8.7, 8.3, 7.2])
_FINGER_DEPTHS = np.array([6.0, 8.8, 6.7, 7.1, 6.4, 6.3, 5.5])
_THUMB_WIDTHS = np.array([14.0, 12.5, 10.6, 10.6, 8.6])
_THUMB_DEPTHS = np.array([10.0, 8.6, 5.3, 5.2, 4.2])
_RAY_FACTORS = (1.0, 0.97, 1.0, 0.92, 0.76)
# Places of the trunk's stations in millimetres proximal to the ends of radius and ulna, half depths there and, towards
# the thumb and the little finger, distances of the skin from the bones; depths fitted likewise.
_FOREARM_STATIONS = (240.0, 130.0, 80.0, 45.0, 20.0, 2.0)
_TRUNK_DEPTHS = np.array([37.0, 28.0, 23.0, 20.0, 18.3, 17.6, 17.0, 16.2, 13.2, 11.2, 7.8, 0.5])
_TRUNK_MARGINS = np.array(
    [(20, 16), (17, 12), (15, 8), (12, 6), (9, 4.5), (7, 2.5), (5.5, 2), (4, 3), (3, 4), (3, 3), (1, 1), (0, 0)], float
)
# Past the heads the palm narrows to these shares.
_TRUNK_END = (0.9, 0.75)
_FOREARM, _METACARPALS, _CARPUS = (
    tuple(bone.name for bone in BONES if bone.group is group and bone.name != "finger-3")
    for group in (Group.FOREARM, Group.METACARPALS, Group.CARPALS)
)
# The skin lies at least this far from every bone to the side, above and below.
_LEAST_MARGIN_MM = 1.8
# The trunk bends at the wrist over this standard deviation, so that cross-sections do not meet.
_BEND_MM = 13.0


@dataclass(frozen=True)
class Frame:
    """A posed hand on the detector.

    Attributes:
        rays: for each ray its carpal end, the joints and the tip of the bone on the detector, in millimetres.
        trunk: stations of forearm and palm from the elbow past the heads of the metacarpals (12, 2).
        towards_thumb: unit vector across the palm.
        bones: for each bone its vertices on the detector and their height above it (v, 3).
    """

    rays: tuple[Points, ...]
    trunk: Points
    towards_thumb: Points
    bones: dict[str, Points]

    @property
    def elbow(self) -> Points:
        """Return the station nearest to the elbow (2,)."""
        return np.asarray(self.trunk[0])

    @property
    def forearm(self) -> Points:
        """Return the station 45 mm proximal to the wrist (2,)."""
        return np.asarray(self.trunk[3])

    @property
    def distal_forearm(self) -> Points:
        """Return the station 20 mm proximal to the wrist (2,)."""
        return np.asarray(self.trunk[4])

    @property
    def wrist(self) -> Points:
        """Return the station at the ends of radius and ulna (2,)."""
        return np.asarray(self.trunk[5])

    @property
    def carpus(self) -> Points:
        """Return the station at the capitate (2,)."""
        return np.asarray(self.trunk[6])


def frame_of(hand: HandModel, beam: Beam) -> Frame:
    """Measure where rays, palm and forearm of a posed hand lie on the detector."""
    bones = {name: _flat(hand.vertices_of(channel)[::5], beam) for name, channel in CHANNEL.items()}
    joints = _flat(hand.joint_centres, beam)[:, :2]
    rays = []
    for chain in RAYS:
        base = _far_end(hand.vertices_of(chain[0]), hand.joint_centres[chain[1]])
        tip = _far_end(hand.vertices_of(chain[-1]), hand.joint_centres[chain[-1]], 0.97)
        ends = _flat(np.array([base, tip]), beam)[:, :2]
        rays.append(np.array([ends[0], *joints[list(chain[1:])], ends[1]]))
    capitate = bones["Capitate"][:, :2].mean(0)
    forearm = [bones[name] for name in _FOREARM]
    distal = np.mean([_near_end(points, capitate) for points in forearm], 0)
    elbow = np.mean([_far_end(points[:, :2], capitate) for points in forearm], 0)
    axis = (elbow - distal) / np.linalg.norm(elbow - distal)
    base, head = (np.mean([ray[place] for ray in rays[1:]], 0) for place in (0, 1))
    along = (head - base) / np.linalg.norm(head - base)
    hand_stations = [capitate, base, (base + head) / 2, head - 12 * along, head + 3 * along, head + 16 * along]
    across = rays[1][1] - rays[4][1]
    across -= across @ along * along
    trunk = np.array([*(distal + axis * np.array(_FOREARM_STATIONS)[:, None]), *hand_stations])
    return Frame(tuple(rays), trunk, across / np.linalg.norm(across), bones)


def ray_tube(
    frame: Frame, ray: int, factors: tuple[float, float, float], *, joint: float, pulp: float, fat: float
) -> Body:
    """Return the tube of one finger from the carpus, of thumb and little finger from the forearm, to the pulp.

    Args:
        frame: posed hand.
        ray: 0 for the thumb to 4.
        factors: on half widths and half depths, and of the whole hand.
        joint: share by which the finger is wider at its joints.
        pulp: distance in millimetres from bone to skin at the tip.
        fat: thickness of skin and fat in millimetres.
    """
    joints = frame.rays[ray]
    widths, depths = (_FINGER_WIDTHS, _FINGER_DEPTHS) if ray else (_THUMB_WIDTHS, _THUMB_DEPTHS)
    swelling = np.where(np.arange(len(widths)) % 2, 1 + joint, 1 - joint / 2)
    swelling[[0, -1]] = 1.0
    widths = widths * factors[0] * factors[2] * swelling * _RAY_FACTORS[ray]
    depths = depths * factors[1] * factors[2] * _RAY_FACTORS[ray]
    end = joints[-1] - joints[-2]
    tip = joints[-1] + end / np.linalg.norm(end) * (pulp - widths[-1])
    inner = [place for pair in zip((joints[:-2] + joints[1:-1]) / 2, joints[1:-1], strict=True) for place in pair]
    centres = np.array([*inner, tip])
    names = [BONE_NAMES[channel] for channel in RAYS[ray]]
    stations = np.column_stack([centres, widths, depths, np.full(len(widths), fat)])
    stations = _around_bones(stations, [frame.bones[name] for name in names])
    return line_body(smooth_nodes(np.concatenate([_root(frame, ray, factors, fat), stations])))


def trunk_tube(frame: Frame, margin: float, depth: float, fat: float) -> Body:
    """Return palm, wrist and forearm: as wide as the bones with `margin` times the average tissue beside them."""
    centres, tangents = frame.trunk, np.gradient(frame.trunk, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    normals = np.column_stack([-tangents[:, 1], tangents[:, 0]])
    normals *= np.sign(normals @ frame.towards_thumb)[:, None]
    forearm, carpus, metacarpals = (
        np.concatenate([frame.bones[name] for name in names]) for names in (_FOREARM, _CARPUS, _METACARPALS)
    )
    bones = [forearm] * len(_FOREARM_STATIONS) + [carpus] + [metacarpals] * 3
    extents = np.array([_extent(*station)[:2] for station in zip(bones, centres, tangents, normals, strict=False)])
    extents = np.concatenate([extents, extents[-1] * np.array(_TRUNK_END)[:, None]])
    low, high = extents[:, 0] - _TRUNK_MARGINS[:, 1] * margin, extents[:, 1] + _TRUNK_MARGINS[:, 0] * margin
    centres = centres + normals * ((low + high) / 2)[:, None]
    stations = np.column_stack([centres, (high - low) / 2, _TRUNK_DEPTHS * depth, np.full(len(centres), fat)])
    return line_body(
        gaussian_filter1d(smooth_nodes(stations), _BEND_MM / NODES_MM, axis=0, mode="nearest"), capped=False
    )


def along_ray(frame: Frame, ray: int, place: float) -> Points:
    """Return the point at `place` of a ray: 0 is its carpal end, 1 the head of the metacarpal, 2 the next joint."""
    joints = frame.rays[ray]
    first = min(int(place), len(joints) - 2)
    return np.asarray(joints[first] + (place - first) * (joints[first + 1] - joints[first]))


def _flat(points: NDArray[np.floating], beam: Beam) -> Points:
    """Return x and y on the detector in millimetres and the height above it."""
    return np.column_stack([beam.onto_detector(points)[0] * beam.spacing_mm, points[:, 2]])


def _far_end(points: NDArray[np.floating], start: Points, quantile: float = 0.9) -> Points:
    distance = np.linalg.norm(points - start, axis=1)
    return np.asarray(points[distance >= np.quantile(distance, quantile)].mean(0), np.float64)


def _near_end(points: Points, start: Points) -> Points:
    distance = np.linalg.norm(points[:, :2] - start, axis=1)
    return np.asarray(points[distance <= np.quantile(distance, 0.1), :2].mean(0))


def _root(frame: Frame, ray: int, factors: tuple[float, float, float], fat: float) -> Points:
    """Return the stations of a ray inside palm and forearm, whose edges they run into without a corner."""
    width, depth = factors[0] * factors[2], factors[1] * factors[2]
    rows = [(*frame.rays[ray][0], 9.0 * width, 3.0 * depth, fat)]
    if ray in {0, 4}:
        outward = -frame.towards_thumb if ray else frame.towards_thumb
        bone = frame.bones["Ulna" if ray else "Radius"][:, :2]
        distal = _near_end(bone, frame.carpus)
        proximal = distal + (frame.forearm - frame.wrist)
        wrist, base = (2.0, 2.0) if ray else (9.0, 4.0)
        rows = [
            (*proximal, 8.0 * width, 8.0 * depth, fat),
            (*(distal + wrist * outward), 9.0 * width, 9.0 * depth, fat),
            (*(frame.rays[ray][0] + base * outward), 12.0 * width, 10.0 * depth, fat),
        ]
    return np.array(rows)


def _around_bones(stations: Points, bones: list[Points]) -> Points:
    """Widen and deepen stations until they hold the bones beside them."""
    points, grown = np.concatenate(bones), stations.copy()
    tangents = np.gradient(stations[:, :2], axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    for row, tangent in zip(grown, tangents, strict=True):
        low, high, depth = _extent(points, row[:2], tangent, np.array([-tangent[1], tangent[0]]), 4.0)
        row[2] = max(row[2], -low + _LEAST_MARGIN_MM, high + _LEAST_MARGIN_MM)
        row[3] = max(row[3], depth / 2 + _LEAST_MARGIN_MM)
    return grown


def _extent(
    points: Points, centre: Points, tangent: Points, normal: Points, reach: float = 6.0
) -> tuple[float, float, float]:
    """Return the sides and the height of the bones that lie beside a station, zero where there are none."""
    offset = points[:, :2] - centre
    beside = (np.abs(offset @ tangent) < reach) & (np.abs(offset @ normal) < 45)
    if not beside.any():
        return 0.0, 0.0, 0.0
    lateral = offset[beside] @ normal
    return float(lateral.min()), float(lateral.max()), float(np.ptp(points[beside, 2]))
