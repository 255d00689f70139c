"""Skin, fat and muscle: chords against closed forms, bones inside the skin, smoothness, and what radiographs show."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from handseg_bundle_common.anatomy import BONES, NUM_BONES, Group
from handseg_bundle_common.simulation import HandModel
from handseg_bundle_common.simulation.bodies import line_body, sheet
from handseg_bundle_common.simulation.hand_model import RAYS
from handseg_bundle_common.simulation.placement import draw_placement, place
from handseg_bundle_common.simulation.pose import apply_pose, draw_deviation, draw_pose
from handseg_bundle_common.simulation.presets import DATASET, SHIFTED, WILD
from handseg_bundle_common.simulation.projection import Beam, project
from handseg_bundle_common.simulation.shape import apply_shape, draw_shape
from handseg_bundle_common.simulation.soft_tissue import Build, SoftTissue, draw_build, soft_tissue
from handseg_bundle_common.simulation.tissue_canvas import Canvas

BEAM = Beam(200, 240, 0.25, None)


@dataclass(frozen=True)
class Person:
    """One posed hand with its soft tissue and its bones."""

    hand: HandModel
    beam: Beam
    build: Build
    size: float
    masks: np.ndarray
    bones_mm: np.ndarray

    def flesh(self, beam: Beam | None = None, **changes: float) -> SoftTissue:
        """Return the soft tissue with some of what was drawn changed."""
        build = replace(self.build, **changes)
        return soft_tissue(self.hand, beam or self.beam, build, self.size, np.random.default_rng(1))


def person(model: HandModel, seed: int, rows: int = 384) -> Person:
    generator = np.random.default_rng(seed)
    settings = WILD if seed % 2 else DATASET
    shape, build = draw_shape(generator, settings.shape), draw_build(generator, settings.tissue)
    posed = apply_pose(
        apply_shape(model, shape), draw_pose(generator, settings.pose, draw_deviation(generator, settings.pose))
    )
    hand, beam = place(posed, draw_placement(generator, settings.field), rows, rows)
    masks, bones = np.zeros((NUM_BONES, rows, rows), bool), np.zeros((rows, rows))
    for channel in range(NUM_BONES):
        seen = project(hand.vertices_of(channel), hand.triangles_of(channel), beam)
        masks[channel][seen.box], bones[seen.box] = seen.coverage, bones[seen.box] + seen.thickness_mm
    return Person(hand, beam, build, shape.size, masks, bones)


@pytest.fixture(scope="module")
def people(hand: HandModel) -> list[Person]:
    """Sixteen people, half of them of the preset for radiographs elsewhere."""
    return [person(hand, seed) for seed in range(16)]


def finger(width: float, depth: float) -> np.ndarray:
    """Nodes of a straight finger along y at x = 30 mm."""
    return np.array([[30.0, y, width, depth, 3.0] for y in (-30.0, 0.0, 30.0, 60.0, 90.0)])


def test_a_straight_finger_has_the_chords_of_an_elliptic_cylinder():
    canvas = Canvas(BEAM)
    skin, fat, core = (
        canvas.enlarged(layer) for layer in canvas.layers([line_body(finger(9.0, 7.0))], [], skin_mm=1.0, flatness=2.0)
    )
    x = np.abs(np.arange(240) * 0.25 - 30)
    for layer, inset in ((skin, 0), (fat, 1), (core, 3)):
        chords = 2 * (7 - inset) * np.sqrt(np.maximum(1 - (x / (9 - inset)) ** 2, 0))
        away_from_edge = np.abs(x - (9 - inset)) > 2
        assert layer[100][away_from_edge] == pytest.approx(chords[away_from_edge], abs=0.1)


def test_the_cap_of_a_finger_is_an_ellipsoid():
    canvas = Canvas(BEAM)
    tip = line_body(np.array([[30.0, y, 9.0, 7.0, 3.0] for y in (25.0, 50.0, 75.0)]))
    skin = canvas.enlarged(canvas.layers([tip], [], skin_mm=1.0, flatness=2.0)[0])
    y = np.arange(200) * 0.25
    chords = 14 * np.sqrt(np.maximum(1 - ((25 - y) / 9) ** 2, 0))
    inside = (y > 18) & (y < 24)
    assert skin[inside, 120] == pytest.approx(chords[inside], abs=0.1)
    assert skin[y < 15, 120].max() == 0


def test_fingers_that_touch_add_up_where_they_overlap():
    canvas = Canvas(BEAM)
    left, right = finger(9.0, 7.0), finger(9.0, 7.0)
    left[:, 0], right[:, 0] = 22.0, 38.0
    skin = canvas.enlarged(canvas.layers([line_body(left), line_body(right)], [], skin_mm=1.0, flatness=2.0)[0])
    chord = 14 * np.sqrt(1 - (8 / 9) ** 2)
    assert chord < skin[100, 120] < 2 * chord
    assert skin[100, 88] == pytest.approx(14, abs=0.06)


def test_a_sheet_between_two_lines_is_as_thick_as_asked_without_ripples():
    lines = np.array([[20.0, 40.0], [20.0, 10.0]]), np.array([[45.0, 40.0], [45.0, 10.0]])
    canvas = Canvas(BEAM)
    body = sheet(*lines, sag=0.0, radius=6.0, depths=(5.0, 5.0, 5.0), fat=2.0, arch=0.0)
    inner = canvas.enlarged(canvas.layers([], [body], skin_mm=1.0, flatness=2.0)[0])[60:140, 90:160]
    assert inner == pytest.approx(10, rel=0.03)


def test_bones_lie_inside_the_skin(people: list[Person]):
    for one in people:
        thickness = one.flesh().thickness_mm
        bone = one.masks.any(0)
        assert thickness[bone].min() > 0.5
        assert (one.bones_mm[bone] > thickness[bone] + 0.5).mean() < 0.002


def test_there_is_nothing_far_from_the_hand(people: list[Person]):
    for one in people:
        flesh = one.flesh()
        far = distance_transform_edt(~one.masks.any(0), sampling=one.beam.spacing_mm) > 50
        assert flesh.thickness_mm[far].max() == 0
        assert flesh.water_mm[far].max() == 0


def test_pulp_covers_the_tips_as_far_as_drawn(people: list[Person]):
    for one in people[:6]:
        thickness = one.flesh(pulp_mm=5.0).thickness_mm
        for ray in range(5):
            tip = one.masks[RAYS[ray][-1]]
            bone = np.argwhere(tip) * one.beam.spacing_mm
            joint = one.beam.onto_detector(one.hand.joint_centres[RAYS[ray][-1]][None])[0][0, ::-1]
            axis = bone.mean(0) - joint * one.beam.spacing_mm
            axis /= np.linalg.norm(axis)
            start = bone[np.argmax(bone @ axis)]
            steps = np.arange(0, 12, 0.1)
            places = np.round((start + steps[:, None] * axis) / one.beam.spacing_mm).astype(int)
            inside = places.min(1) >= 0
            inside &= (places < np.array(thickness.shape)).all(1)
            skin = thickness[tuple(places[inside].T)] > 0.5
            assert 3 < steps[inside][skin].max() < 7


def test_the_skin_has_no_steps(people: list[Person]):
    for one in people:
        thickness = one.flesh().thickness_mm
        inside = cv2.erode((thickness > 0.5).astype(np.uint8), np.ones((15, 15))) > 0
        for picture, where in ((thickness, inside), (thickness.T, inside.T)):
            assert np.abs(np.diff(picture, axis=0))[where[1:]].max() < 6 * one.beam.spacing_mm


def test_tissue_beside_the_bones_is_as_in_radiographs(people: list[Person]):
    """Greys beside phalanges, metacarpals and carpals of real radiographs, undone by an exponent of 1.2."""
    beside: dict[Group, list[float]] = {group: [] for group in Group}
    for one in people[::2]:
        water, free = one.flesh().water_mm, ~one.masks.any(0)
        for mask, bone in zip(one.masks, BONES, strict=True):
            distance = distance_transform_edt(~mask, sampling=one.beam.spacing_mm)
            beside[bone.group].append(float(water[free & (distance > 1) & (distance < 3)].mean()))
    phalanges, metacarpals, carpals = (
        np.mean(beside[group]) for group in (Group.PHALANGES, Group.METACARPALS, Group.CARPALS)
    )
    assert 0.24 < phalanges / carpals < 0.33
    assert 0.55 < metacarpals / carpals < 0.75
    assert 28 < carpals < 37


def test_fat_attenuates_less_than_muscle(people: list[Person]):
    lean, fat = (people[0].flesh(fat_mm=thickness) for thickness in (1.0, 4.0))
    thick = lean.thickness_mm > 10
    assert fat.thickness_mm == pytest.approx(lean.thickness_mm, abs=1e-4)
    assert 0.9 < fat.water_mm[thick].sum() / lean.water_mm[thick].sum() < 0.98


def test_nails_and_creases_show_only_where_drawn(people: list[Person]):
    bare = {"nail_mm": 0.0, "crease_mm": 0.0, "vessel_mm": 0.0, "streaks": 0.0, "mottling": 0.0}
    plain, nailed = (people[0].flesh(**{**bare, "nail_mm": nail}) for nail in (0.0, 0.5))
    plates = nailed.water_mm - plain.water_mm
    assert plates.max() == pytest.approx(0.5, abs=0.1)
    near_tips = people[0].masks[[ray[-1] for ray in RAYS]].any(0)
    far = distance_transform_edt(~near_tips, sampling=people[0].beam.spacing_mm) > 8
    assert np.abs(plates[far]).max() < 0.01


def test_coarse_and_fine_pictures_show_the_same_hand(people: list[Person]):
    one = people[0]
    fine = one.flesh().thickness_mm
    coarse_beam = replace(one.beam, height=96, width=96, spacing_mm=one.beam.spacing_mm * 4)
    coarse = one.flesh(coarse_beam).thickness_mm
    mean = cv2.blur(fine, (5, 5))[::4, ::4]
    assert np.abs(coarse - mean).mean() < 0.2
    assert coarse.sum() == pytest.approx(mean.sum(), rel=0.03)


def test_pictures_may_have_any_shape(people: list[Person]):
    one = people[0]
    flesh = one.flesh(replace(one.beam, height=301, width=127))
    assert flesh.thickness_mm.shape == flesh.water_mm.shape == (301, 127)
    assert flesh.water_mm.dtype == np.float32


def test_the_same_seed_gives_the_same_bytes(people: list[Person]):
    first, second = people[3].flesh(), people[3].flesh()
    assert first.water_mm.tobytes() == second.water_mm.tobytes()


def test_shifted_people_differ_from_all_others_in_every_range():
    for field in fields(SHIFTED.tissue):
        shifted = getattr(SHIFTED.tissue, field.name)
        if isinstance(shifted, float):
            continue
        for preset in (DATASET, WILD):
            other = getattr(preset.tissue, field.name)
            assert shifted.low > other.high or shifted.high < other.low, field.name
