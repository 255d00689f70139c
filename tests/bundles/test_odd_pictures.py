"""What the shipped ensemble and the warnings make of pictures that are no single hand of an adult."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import CHANNEL, Group, bones_of
from handseg_bundle_common.ensemble.case import BLANK, TWO_HANDS
from handseg_bundle_common.formats.boostcamp import rasterise, read_annotations
from handseg_bundle_common.inference import predict

Picture = NDArray[np.uint8]
SIZE = 512
Capsule = tuple[tuple[int, int], tuple[int, int], int]


def drawn(bones: Sequence[Capsule], flesh: int) -> Picture:
    """Draw bones as capsules, brighter at their rims, within flesh that reaches so many px beyond them."""
    picture = np.full((SIZE, SIZE), 12, np.uint8)
    for grey, more in ((70, flesh), (190, 0), (150, -5)):
        for start, end, radius in bones:
            cv2.line(picture, start, end, grey, max(2 * (radius + more), 1), cv2.LINE_AA)
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 1.5) + noise, 0, 255).astype(np.uint8)


def foot() -> Picture:
    """A foot from above: five metatarsals with two bones a toe, short ones, and a long heel."""
    bones: list[Capsule] = []
    for ray in range(5):
        x = 170 + 45 * ray
        bones += [((x, 110 + 14 * ray), (x, 128 + 14 * ray), 10), ((x, 60 + 22 * ray), (x, 80 + 22 * ray), 8)]
        bones += [((x, 165 + 12 * ray), (200 + 28 * ray, 290), 12 if ray else 18)]
    bones += [((200 + 32 * ray, 322), (200 + 32 * ray, 330), 18) for ray in range(4)]
    return drawn([*bones, ((240, 385), (260, 470), 42), ((305, 375), (300, 400), 30)], 14)


def elbow() -> Picture:
    """An elbow from the side: the humerus above, ulna and radius below."""
    return drawn([((250, 0), (250, 230), 36), ((235, 265), (130, 511), 26), ((285, 270), (205, 511), 18)], 50)


def toddlers_hand(sample_data: Path) -> Picture:
    """A hand whose carpals but two are cartilage still: flesh stands in their place."""
    path = sorted(sample_data.glob("DCM/*/*.png"))[0]
    radiograph = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    masks = rasterise(read_annotations(next(sample_data.glob(f"outputs_json/*/{path.stem}.json"))), *radiograph.shape)
    cartilage = [CHANNEL[bone.name] for bone in bones_of(Group.CARPALS) if bone.name not in ("Capitate", "Hamate")]
    holes = cv2.dilate(masks[cartilage].any(axis=0).astype(np.uint8), np.ones((7, 7)))
    return cv2.inpaint(radiograph, holes, 9, cv2.INPAINT_TELEA)


@pytest.fixture(scope="module")
def warnings(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What `images.csv` tells of every picture, by the picture's name."""
    hand = cv2.imread(str(sorted(sample_data.glob("DCM/*/*.png"))[0]), cv2.IMREAD_GRAYSCALE)
    pictures = {
        "hand": hand,
        "foot": foot(),
        "elbow": elbow(),
        "toddler": toddlers_hand(sample_data),
        "two_hands": cv2.copyMakeBorder(np.hstack([hand, hand[:, ::-1]]), 256, 256, 0, 0, cv2.BORDER_REPLICATE),
        "no_fingertips": hand[len(hand) // 3 :],
        "flat": np.full((SIZE, SIZE), 40, np.uint8),
        "noise": np.random.default_rng(0).normal(90, 12, (SIZE, SIZE)).astype(np.uint8),
    }
    folder = tmp_path_factory.mktemp("pictures")
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    predict([folder], "ensemble", folder / "results", device="cpu")
    with (folder / "results" / "images.csv").open() as file:
        return {Path(row["image_name"]).stem: row for row in csv.DictReader(file)}


def newly_doubted(warnings: dict[str, dict[str, str]], name: str) -> set[str]:
    """Name the bones that are doubted in a picture, but not in the hand that it was made of."""
    doubted, before = (set(re.findall(r"(?:^|; )([a-z ]+):", warnings[which]["bones"])) for which in (name, "hand"))
    return doubted - before


def test_a_hand_is_not_warned_of(warnings):
    assert warnings["hand"]["picture"] == ""


@pytest.mark.parametrize("name", ["flat", "noise"])
def test_an_empty_picture_is_blank(warnings, name):
    assert BLANK in warnings[name]["picture"]


@pytest.mark.parametrize("name", ["foot", "elbow"])
def test_another_part_of_the_body_has_no_usable_masks(warnings, name):
    usable = ("bones found", "carpal bones were not recognised", "child")
    assert warnings[name]["picture"] != ""
    assert "not a hand" in warnings[name]["picture"] or not any(words in warnings[name]["picture"] for words in usable)


def test_two_hands_are_to_be_cropped(warnings):
    assert TWO_HANDS in warnings["two_hands"]["picture"]


def test_the_missing_carpals_of_a_toddler_are_doubted(warnings):
    """The networks know adults and put carpals where cartilage is; that their shapes differ tells."""
    assert len(newly_doubted(warnings, "toddler") & {"scaphoid", "lunate", "triquetrum", "pisiform", "trapezium"}) >= 2


def test_fingertips_outside_the_picture_are_doubted(warnings):
    assert "distal phalanx of the index finger" in newly_doubted(warnings, "no_fingertips")
