"""What is finer than muscles: creases of the skin, nails, vessels, fat planes and mottling."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.simulation.bodies import Points
from handseg_bundle_common.simulation.skin import Frame, along_ray
from handseg_bundle_common.simulation.tissue_canvas import Canvas

Image = NDArray[np.float32]

# Marks are drawn on bytes, for smooth lines: this many millimetres of water a level, around the middle.
_LEVEL_MM, _MIDDLE = 0.02, 128
# Places of creases along a finger: 1 is the metacarpal's head, 2 the next joint.
_CREASES = (1.5, 2.0, 3.0)
_SHIFT = 4


def creases_and_vessels(
    frame: Frame, canvas: Canvas, crease_mm: float, vessel_mm: float, generator: np.random.Generator
) -> Image:
    """Return the water (rows, columns) that folds over the joints and in the palm take and vessels add.

    Args:
        frame: posed hand.
        canvas: grid.
        crease_mm: depth of a crease.
        vessel_mm: strength of a vessel.
        generator: source of places and curves.
    """
    marks = np.full(canvas.shape, _MIDDLE, np.uint8)
    for _ in range(int(generator.integers(2, 7))):
        _line(marks, canvas, _vessel(frame, generator), vessel_mm * generator.uniform(0.4, 1), 2)
    for ray in range(5):
        for place in _CREASES[: len(frame.rays[ray]) - 2]:
            for _ in range(int(generator.integers(1, 4))):
                line = _joint_fold(frame, ray, place, generator)
                _line(marks, canvas, line, crease_mm * generator.uniform(-1, 0.5), 1)
    for line in _palm_creases(frame, generator):
        _line(marks, canvas, line, -crease_mm * generator.uniform(0.3, 1.2), 1)
    blurred = cv2.GaussianBlur(marks, (3, 3), 0).astype(np.float32)
    return np.asarray((blurred - _MIDDLE) * np.float32(_LEVEL_MM))


def nails(frame: Frame, canvas: Canvas, nail_mm: float, pulp_mm: float) -> Image:
    """Return the water (rows, columns) of the nails' plates."""
    plates = np.full(canvas.shape, _MIDDLE, np.uint8)
    angles = np.linspace(0, 2 * np.pi, 24)
    # A rounded rectangle.
    outline = np.column_stack([np.cos(angles), np.sin(angles)])
    outline = np.sign(outline) * np.abs(outline) ** 0.6
    for ray in range(5):
        joint, tip = frame.rays[ray][-2:]
        axis = (tip - joint) / np.linalg.norm(tip - joint)
        across = np.array([-axis[1], axis[0]])
        end, start = tip + (pulp_mm - 1.5) * axis, joint + 0.55 * (tip - joint)
        half = (end - start) / 2
        width = 0.22 * np.linalg.norm(tip - joint) + 1.0
        polygon = (start + half) + outline[:, :1] * half + outline[:, 1:] * width * across
        points = np.round(canvas.grid(polygon) * 2**_SHIFT).astype(np.int32)
        cv2.fillPoly(plates, [points], int(_MIDDLE + nail_mm / _LEVEL_MM), cv2.LINE_AA, _SHIFT)
    return np.asarray((plates.astype(np.float32) - _MIDDLE) * np.float32(_LEVEL_MM))


def texture(frame: Frame, canvas: Canvas, streaks: float, mottling: float, generator: np.random.Generator) -> Image:
    """Return the relative irregularity of the water (rows, columns): fat planes along the forearm, and mottling.

    Args:
        frame: posed hand.
        canvas: grid.
        streaks: standard deviation of the fat planes.
        mottling: standard deviation of the mottling.
        generator: source of the noise.
    """
    forearm = frame.distal_forearm - frame.elbow
    pattern = 0.8 * mottling * (_mottling(canvas, 2.0, generator) + _mottling(canvas, 7.0, generator))
    planes = _planes(canvas, (1.4, 18.0), forearm, generator) + _planes(canvas, (4.0, 50.0), forearm, generator)
    return np.asarray(pattern + np.float32(0.8 * streaks) * planes * _forearm(frame, canvas, forearm), np.float32)


def _forearm(frame: Frame, canvas: Canvas, forearm: Points) -> Image:
    """Return how much a grid point belongs to the forearm: 1 there, 0.25 in the hand."""
    axis = forearm / np.linalg.norm(forearm)
    rows, columns = (np.linspace(0, size, 40) for size in canvas.shape)
    wrist = canvas.grid(frame.carpus)
    along = ((columns - wrist[0]) * axis[0] + (rows[:, None] - wrist[1]) * axis[1]) * canvas.pitch.mean()
    share = 1 - 0.75 * np.clip((along + 30) / 40, 0, 1)
    return np.asarray(cv2.resize(share.astype(np.float32), canvas.shape[::-1]), np.float32)


def _mottling(canvas: Canvas, grain_mm: float, generator: np.random.Generator) -> Image:
    """Return smooth noise with a standard deviation of about 0.7."""
    shape = [int(size * pitch / grain_mm) + 2 for size, pitch in zip(canvas.shape, canvas.pitch[::-1], strict=True)]
    knots = generator.standard_normal(shape, dtype=np.float32)
    return np.asarray(cv2.resize(knots, canvas.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _planes(canvas: Canvas, grain_mm: tuple[float, float], axis: Points, generator: np.random.Generator) -> Image:
    """Return smooth noise with a standard deviation of about 0.7 whose grains are (across, along) an axis."""
    pitch = float(canvas.pitch.mean())
    diagonal = float(np.hypot(*canvas.shape)) * pitch
    shape = [int(diagonal / grain) + 4 for grain in grain_mm[::-1]]
    knots = generator.standard_normal(shape, dtype=np.float32)
    unit = axis / np.linalg.norm(axis)
    turn = np.array([[-unit[1], unit[0]], [unit[0], unit[1]]]) * pitch / np.array(grain_mm)[:, None]
    shift = np.array(shape[::-1]) / 2 - turn @ (np.array(canvas.shape[::-1]) / 2)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    matrix = np.column_stack([turn, shift])
    noise = cv2.warpAffine(knots, matrix, canvas.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(noise, np.float32)


def _line(marks: NDArray[np.uint8], canvas: Canvas, points: Points, water_mm: float, width: int) -> None:
    level = int(np.clip(_MIDDLE + water_mm / _LEVEL_MM, 0, 255))
    fixed = np.round(canvas.grid(points) * 2**_SHIFT).astype(np.int32)
    cv2.polylines(marks, [fixed], False, level, width, cv2.LINE_AA, _SHIFT)


def _joint_fold(frame: Frame, ray: int, place: float, generator: np.random.Generator) -> Points:
    """Return a slightly bent line across a finger near a joint."""
    centre = along_ray(frame, ray, place + generator.normal(0, 0.03))
    axis = along_ray(frame, ray, place + 0.2) - along_ray(frame, ray, place - 0.2)
    axis /= np.linalg.norm(axis)
    across = np.array([-axis[1], axis[0]])
    low, high = -generator.uniform(3, 11), generator.uniform(3, 11)
    lateral = np.linspace(low, high, 9)[:, None]
    bend, tilt = generator.normal(0, 0.012), generator.normal(0, 0.08)
    return np.asarray(centre + lateral * across + (bend * lateral**2 + tilt * lateral) * axis)


def _palm_creases(frame: Frame, generator: np.random.Generator) -> list[Points]:
    """Return the thenar crease, the two transverse creases of the palm and the crease of the wrist."""
    rays, wrist = frame.rays, frame.wrist
    stations = (
        (along_ray(frame, 1, 0.95), along_ray(frame, 2, 0.55), rays[2][0]),
        (along_ray(frame, 1, 0.9), along_ray(frame, 2, 0.7), along_ray(frame, 4, 0.5)),
        (along_ray(frame, 2, 1.1), along_ray(frame, 3, 0.95), along_ray(frame, 4, 0.85)),
        (wrist - 26 * frame.towards_thumb, wrist, wrist + 26 * frame.towards_thumb),
    )
    share = np.linspace(0, 1, 16)[:, None]
    curves = []
    for first, second, third in stations:
        a, b, c = (point + generator.normal(0, 2.5, 2) for point in (first, second, third))
        curves.append((1 - share) ** 2 * a + 2 * share * (1 - share) * (2 * b - (a + c) / 2) + share**2 * c)
    return curves


def _vessel(frame: Frame, generator: np.random.Generator) -> Points:
    """Return a winding line from the forearm over the back of the hand towards a web."""
    ray = int(generator.integers(1, 4))
    ends = (frame.forearm, frame.carpus, along_ray(frame, ray, 0.4), along_ray(frame, ray, 1.1))
    points = np.array(ends) + generator.normal(0, 9, (4, 2)) + generator.normal(0, 10) * frame.towards_thumb
    share = np.linspace(0, 1, 20)[:, None]
    weights = (1 - share) ** 3, 3 * share * (1 - share) ** 2, 3 * share**2 * (1 - share), share**3
    start = generator.integers(0, 8)
    curve = sum(weight * point for weight, point in zip(weights, points, strict=True))
    return np.asarray(curve)[start:]
