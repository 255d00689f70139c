"""Bones on the detector: mineral, marrow and texture of a whole hand."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONES, CHANNEL, NUM_BONES, Group
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.attenuation import BoneImage, BoneTissue, bone_image, draw_bone_tissue
from handseg_bundle_common.simulation.hand_model import mirrored, moved
from handseg_bundle_common.simulation.presets import DATASET, SHIFTED, WILD
from handseg_bundle_common.simulation.projection import Beam
from handseg_bundle_common.simulation.settings import BoneSettings

FIELD_MM = 230.0


@pytest.fixture(scope="module")
def lying(hand: HandModel) -> HandModel:
    """The resting hand on the detector, the forearm off its bottom."""
    return moved(mirrored(hand), np.array([110.0, 180.0, 60.0]))


def tissue(seed: int = 0, settings: BoneSettings = DATASET.bone, **changes: object) -> BoneTissue:
    return replace(draw_bone_tissue(np.random.default_rng(seed), settings), **changes)


def seen(hand: HandModel, bone: BoneTissue, rows: int = 1500, parts: list[int] | None = None) -> BoneImage:
    beam = Beam(rows, rows, FIELD_MM / rows, None)
    chosen = {part: part for part in (range(NUM_BONES) if parts is None else parts)}
    return bone_image(hand, beam, bone, chosen, np.random.default_rng(7))


def osteopenia_free() -> int:
    """Return a seed whose person has lost no bone."""
    return next(seed for seed in range(50) if tissue(seed).cortex.factor == 1)


def test_a_carpal_bone_is_compact_bone_to_a_quarter(lying: HandModel):
    for channel in (k for k, bone in enumerate(BONES) if bone.group is Group.CARPALS):
        image = seen(lying, tissue(osteopenia_free()), parts=[channel])
        assert 0.18 < image.mineral_mm.sum() / image.thickness_mm.sum() < 0.36


def test_a_shaft_has_bright_walls_beside_a_darker_canal(lying: HandModel):
    channel = CHANNEL["finger-11"]
    image = seen(lying, tissue(texture=0.0), parts=[channel])
    rows, _ = np.nonzero(image.packed_masks)
    row = (rows.min() + rows.max()) // 2
    across = image.mineral_mm[row][image.packed_masks[row] > 0]
    middle = across[len(across) // 2]
    walls = across[: len(across) // 2].max(), across[len(across) // 2 :].max()
    assert min(walls) > 1.1 * middle
    assert image.water_mm[row].max() > 0.5


def test_spongy_bone_of_the_radius_gives_way_to_marrow(lying: HandModel):
    up = moved(lying, np.array([0.0, -150.0, 0.0]))
    image = seen(up, tissue(osteopenia_free(), texture=0.0), rows=900, parts=[CHANNEL["Radius"]])
    first = int(np.nonzero(image.packed_masks.any(1))[0][0])
    end, shaft = (first + round(distance / FIELD_MM * 900) for distance in (18, 70))
    middle = int(np.nonzero(image.packed_masks[end])[0].mean())
    marrow = image.water_mm[end, middle] / image.thickness_mm[end, middle]
    # At the end most of the path is marrow between trabeculae, in the shaft walls stand beside a canal.
    assert 0.55 < marrow < 0.75
    walls = image.mineral_mm[shaft][image.packed_masks[shaft] > 0]
    spongiosa = image.mineral_mm[end][image.packed_masks[end] > 0]
    assert walls.max() > 1.2 * walls[len(walls) // 2]
    assert spongiosa.max() < 2.5 * spongiosa[len(spongiosa) // 2]


def test_what_is_not_covered_is_empty(lying: HandModel):
    image = seen(lying, tissue(), rows=600)
    outside = image.packed_masks == 0
    for picture in (image.mineral_mm, image.water_mm, image.thickness_mm):
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert not picture[outside].any()


def test_coarse_and_fine_detectors_see_the_same_bone(lying: HandModel):
    fine, coarse = (seen(lying, tissue(), rows=rows) for rows in (1500, 150))
    for name in ("mineral_mm", "water_mm", "thickness_mm"):
        assert getattr(coarse, name).sum() * 100 == pytest.approx(getattr(fine, name).sum(), rel=0.01)


@pytest.mark.parametrize("settings", [DATASET.bone, SHIFTED.bone])
def test_bones_have_textures_of_their_own(lying: HandModel, settings: BoneSettings):
    channels = [CHANNEL["Capitate"], CHANNEL["Lunate"]]
    patches = []
    for channel in channels:
        with_texture, without = (
            seen(lying, tissue(settings=settings, texture=texture), parts=[channel]).mineral_mm
            for texture in (0.2, 0.0)
        )
        rows, columns = np.nonzero(without)
        row, column = int(rows.mean()), int(columns.mean())
        patches.append((with_texture - without)[row - 22 : row + 22, column - 22 : column + 22].ravel())
    assert min(np.std(patch) for patch in patches) > 0.05
    assert abs(np.corrcoef(patches)[0, 1]) < 0.4


def test_the_same_generators_give_the_same_bones(lying: HandModel):
    first, second = (seen(lying, tissue(3, WILD.bone), rows=300) for _ in range(2))
    for field in fields(BoneImage):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))


def test_osteopenia_takes_mineral(lying: HandModel):
    healthy = replace(DATASET.bone, osteopenia=0.0)
    weak = replace(DATASET.bone, osteopenia=1.0)
    minerals = [seen(lying, tissue(5, settings), rows=300).mineral_mm.sum() for settings in (healthy, weak)]
    assert minerals[1] < 0.95 * minerals[0]


def test_bone_is_drawn_within_its_bounds():
    for settings in (DATASET.bone, WILD.bone, SHIFTED.bone):
        for seed in range(20):
            bone = tissue(seed, settings)
            for name in ("texture", "slope", "grain", "stretch", "end_density", "forearm_spongiosa_mm"):
                assert getattr(settings, name).low <= getattr(bone, name) <= getattr(settings, name).high
            assert (bone.scars >= 0).all()
            assert (bone.spongy > 0.05).all()


@pytest.mark.parametrize("name", [field.name for field in fields(BoneSettings)])
def test_the_shifted_bone_lies_outside_the_ranges_of_the_others(name: str):
    shifted, others = getattr(SHIFTED.bone, name), [getattr(preset.bone, name) for preset in (DATASET, WILD)]
    for other in others:
        if hasattr(shifted, "low"):
            assert shifted.high < other.low or shifted.low > other.high
        elif isinstance(shifted, str):
            assert shifted != other
