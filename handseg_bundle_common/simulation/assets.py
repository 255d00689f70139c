"""The bones of one right hand: built once from the `myo-sim` package, then read from one cache file.

The surfaces come from OpenSim and are licensed CC BY 3.0; `myo-sim`, which ships them, is licensed Apache-2.0.
"""

from __future__ import annotations

import hashlib
import importlib.util
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import write_atomically
from handseg_bundle_common.resources import cache_folder
from handseg_bundle_common.simulation import collisions, congruence, hand_model, pose, proportions, surfaces
from handseg_bundle_common.simulation.congruence import hollow_radius
from handseg_bundle_common.simulation.hand_model import CHANNEL_OF_PART, NUM_PARTS, HandModel
from handseg_bundle_common.simulation.proportions import correct_proportions
from handseg_bundle_common.simulation.surfaces import Surface, inner_wall, is_watertight, remesh

CACHE_NAME = "handseg-bones.npz"
# Modules that decide what the bones are; a cache that others have made is built anew.
_MAKERS = (collisions, congruence, hand_model, pose, proportions, surfaces)
_REBUILT = "delete it; it is built again on the next run"
_QUANTUM_MM = 0.01
_FINGER_FILES = [f"{ray}{part}" for ray in (2, 3, 4, 5) for part in ("distph", "midph", "proxph", "mc")]
_MESH_FILES = ["thumbdist", "thumbprox", "1mc", *_FINGER_FILES] + [bone.name.lower() for bone in BONES[19:]]
# Voxel edge and smoothing in millimetres for the surfaces that are shipped open.
_REPAIRS = {"5distph": (0.35, 0.4), "pisiform": (0.5, 0.5), "radius": (1.4, 1.3), "ulna": (1.4, 1.1)}
_FOREARM_LENGTH_MM = 190.0
# The two sesamoids of the thumb: centre against the joint of metacarpal and phalanx, on its flexor side, and half axes
# along x, y and z, in millimetres.
_SESAMOIDS = (((-7.9, -2.9, 2.9), (2.0, 2.6, 1.8)), ((-8.3, 0.1, -4.1), (2.2, 2.8, 1.9)))


def about() -> str:
    """Return where the bone surfaces come from and under which licences."""
    return (
        "Bone surfaces: OpenSim musculoskeletal models (CC BY 3.0), as shipped by the myo-sim package "
        "(MyoSuite, Apache-2.0); repaired, smoothed and rescaled for handseg."
    )


def default_cache() -> Path:
    """Return the path of the cache file, inside the user's cache folder."""
    return cache_folder() / CACHE_NAME


def load_assets(path: Path | None = None) -> HandModel:
    """Read the bones from a cache file; the default one is built first when it is missing.

    Raises:
        HandsegInputError: the file is missing or no bone cache, or the default one cannot be built.
    """
    if path is not None:
        if not Path(path).is_file():
            raise HandsegInputError(path, "is not there", "name a bone cache, or none for your own")
        return _from_arrays(_read(path, "name another, or none for your own"))
    path = default_cache()
    if not path.exists() or str(_read(path, _REBUILT).get("recipe")) != _recipe():
        build_assets(path)
    return _from_arrays(_read(path, _REBUILT))


@lru_cache(maxsize=1)
def load_once(path: Path | str | None = None) -> HandModel:
    """Return what `load_assets` reads, once in every process."""
    return load_assets(None if path is None else Path(path))


def _read(path: Path, remedy: str) -> dict[str, NDArray[Any]]:
    """Read a cache file and check that its indices lie within its arrays.

    Raises:
        HandsegInputError: it is no bone cache.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        _check(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise HandsegInputError(path, "is not a bone cache", remedy) from error
    return arrays


def _check(arrays: dict[str, NDArray[Any]]) -> None:
    """Raise a ValueError where arrays do not describe the parts of a hand."""
    vertices, triangles = arrays["vertices"], arrays["triangles"]
    for name, rows in (("vertex_starts", len(vertices)), ("triangle_starts", len(triangles))):
        starts = arrays[name]
        if starts.shape != (NUM_PARTS + 1,) or starts[0] != 0 or starts[-1] != rows or (np.diff(starts) <= 0).any():
            raise ValueError(f"{name} are wrong")
    if arrays["inner_vertices"].shape != vertices.shape or arrays["joint_centres"].shape != (NUM_BONES, 3):
        raise ValueError("an array has the wrong shape")
    highest = np.maximum.reduceat(triangles.max(1), arrays["triangle_starts"][:-1])
    if triangles.min() < 0 or (highest >= np.diff(arrays["vertex_starts"])).any():
        raise ValueError("a triangle has a corner that is not there")


def _recipe() -> str:
    """Return a digest of the code that makes the bones."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in _MAKERS)
    return hashlib.sha256(sources + Path(__file__).read_bytes()).hexdigest()


def build_assets(output: Path | None = None) -> Path:
    """Repair the 29 surfaces of the installed `myo-sim` package and write them to one cache file.

    Args:
        output: file to write, by default `default_cache()`.

    Returns:
        The path of the file.

    Raises:
        HandsegInputError: `myo-sim` or `trimesh` is not installed.
    """
    output = Path(output) if output else default_cache()
    models = _models_folder()
    origins = _body_origins(models / "arm" / "assets" / "myoarm_r_chain.xml")
    centre = origins["capitate"]
    surfaces = [_read_bone(models / "meshes" / f"{name}.stl", origins[name] - centre) for name in _MESH_FILES]
    joints = np.array([(origins[name] - centre) * 1000 for name in _MESH_FILES])
    surfaces += [_sesamoid(joints[1], offset, sizes) for offset, sizes in _SESAMOIDS]
    hand = _with_cortex(hollow_radius(correct_proportions(_assemble(surfaces, joints))))
    with write_atomically(output) as temporary:
        np.savez_compressed(
            temporary,
            vertices=_quantise(hand.vertices),
            inner_vertices=_quantise(hand.inner_vertices),
            triangles=hand.triangles.astype(np.uint16),
            vertex_starts=hand.vertex_starts,
            triangle_starts=hand.triangle_starts,
            joint_centres=hand.joint_centres,
            recipe=np.array(_recipe()),
        )
    return output


def _assemble(surfaces: list[Surface], joints: NDArray[np.float64]) -> HandModel:
    """Join the surfaces of all parts to one hand; there is no inner wall yet."""
    vertices = np.concatenate([surface.vertices for surface in surfaces]).astype(np.float32)
    return HandModel(
        vertices=vertices,
        inner_vertices=vertices,
        triangles=np.concatenate([surface.triangles for surface in surfaces]).astype(np.int32),
        vertex_starts=np.cumsum([0, *(len(surface.vertices) for surface in surfaces)]),
        triangle_starts=np.cumsum([0, *(len(surface.triangles) for surface in surfaces)]),
        joint_centres=joints,
    )


def _with_cortex(hand: HandModel) -> HandModel:
    inner = []
    for part, channel in enumerate(CHANNEL_OF_PART):
        surface = Surface(hand.vertices_of(part).astype(float), hand.triangles_of(part).astype(int))
        depth = np.full(len(surface.vertices), 0.5) if part >= NUM_BONES else _cortex_depth(channel, surface)
        inner.append(inner_wall(surface, depth))
    return replace(hand, inner_vertices=np.concatenate(inner).astype(np.float32))


def _from_arrays(arrays: dict[str, NDArray[Any]]) -> HandModel:
    return HandModel(
        vertices=(arrays["vertices"] * _QUANTUM_MM).astype(np.float32),
        inner_vertices=(arrays["inner_vertices"] * _QUANTUM_MM).astype(np.float32),
        triangles=arrays["triangles"].astype(np.int32),
        vertex_starts=arrays["vertex_starts"].astype(np.int64),
        triangle_starts=arrays["triangle_starts"].astype(np.int64),
        joint_centres=arrays["joint_centres"].astype(np.float64),
    )


def _quantise(points: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.round(points / _QUANTUM_MM).astype(np.int16)


def _models_folder() -> Path:
    """Find the package's files without importing it, because its import needs a physics engine."""
    spec = importlib.util.find_spec("myo_sim")
    if spec is None or not spec.submodule_search_locations or importlib.util.find_spec("trimesh") is None:
        raise HandsegInputError("myo-sim", "the bone surfaces are not installed", 'run pip install "handseg[simulate]"')
    return Path(next(iter(spec.submodule_search_locations))) / "models"


def _body_origins(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the origin of every mesh's body in metres; the bodies are nested and only translated."""
    origins: dict[str, NDArray[np.float64]] = {}

    def visit(body: ET.Element, parent: NDArray[np.float64]) -> None:
        origin = parent + np.array(body.get("pos", "0 0 0").split(), float)
        for geometry in body.findall("geom"):
            origins[geometry.get("mesh", "").removesuffix("_r")] = origin
        for child in body.findall("body"):
            visit(child, origin)

    for body in ET.parse(path).getroot().findall("body"):  # noqa: S314 - a file of an installed package
        visit(body, np.zeros(3))
    return origins


def _read_bone(path: Path, origin: NDArray[np.float64]) -> Surface:
    """Read one surface, shift it to its place in millimetres and close it where it is shipped open."""
    import trimesh  # noqa: PLC0415 - only building the cache needs it

    mesh = trimesh.load(path, process=True)
    mesh.vertices = (mesh.vertices + origin) * 1000
    if path.stem in _REPAIRS:
        pitch, smoothing = _REPAIRS[path.stem]
        end = mesh.vertices[:, 1].min() + _FOREARM_LENGTH_MM
        mesh.update_faces(mesh.triangles_center[:, 1] < end + 10)
        fine = mesh.subdivide_to_size(0.7 * pitch, max_iter=20)
        kept = fine.triangles_center[:, 1] < end
        surface = remesh(fine.triangles_center[kept], fine.face_normals[kept], pitch, smoothing)
    else:
        surface = Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    if not is_watertight(surface.triangles):
        raise HandsegInputError(path, "the surface cannot be closed", "install myo-sim 0.2.4")
    return surface


def _sesamoid(joint: NDArray[np.float64], offset: tuple[float, ...], half_axes: tuple[float, ...]) -> Surface:
    import trimesh  # noqa: PLC0415 - only building the cache needs it

    ball = trimesh.creation.icosphere(subdivisions=3)
    return Surface(np.asarray(ball.vertices) * half_axes + joint + offset, np.asarray(ball.faces))


def _cortex_depth(channel: int, surface: Surface) -> NDArray[np.float64]:
    """Return the thickness of the cortex in millimetres at each vertex: thin at joint ends, thick in shafts."""
    group, thin = BONES[channel].group, 0.5
    if group is Group.CARPALS:
        return np.full(len(surface.vertices), thin)
    centred = surface.vertices - surface.vertices.mean(0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    along = centred @ axis
    radius = np.linalg.norm(centred - along[:, None] * axis, axis=1)
    if group is Group.FOREARM:
        shaft = np.clip((surface.vertices[:, 1] - surface.vertices[:, 1].min() - 12) / 45, 0, 1)
        thickest = 2.2
    else:
        shaft = np.clip(1.6 - 2.2 * np.abs(2 * (along - along.min()) / np.ptp(along) - 1), 0, 1)
        thickest = 1.9 if group is Group.METACARPALS else 1.3
    depth = thin + (thickest - thin) * shaft * shaft * (3 - 2 * shaft)
    return np.asarray(np.minimum(depth, 0.45 * np.maximum(_slice_mean(along, radius), 1.0)))


def _slice_mean(along: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return at each vertex the mean radius of the bone's cross-section there."""
    bins = np.clip((along - along.min()) / 2.0, 0, None).astype(int)
    mean = np.bincount(bins, radius) / np.maximum(np.bincount(bins), 1)
    return np.asarray(mean[bins])
