"""The cache of bones."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.simulation import HandModel, about, assets, build_assets, load_assets


def test_a_cache_of_other_code_is_built_anew_in_the_folder_that_the_environment_names(
    hand: HandModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("trimesh")
    if importlib.util.find_spec("myo_sim") is None:
        pytest.skip("the bone surfaces are not installed")
    default = assets.default_cache()
    monkeypatch.setenv("HANDSEG_CACHE", str(tmp_path))
    with np.load(default) as stored:
        arrays = dict(stored)
    np.savez(tmp_path / assets.CACHE_NAME, **{**arrays, "vertices": arrays["vertices"] + 1, "recipe": np.array("old")})
    built = load_assets()
    assert [path.name for path in tmp_path.iterdir()] == [assets.CACHE_NAME]
    assert np.array_equal(built.vertices, hand.vertices)
    assert np.array_equal(built.triangles, hand.triangles)


def test_without_the_bone_surfaces_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HandsegInputError, match=r'pip install "handseg\[simulate\]"'):
        build_assets(tmp_path / "bones.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_broken_cache_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "bones.npz"
    path.write_bytes(content)
    with pytest.raises(HandsegInputError, match=r"bones\.npz: is not a bone cache; name another"):
        load_assets(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"triangles": lambda a: a + 60_000},
        {"joint_centres": lambda a: a[:5]},
        {"vertex_starts": lambda a: a[::-1]},
        {"inner_vertices": lambda a: a[1:]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_indices_beyond_the_arrays_are_found_before_anything_is_projected(
    hand: HandModel, tmp_path: Path, changes: dict[str, Callable[[np.ndarray], np.ndarray]]
):
    with np.load(assets.default_cache()) as stored:
        arrays = dict(stored)
    arrays |= {name: change(arrays[name]) for name, change in changes.items()}
    np.savez(tmp_path / "bones.npz", **arrays)
    with pytest.raises(HandsegInputError, match="is not a bone cache"):
        load_assets(tmp_path / "bones.npz")


def test_a_cache_with_other_arrays_is_refused(tmp_path: Path):
    path = tmp_path / "bones.npz"
    np.savez(path, vertices=np.zeros((3, 3)))
    with pytest.raises(HandsegInputError, match="is not a bone cache"):
        load_assets(path)


def test_the_origin_of_the_surfaces_is_named():
    assert {"OpenSim", "CC BY 3.0", "myo-sim", "Apache-2.0"} <= {
        word for word in ("OpenSim", "CC BY 3.0", "myo-sim", "Apache-2.0") if word in about()
    }
