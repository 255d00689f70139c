"""What is wrong with a radiograph as a whole: simulated hands as they are, spoiled, and things that are no hands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from handseg_bundle_common.anatomy import CHANNEL, Group, Side, bones_of
from handseg_bundle_common.ensemble import case_flags
from handseg_bundle_common.ensemble.case import BLANK, NOTHING, TWO_GROUPS, TWO_HANDS, CaseReason, case_faults
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.masks import Packed, pack_masks, unpack_masks
from handseg_bundle_common.simulation import load_assets, simulate_hand
from handseg_bundle_common.simulation.distributions import Uniform
from handseg_bundle_common.simulation.presets import DATASET, SHIFTED, WILD
from handseg_bundle_common.simulation.settings import Settings

Rods = dict[int, tuple[complex, complex, float]]

PICTURE = np.kron(np.indices((1, 4, 4)).sum(axis=0) % 2, np.ones((1, 5, 5)))  # anything that is not blank
CARPALS = [CHANNEL[bone.name] for bone in bones_of(Group.CARPALS)]
RAYS = [CHANNEL[bone.name] for group in (Group.PHALANGES, Group.METACARPALS) for bone in bones_of(group)]


def posed(settings: Settings, **pose: object) -> Settings:
    return replace(settings, pose=replace(settings.pose, **pose))


TILTED = posed(DATASET, deviated=1.0)


@pytest.fixture(scope="module")
def hands(sample_data: Path) -> list[Packed]:
    """The hands of the sample data, 512 px, left and right in turn."""
    polygons = sorted(sample_data.glob("outputs_json/*/*.json"))
    return [rasterise_packed(read_annotations(path), 512, 512) for path in polygons]


@pytest.fixture
def radiographs(sample_data: Path) -> list[np.ndarray]:
    return [read_radiograph(path) for path in sorted(sample_data.glob("DCM/*/*.png"))]


@pytest.fixture
def hand(hands: list[Packed]) -> Packed:
    return hands[0]


def simulated(seed: int, side: Side, settings: Settings) -> Packed:
    pytest.importorskip("numba")
    return simulate_hand(seed, (160, 160), side, load_assets(), settings).packed_masks


def flags(packed: Packed) -> tuple[str, ...]:
    return case_flags(packed, PICTURE)


def without(packed: Packed, channels: Iterable[int]) -> Packed:
    return packed & ~np.uint32(sum(1 << channel for channel in channels))


def number_in(packed: Packed) -> int:
    """Count the bones of which the picture shows more than a speck of 0.005 %."""
    return np.count_nonzero(unpack_masks(packed).sum(axis=(1, 2)) > 0.00005 * packed.size)


# Hands as they are


@pytest.mark.parametrize(
    ("seed", "side", "settings"),
    [
        (1, Side.LEFT, DATASET),
        (2, Side.RIGHT, TILTED),
        (3, Side.RIGHT, WILD),
        (4, Side.LEFT, WILD),
        (5, Side.LEFT, SHIFTED),
    ],
)
def test_simulated_hands_raise_no_flag_in_any_turn(seed: int, side: Side, settings: Settings) -> None:
    packed = simulated(seed, side, settings)
    for degrees in (0, 73, 180):
        assert flags(ndimage.rotate(packed, degrees, order=0)) == ()


def test_sample_hands_of_any_size_raise_no_flag(hands: list[Packed]) -> None:
    assert len(hands) == 8
    for packed in hands:
        assert flags(packed) == flags(np.pad(packed, 200)) == flags(packed[::3, ::3]) == ()


def test_hands_of_a_sixth_of_the_picture_raise_no_flag(hands: list[Packed]) -> None:
    for packed in hands[:2]:
        assert flags(np.pad(packed, 1280)) == ()


def test_a_few_mistakes_make_no_other_hand(hand: Packed) -> None:
    """Two bones lie in a corner, one is missing, all metacarpals are in halves and all masks have holes and specks."""
    stray = without(hand, [CHANNEL["Trapezoid"], CHANNEL["Lunate"], CHANNEL["Pisiform"]])
    stray[5:20, 5:20] |= np.uint32(1 << CHANNEL["Trapezoid"] | 1 << CHANNEL["Lunate"])
    masks = unpack_masks(stray)
    for bone in bones_of(Group.METACARPALS):
        mask = masks[CHANNEL[bone.name]]
        mask[round(np.argwhere(mask)[:, 0].mean())] = False
    masks[:, 500, 3::60] ^= True
    assert flags(pack_masks(masks)) == ()


# Pictures


@pytest.mark.parametrize("noise", [0.0, 0.004, 0.03, 0.3])
@pytest.mark.parametrize("heel", [0.0, 0.2])
def test_noise_with_a_slope_and_a_marker_is_blank(hand: Packed, noise: float, heel: float) -> None:
    """The intensity of an empty exposure falls off on one side: the heel effect."""
    rng = np.random.default_rng(0)
    slope = heel * np.linspace(-0.3, 1, 300) ** 2
    picture = np.clip(0.4 + slope + noise * rng.standard_normal((1, 300, 300)), 0, 1).astype(np.float32)
    picture[0, :20, 10:30] = 1  # a marker
    assert case_flags(hand, picture) == case_flags(np.zeros_like(hand), picture[0]) == (BLANK,)


def test_a_blank_picture_hides_no_other_reason(hand: Packed) -> None:
    blank, part = case_flags(without(hand, range(20)), np.zeros((300, 300)))
    assert blank == BLANK
    assert part.startswith("9 of 29 bones found")


def test_a_faint_picture_is_not_blank(hand: Packed) -> None:
    assert case_flags(hand, 0.3 + 0.01 * PICTURE) == ()


def test_noisy_radiographs_are_not_blank(hands: list[Packed], radiographs: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    for packed, radiograph in zip(hands, radiographs, strict=True):
        assert case_flags(packed, radiograph + 0.3 * rng.standard_normal(radiograph.shape)) == ()


def test_a_bright_mark_in_a_16_bit_file_makes_no_blank_picture(
    hands: list[Packed], radiographs: list[np.ndarray], tmp_path: Path
) -> None:
    """Twelve bits of a detector, of which the hand fills 2500 levels, and a mark burnt in at the file's white."""
    levels = np.rint(2500 * radiographs[0][0]).astype(np.uint16)
    levels[10:30, 10:30] = 65535
    Image.fromarray(levels).save(tmp_path / "marked.png")
    assert case_flags(hands[0], read_radiograph(tmp_path / "marked.png")) == ()


def test_a_picture_without_bones(hand: Packed) -> None:
    assert flags(np.zeros_like(hand)) == (NOTHING,)
    speck = np.zeros_like(hand)
    speck[4, 4:8] = 1
    assert flags(speck) == (NOTHING,)


# Parts of hands


def test_a_hand_without_finger_tips_in_the_field(hands: list[Packed]) -> None:
    for packed in hands:
        tips = without(packed, set(range(29)) - {CHANNEL[name] for name in ("finger-4", "finger-8", "finger-12")})
        cut = packed[np.flatnonzero(tips.any(axis=1))[-1] + 1 :]
        number = number_in(cut)
        assert 15 <= number <= 26
        (flag,) = flags(cut)
        assert flag.startswith(f"{number} of 29 bones found: part of the hand is outside the picture")


def test_fingers_without_the_wrist_are_no_childs(hands: list[Packed]) -> None:
    for packed in hands:
        cut = packed[: np.flatnonzero(without(packed, set(range(29)) - set(CARPALS)).any(axis=1))[0]]
        number = number_in(cut)
        (flag,) = flags(cut)
        assert flag.startswith(f"{number} of 29 bones found: part of the hand")


def test_one_or_two_missing_bones_are_left_to_the_flags_of_bones(hand: Packed) -> None:
    assert flags(without(hand, [0, 1])) == ()
    (flag,) = flags(without(hand, [0, 1, 2]))
    assert flag.startswith("26 of 29 bones found")


def test_a_single_finger(hand: Packed) -> None:
    (flag,) = flags(without(hand, set(range(29)) - {CHANNEL[f"finger-{n}"] for n in (8, 9, 10)}))
    assert flag.startswith("3 of 29 bones found: not a hand, only part of one or several")


# Two hands


def test_two_hands_side_by_side(hands: list[Packed]) -> None:
    for first, second in ((hands[0], hands[1]), (hands[1], hands[0]), (hands[2], hands[4])):
        both = np.concatenate([first, second], axis=1)
        for degrees in (0, 90):
            assert flags(ndimage.rotate(both, degrees, order=0)) == (TWO_HANDS,)


@pytest.mark.parametrize("factor", [0.6, 0.5, 0.4])
def test_a_small_second_hand(hands: list[Packed], factor: float) -> None:
    for first, second in ((hands[0], hands[1]), (hands[3], hands[5])):
        small = ndimage.zoom(second, factor, order=0)
        both = np.concatenate([first, np.pad(small, ((0, len(first) - len(small)), (0, 0)))], axis=1)
        assert flags(both) == flags(both[:, ::-1]) == (TWO_HANDS,)


@pytest.mark.parametrize("count", [6, 10, 20])
def test_a_second_hand_of_which_some_bones_were_found(hands: list[Packed], count: int) -> None:
    for seed, (first, second) in enumerate(((hands[0], hands[1]), (hands[3], hands[5]), (hands[6], hands[2]))):
        some = without(second, np.random.default_rng(seed).permutation(29)[count:])
        assert flags(np.concatenate([first, some], axis=1)) == (TWO_HANDS,)


def test_two_hands_of_which_each_lacks_some_bones(hands: list[Packed]) -> None:
    lacking = [without(packed, np.random.default_rng(n).permutation(29)[20:]) for n, packed in enumerate(hands[:2])]
    assert flags(np.concatenate(lacking, axis=1)) == (TWO_HANDS,)


def test_two_hands_of_which_every_bone_was_found_once(hands: list[Packed]) -> None:
    """Three rays in one hand, all else in the other."""
    for first, second in ((hands[0], hands[1]), (hands[3], hands[5])):
        both = np.concatenate([without(first, range(11, 29)), without(second, range(11))], axis=1)
        assert flags(both) == (TWO_GROUPS,)


# No hands


def rods(parts: Rods, size: tuple[int, int] = (500, 400)) -> Packed:
    """Draw bones as thick lines, by channel from x + iy to x + iy of some width."""
    packed = np.zeros(size, np.uint32)
    for channel, (start, end, width) in parts.items():
        canvas = np.zeros(size, np.uint8)
        ends = [(round(at.real), round(at.imag)) for at in (start, end)]
        cv2.line(canvas, *ends, color=1, thickness=round(width))
        packed |= canvas.astype(np.uint32) << np.uint32(channel)
    return packed


def rays_of(bases: list[complex], degrees: list[float], lengths: list[list[float]], widths: list[list[float]]) -> Rods:
    """Bones of five rays from their bases upwards, the metacarpals first."""
    parts: Rods = {}
    channel = 0
    for base, angle, of_ray, broad in zip(bases, degrees, lengths, widths, strict=True):
        at, up = base, -1j * np.exp(1j * np.radians(angle))
        last = channel + len(of_ray) - 1
        for number, (length, width) in enumerate(zip(of_ray, broad, strict=False)):
            gap = (width / 2 + 1) * up
            parts[last - number] = (at + gap, at + length * up - gap, width)
            at += length * up
        channel = last + 1
    return parts


@pytest.fixture
def foot() -> Packed:
    """A dorsoplantar foot at 2 px a mm, labelled as a hand: the big toe as thumb, the tarsals as carpals."""
    parts = rays_of(
        [x + 1j * y for x, y in ((144, 300), (176, 292), (206, 296), (232, 306), (256, 318))],
        [-8, -4, 0, 5, 10],
        [[124, 60, 44], [148, 52, 22, 18], [140, 48, 20, 18], [136, 44, 16, 16], [132, 40, 14, 14]],
        [[28, 28, 28], [18, 18, 14, 14], [16, 16, 14, 14], [16, 16, 12, 12], [18, 16, 12, 12]],
    )
    tarsals = {
        "Trapezium": (152, 332, 30), "Trapezoid": (180, 320, 26), "Capitate": (208, 328, 26), "Hamate": (240, 360, 44),
        "Scaphoid": (164, 376, 40), "Lunate": (204, 430, 60), "Triquetrum": (224, 445, 50), "Pisiform": (200, 460, 40),
    }  # fmt: skip
    spots = {CHANNEL[name]: (complex(x, y), complex(x + 1, y), width) for name, (x, y, width) in tarsals.items()}
    return rods(parts | spots)


def test_a_foot(foot: Packed) -> None:
    for packed in (foot, foot[:, ::-1], ndimage.rotate(foot, 100, order=0)):
        (flag,) = flags(packed)
        assert flag.startswith("what was found does not lie like a hand seen from the front: another part of the body")


def test_five_parallel_rays_without_carpals() -> None:
    """As the forefoot alone shows them, with bones of equal lengths."""
    lengths = [[60.0] * (3 if ray == 0 else 4) for ray in range(5)]
    parts = rays_of([60 + 55 * ray + 400j for ray in range(5)], [0.0] * 5, lengths, [[14.0] * 4] * 5)
    (flag,) = flags(rods(parts))
    assert "does not lie like a hand" in flag


def test_an_elbow() -> None:
    humerus, radius = (200 + 20j, 190 + 230j, 60.0), (190 + 260j, 240 + 480j, 50.0)
    (flag,) = flags(rods({CHANNEL["Radius"]: humerus, CHANNEL["Ulna"]: radius}))
    assert flag.startswith("2 of 29 bones found: not a hand")


def test_labels_in_disorder(hand: Packed) -> None:
    masks = unpack_masks(hand)
    for seed in range(5):
        (flag,) = flags(pack_masks(masks[np.random.default_rng(seed).permutation(29)]))
        assert "does not lie like a hand" in flag


@pytest.mark.parametrize("axis", ["pronation", "flexion"])
def test_a_hand_from_the_side(axis: str) -> None:
    packed = simulated(6, Side.RIGHT, posed(DATASET, **{axis: Uniform(84.0, 90.0)}))
    (flag,) = flags(packed)
    assert "does not lie like a hand" in flag


def test_bones_in_their_places_but_of_one_size(hand: Packed) -> None:
    discs = np.zeros_like(hand)
    for channel, mask in enumerate(unpack_masks(hand)):
        row, column = np.argwhere(mask).mean(axis=0)
        disc = np.hypot(*(np.indices(hand.shape) - np.array([row, column])[:, None, None])) < 9
        discs |= disc.astype(np.uint32) << np.uint32(channel)
    (flag,) = flags(discs)
    assert "does not have the proportions of a hand" in flag


# Children


def shrunk(packed: Packed, channels: Iterable[int], factor: float) -> Packed:
    """Shrink bones towards their centroids."""
    masks = unpack_masks(packed)
    for channel in channels:
        middle = np.argwhere(masks[channel]).mean(axis=0)
        masks[channel] = ndimage.affine_transform(
            masks[channel].astype(np.uint8), np.eye(2) / factor, middle - middle / factor, order=0
        )
    return pack_masks(masks)


def with_growth_plates(packed: Packed, channels: Iterable[int]) -> Packed:
    """Cut bones across, at a sixth of their length from one end, along a line of 3 px."""
    masks = unpack_masks(packed)
    for channel in channels:
        places = np.argwhere(masks[channel])
        axis = np.linalg.eigh(np.cov(places.T))[1][:, 1]
        along = places @ axis
        plate = along.min() + (along.max() - along.min()) / 6
        rows, columns = places[np.abs(along - plate) <= 1.5].T
        masks[channel, rows, columns] = False
    return pack_masks(masks)


def test_small_carpals_are_a_childs(hands: list[Packed]) -> None:
    for packed in hands:
        assert flags(shrunk(packed, CARPALS, 0.95)) == ()
        (flag,) = flags(shrunk(packed, CARPALS, 0.65))
        words = flag.split()
        assert words[:8] == ["looks", "like", "a", "child's", "hand", "(carpal", "bones", "of"]
        assert float(words[8]) == pytest.approx(0.65**2, rel=0.2)


def test_small_carpals_are_a_childs_if_others_are_not_there_yet(hands: list[Packed]) -> None:
    for packed in hands[:2]:
        small = shrunk(packed, CARPALS, 0.6)
        for missing in (CARPALS[1:4], CARPALS[3:]):
            incomplete, child = flags(without(small, missing))
            assert incomplete.startswith(
                f"{29 - len(missing)} of 29 bones found: carpal bones were not recognised, or "
            )
            assert child.startswith("looks like a child's hand (carpal bones of 0.")


@pytest.mark.parametrize("count", [3, 4, 5, 6, 8])
def test_carpals_that_were_not_recognised_make_no_child(hands: list[Packed], count: int) -> None:
    """It may be one: the reason says so."""
    for seed, packed in enumerate(hands):
        missing = np.random.default_rng(seed).permutation(CARPALS)[:count]
        (flag,) = flags(without(packed, missing))
        assert flag.startswith(f"{29 - count} of 29 bones found: carpal bones were not recognised, or a child's hand")


def test_growth_plates_are_a_childs_without_carpals_too(hand: Packed) -> None:
    incomplete, child = flags(with_growth_plates(without(hand, CARPALS), RAYS))
    assert incomplete.startswith("21 of 29 bones found: carpal bones were not recognised, or a child's hand")
    assert child.endswith("bones with growth plates): the networks know adults only, so check every bone")


def test_growth_plates_are_a_childs(hands: list[Packed]) -> None:
    for packed in hands:
        (flag,) = flags(with_growth_plates(packed, RAYS))
        number = int(flag.split("(")[1].split()[0])
        assert flag.startswith(f"looks like a child's hand ({number} bones with growth plates)")
        assert 12 <= number <= len(RAYS)
        assert flags(with_growth_plates(packed, RAYS[:4])) == ()


# Reasons


def test_reasons_tell_whether_single_bones_are_worth_a_look(hand: Packed) -> None:
    pictures = {
        CaseReason.NOTHING: np.zeros_like(hand),
        CaseReason.TWO_HANDS: np.concatenate([hand, hand], axis=1),
        CaseReason.PART: without(hand, range(20)),
        CaseReason.NOT_A_HAND: pack_masks(unpack_masks(hand)[::-1]),
        CaseReason.INCOMPLETE: without(hand, range(4)),
        CaseReason.CHILD: with_growth_plates(hand, RAYS),
    }
    usable = set()
    for reason, packed in pictures.items():
        (fault,) = case_faults(packed, PICTURE)
        assert fault.reason == reason
        assert (fault.message,) == flags(packed)
        usable |= {reason} if fault.is_usable else set()
    assert usable == {CaseReason.INCOMPLETE, CaseReason.CHILD}
    (blank,) = case_faults(hand, np.zeros((9, 9)))
    assert (blank.reason, blank.is_usable) == (CaseReason.BLANK, False)
