"""Names of bones in files of other programs, and spacings that can be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.anatomy import BONES, CHANNEL
from handseg_bundle_common.formats.mask_image import (
    MaskImage,
    channel_of,
    is_merged,
    known_spacing,
    missing_note,
    origin_of,
    origin_text,
    spacing_of,
    unknown_note,
)


@pytest.mark.parametrize("channel", range(len(BONES)))
def test_every_bone_is_found_by_its_names(channel: int) -> None:
    bone = BONES[channel]
    for label in (bone.name, bone.anatomical_name, bone.name.upper(), bone.anatomical_name.replace(" ", "_")):
        assert channel_of(label) == channel
    assert channel_of(bone.abbreviation) == (channel if len(bone.abbreviation) > 1 else None)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Trapzium", "Trapezium"),
        ("Trapzoid", "Trapezoid"),
        ("DistalRadius", "Radius"),
        ("Finger 19", "finger-19"),
        ("Pisifrom_Triquetrum", "Triquetrum"),
        ("triquetrum & pisiform", "Triquetrum"),
    ],
)
def test_spellings_of_other_data_sets(label: str, name: str) -> None:
    assert channel_of(label) == CHANNEL[name]
    assert is_merged(label) == ("form" in label or "from" in label)


@pytest.mark.parametrize("label", ["", "L", "cast", "finger", "finger-20", "Sesamoid", "\u0130"])
def test_other_names_are_no_bones(label: str) -> None:
    assert channel_of(label) is None


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ((0.14, 0.15), (0.14, 0.15)),
        ((1.0, 1.0), None),
        ((1.0, 0.5), (1.0, 0.5)),
        ((0.0, 1.0), None),
        ((-0.1, 0.1), None),
        ((float("nan"), 0.1), None),
        ((float("inf"), 0.1), None),
    ],
)
def test_spacings_that_nobody_set_are_unknown(told: tuple[float, float], known: tuple[float, float] | None) -> None:
    assert known_spacing(*told) == known
    assert spacing_of(list(told)) == known


@pytest.mark.parametrize("value", [None, 0.14, "0.14", [0.14], [0.1, "0.1"], [True, 0.1], [10**400, 0.1], {"a": 1}])
def test_values_that_are_no_spacing(value: object) -> None:
    assert spacing_of(value) is None


def test_the_origin_comes_back_from_text() -> None:
    image = MaskImage("p1/h\udcff\u00e4.png", np.zeros((1, 1), np.uint32), (0.14, 1 / 7))
    text = origin_text(image, more=[1])
    assert text.isascii()
    assert origin_of(text) == {"image": image.name, "spacing_mm": image.spacing_mm, "more": [1]}
    for other in ("", "[]", "{", '{"image": 3}', "[" * 100_000):
        assert origin_of(other) == {}


def test_notes_name_what_is_missing_and_what_is_unknown() -> None:
    assert missing_note("segment", range(len(BONES))) == ()
    assert missing_note("segment", range(len(BONES) - 2)) == ("no segment of Radius, Ulna: taken for empty",)
    assert unknown_note("segment", []) == ()
    assert unknown_note("segment", ["b", "a", "b"])[0].endswith("29 bones: segment a, b")
