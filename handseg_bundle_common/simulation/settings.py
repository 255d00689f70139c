"""Everything that is drawn for a simulated radiograph, in one object, and its presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from handseg_bundle_common.errors import HandsegInputError


class Distribution(Protocol):
    """A bounded distribution of one number; the bounds let tests compare the ranges of two presets."""

    @property
    def low(self) -> float:
        """Smallest value."""

    @property
    def high(self) -> float:
        """Largest value."""

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""


@dataclass(frozen=True)
class Uniform:
    """Equally likely values from `low` to `high`."""

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""
        return float(generator.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """Values from `low` to `high` whose logarithms are equally likely."""

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""
        return float(math.exp(generator.uniform(math.log(self.low), math.log(self.high))))


@dataclass(frozen=True)
class Normal:
    """A normal distribution, clipped at `reach` standard deviations."""

    mean: float
    sd: float
    reach: float = 3.0

    @property
    def low(self) -> float:
        """Smallest value."""
        return self.mean - self.reach * self.sd

    @property
    def high(self) -> float:
        """Largest value."""
        return self.mean + self.reach * self.sd

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one value."""
        return float(np.clip(generator.normal(self.mean, self.sd), self.low, self.high))


@dataclass(frozen=True)
class ShapeSettings:
    """Bones of a person.

    Attributes:
        size: logarithm of the size of the whole hand.
        sesamoid: share of thumbs that have a sesamoid, for each of the two.
        sesamoids_labelled: share of hands whose sesamoids belong to the mask of the thumb's metacarpal.
    """

    size: Distribution = Normal(0.0, 0.06)
    sesamoid: float = 0.98
    # They are left out of 61 of 800 annotations.
    sesamoids_labelled: float = 0.924


@dataclass(frozen=True)
class PoseSettings:
    """Pose of the hand; angles in degrees.

    Attributes:
        deviated: share of wrists that are deviated towards the ulna.
    """

    deviated: float = 0.5


@dataclass(frozen=True)
class BoneSettings:
    """Cortex, mineral and texture of the bones.

    Attributes:
        texture: standard deviation of the trabecular texture against the bone's own attenuation.
    """

    texture: Distribution = Uniform(0.10, 0.10)


@dataclass(frozen=True)
class TissueSettings:
    """Skin, fat and muscle.

    Attributes:
        width: logarithm of the factor on the half widths of fingers and palm.
    """

    width: Distribution = Normal(0.0, 0.07)


@dataclass(frozen=True)
class DetectorSettings:
    """Exposure, detector and image processing.

    Attributes:
        focal_blur_mm: standard deviation of the blur of focal spot and detector.
    """

    focal_blur_mm: Distribution = Uniform(0.08, 0.28)


@dataclass(frozen=True)
class FieldSettings:
    """Placement of the hand and all that stands beside it in the picture.

    Attributes:
        height_mm: height of the picture on the detector.
        wrist_x: place of the wrist's centre as a share of the picture's width, for a right hand.
        wrist_y: place of the wrist's centre as a share of the picture's height.
        source_mm: height of the X-ray source above the detector.
        source_offset_mm: distance of the source's foot from the picture's centre, for each axis.
        clearance_mm: distance of the lowest bone from the detector.
        rotation: rotation of the hand in the picture in degrees.
        aspect: width over height of the picture, where the caller does not choose it.
    """

    # Third metacarpals of 65 mm are 447 of 2048 pixels long.
    height_mm: Distribution = Normal(312.0, 6.2)
    wrist_x: Distribution = Normal(0.495, 0.03)
    wrist_y: Distribution = Normal(0.675, 0.03)
    source_mm: Distribution = Uniform(950.0, 1150.0)
    source_offset_mm: Distribution = Normal(0.0, 15.0)
    clearance_mm: Distribution = Uniform(3.0, 8.0)
    rotation: Distribution = Uniform(0.0, 0.0)
    aspect: Distribution = Uniform(1.0, 1.0)


@dataclass(frozen=True)
class Settings:
    """Ranges and probabilities of everything that is drawn.

    Attributes:
        name: name of the preset.
        shape: bones of a person.
        pose: pose of the hand.
        bone: cortex, mineral and texture.
        tissue: skin, fat and muscle.
        detector: exposure, detector and image processing.
        field: placement and all that stands beside the hand.
    """

    name: str
    shape: ShapeSettings = ShapeSettings()
    pose: PoseSettings = PoseSettings()
    bone: BoneSettings = BoneSettings()
    tissue: TissueSettings = TissueSettings()
    detector: DetectorSettings = DetectorSettings()
    field: FieldSettings = FieldSettings()


# The look of the data set.
DATASET = Settings("dataset")
# What radiographs look like elsewhere.
WILD = replace(DATASET, name="wild", field=FieldSettings(rotation=Normal(0.0, 8.0), aspect=Uniform(0.65, 1.0)))
# Outside the ranges of the other two, for benchmarks only.
SHIFTED = replace(DATASET, name="shifted")

PRESETS = {settings.name: settings for settings in (DATASET, WILD, SHIFTED)}


def preset(name: str) -> Settings:
    """Return the settings of a preset by its name.

    Raises:
        HandsegInputError: there is no such preset.
    """
    if name not in PRESETS:
        raise HandsegInputError("preset", f"{name!r} is unknown", f"choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
