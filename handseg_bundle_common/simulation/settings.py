"""Everything that is drawn for a simulated radiograph, in one object, and its presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from handseg_bundle_common.errors import HandsegInputError

# Other versions draw other hands for the same seed.
SIMULATOR_VERSION = 2


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
    """Bones of a person; lengths, widths and depths are logarithms of factors, drawn for each bone.

    Attributes:
        size: logarithm of the size of the whole hand.
        robustness: logarithm of the factor on the widths and depths of all bones of a person.
        finger_length: logarithm of the factor on the lengths of all phalanges of a person.
        ray_length: along a ray, for each ray.
        phalanx_length: along phalanges.
        phalanx_width: across phalanges.
        metacarpal_length: along metacarpals.
        metacarpal_width: across metacarpals.
        carpal_length: along carpal bones.
        carpal_width: across carpal bones.
        forearm_length: along radius and ulna.
        forearm_width: across radius and ulna.
        depth: from palm to back against the width.
        cortex: factor on the thickness of the cortex.
        warp_wavelength_mm: wavelengths of the smooth warp of the whole hand.
        warp_strain: amplitude of the warp over its wavelength.
        ripple_wavelength_mm: wavelengths of the irregularity of bone surfaces.
        ripple_mm: standard deviation of that irregularity.
        sesamoid: share of thumbs that have a sesamoid, for each of the two.
        sesamoids_labelled: share of hands whose sesamoids belong to the mask of the thumb's metacarpal.
    """

    size: Distribution = Normal(0.0, 0.04)
    robustness: Distribution = Normal(0.0, 0.03)
    finger_length: Distribution = Normal(0.0, 0.015)
    ray_length: Distribution = Normal(0.0, 0.012)
    phalanx_length: Distribution = Normal(0.0, 0.018)
    phalanx_width: Distribution = Normal(0.0, 0.035)
    metacarpal_length: Distribution = Normal(0.0, 0.015)
    metacarpal_width: Distribution = Normal(0.0, 0.035)
    carpal_length: Distribution = Normal(0.0, 0.075)
    carpal_width: Distribution = Normal(0.0, 0.075)
    forearm_length: Distribution = Uniform(0.0, 0.0)
    forearm_width: Distribution = Normal(0.0, 0.065)
    depth: Distribution = Normal(0.0, 0.04)
    cortex: Distribution = Normal(1.0, 0.2, reach=2.5)
    warp_wavelength_mm: Distribution = Uniform(50.0, 200.0)
    warp_strain: Distribution = Normal(0.0, 0.0045)
    ripple_wavelength_mm: Distribution = Uniform(6.0, 16.0)
    ripple_mm: Distribution = Uniform(0.02, 0.08)
    sesamoid: float = 0.98
    # They are left out of 61 of 800 annotations.
    sesamoids_labelled: float = 0.924


@dataclass(frozen=True)
class PoseSettings:
    """Pose of the hand; angles in degrees.

    Attributes:
        deviated: share of wrists that are deviated towards the ulna.
        straight_deviation: tilt of the third metacarpal towards the ulna in the other wrists.
        ulnar_deviation: tilt of the third metacarpal in deviated wrists.
        forearm: tilt of the forearm in the picture.
        pronation: rotation of everything about the forearm's axis.
        flexion: rotation of everything about the radial axis.
        spread: factor on the angles between the fingers.
        curl: standard deviation of the flexion that each joint of the fingers adds.
        thumb: abduction of the thumb against its mean.
        thumb_roll: rotation of the thumb about its axis; the palm lies down, so it is seen from its ulnar back.
        carpal: rotation of each carpal bone of the proximal row against its mean, in the plane and out of it.
    """

    deviated: float = 0.53
    straight_deviation: Distribution = Normal(0.8, 3.3)
    ulnar_deviation: Distribution = Normal(41.0, 4.5, reach=2.3)
    forearm: Distribution = Normal(-1.0, 3.0)
    pronation: Distribution = Normal(0.0, 4.0)
    flexion: Distribution = Normal(0.0, 3.0)
    spread: Distribution = Normal(1.0, 0.25)
    curl: Distribution = Normal(0.0, 4.0)
    thumb: Distribution = Normal(0.0, 6.0)
    thumb_roll: Distribution = Normal(35.0, 15.0)
    carpal: Distribution = Normal(0.0, 5.0)


@dataclass(frozen=True)
class BoneSettings:
    """Cortex, mineral and texture of the bones.

    Attributes:
        spongy: share of compact bone in the volume of the spongy bone at joint ends.
        osteopenia: share of persons who have lost bone.
        loss: share of spongy bone that those have lost; their cortex has lost half as much of its depth.
        end_cortex: factor on the depth of the cortex at joint ends beside the cartilage.
        end_density: share of compact bone in the porous cortex of joint ends and carpal bones.
        plate_mm: depth of the plate below the cartilage of a phalanx's base in millimetres.
        endosteum_mm: standard deviation of the depth of a shaft's cortex from place to place in millimetres.
        forearm_spongiosa_mm: length over which spongy bone gives way to fat marrow from the wrist along the forearm.
        scar: share of persons whose physeal scars are still to be seen.
        scar_strength: spongy bone that a scar adds, as a share of what is around it.
        trabeculae: generator of the texture, "noise" or "network".
        texture: standard deviation of 10 mm of spongy bone from ray to ray, as a share of its compact bone.
        slope: exponent of the power spectrum of the noise.
        grain: factor on the size of the trabecular structures.
        stretch: length over width of the structures along the axes of long bones; with the measured spectrum 2.5 makes
            the power across the axis five times that along it.
    """

    spongy: Distribution = Uniform(0.19, 0.26)
    osteopenia: float = 0.2
    loss: Distribution = Uniform(0.1, 0.45)
    end_cortex: Distribution = Uniform(0.6, 0.85)
    end_density: Distribution = Uniform(0.4, 0.65)
    plate_mm: Distribution = Uniform(0.6, 0.95)
    endosteum_mm: Distribution = Uniform(0.05, 0.2)
    forearm_spongiosa_mm: Distribution = Uniform(45.0, 58.0)
    scar: float = 0.5
    scar_strength: Distribution = Uniform(0.12, 0.5)
    trabeculae: str = "noise"
    texture: Distribution = Uniform(0.14, 0.25)
    # Bright strands flatten it to the measured -1.4.
    slope: Distribution = Normal(-1.55, 0.1, 2.0)
    grain: Distribution = LogUniform(0.65, 1.05)
    stretch: Distribution = Uniform(2.2, 2.9)


@dataclass(frozen=True)
class TissueSettings:
    """Skin, fat and muscle; lengths in millimetres.

    Attributes:
        width: logarithm of the factor on the half widths of the fingers.
        palm: logarithm of the factor on the tissue beside the bones of palm, wrist and forearm.
        depth: logarithm of the factor on all half depths.
        flatness: exponent of the cross-sections; 2 is an ellipse.
        joint: share by which fingers are wider at their joints.
        pulp_mm: distance from the tips of the bones to the skin.
        skin_mm: thickness of the skin.
        fat_mm: thickness of the fat under the skin.
        fat_water: water that attenuates like fat.
        muscle_water: water that attenuates like muscle.
        web: place of the web folds along the proximal phalanges.
        web_sag: depth of the web folds as a share of their span.
        thumb_web: place along the second metacarpal where the fold between thumb and index finger ends.
        thenar_mm: thickness that the muscles of the thumb add.
        thenar_reach: share of the thumb's web that these muscles fill.
        thenar_edge: exponent of their border; a low one is a clear edge.
        hypothenar_mm: thickness that the muscles of the little finger add.
        interosseous_mm: water that the muscles between the metacarpals add, negative where they waste.
        crease_mm: depth of creases of the skin.
        nails: share of hands whose nails show.
        nail_mm: thickness of the nails.
        vessel_mm: strength of vessels and tendons.
        streaks: standard deviation of the fat planes between muscles against all water.
        mottling: standard deviation of the smooth irregularity against all water.
    """

    width: Distribution = Normal(0.0, 0.06, reach=2.0)
    palm: Distribution = Normal(0.0, 0.20, reach=2.0)
    depth: Distribution = Normal(0.0, 0.07, reach=2.0)
    flatness: Distribution = Uniform(2.0, 2.5)
    joint: Distribution = Uniform(0.0, 0.06)
    pulp_mm: Distribution = Uniform(3.8, 6.5)
    skin_mm: Distribution = Uniform(0.8, 1.7)
    fat_mm: Distribution = LogUniform(0.8, 4.0)
    fat_water: Distribution = Uniform(0.82, 0.92)
    muscle_water: Distribution = Uniform(1.02, 1.07)
    web: Distribution = Uniform(0.25, 0.5)
    web_sag: Distribution = Uniform(0.08, 0.24)
    thumb_web: Distribution = Uniform(0.75, 1.05)
    thenar_mm: Distribution = Uniform(1.0, 9.0)
    thenar_reach: Distribution = Uniform(0.6, 0.95)
    thenar_edge: Distribution = LogUniform(0.4, 2.0)
    hypothenar_mm: Distribution = Uniform(0.5, 6.0)
    interosseous_mm: Distribution = Uniform(-1.5, 1.5)
    crease_mm: Distribution = LogUniform(0.05, 0.5)
    nails: float = 0.6
    nail_mm: Distribution = Uniform(0.15, 0.45)
    vessel_mm: Distribution = Uniform(0.1, 0.7)
    streaks: Distribution = LogUniform(0.005, 0.02)
    mottling: Distribution = LogUniform(0.003, 0.015)


@dataclass(frozen=True)
class DetectorSettings:
    """Exposure, detector and image processing; greys are shares of the full scale.

    Attributes:
        kilovolts: peak voltage of the tube.
        photons: detected photons a square millimetre in air.
        structure: standard deviation of the detector's gain that calibration leaves.
        focal_blur_mm: standard deviation of the blur of focal spot and motion.
        detector_blur_mm: standard deviation of the detector's blur.
        scatter: scattered photons for each one that is taken out of the primary beam.
        scatter_mm: standard deviation of the scatter's spread.
        glare: share of all light that the detector spreads as widely.
        ramp: heel effect, as logarithms of the intensity from the middle to an edge.
        fine_gain: gain of details below about 0.5 mm beyond 1.
        middle_gain: gain of details of about 1 mm beyond 1.
        coarse_gain: gain of details of about 3 mm beyond 1.
        latitude: share of the lowest frequencies that is taken away.
        air: grey of air.
        top: grey of the 99th percentile of bone.
        log_gamma: logarithm of the tone curve's exponent.
        sigmoid: steepness of the tone curve's middle against its ends.
        tone_slope: logarithm of the tone curve's slope in each of six sections.
        eight_bits: share of pictures with 256 greys; the others have 4096.
    """

    kilovolts: Distribution = Uniform(50.0, 56.0)
    photons: Distribution = LogUniform(3e4, 2e5)
    structure: Distribution = Uniform(0.001, 0.004)
    focal_blur_mm: Distribution = Uniform(0.02, 0.06)
    detector_blur_mm: Distribution = Uniform(0.07, 0.16)
    scatter: Distribution = Uniform(0.05, 0.25)
    scatter_mm: Distribution = Uniform(12.0, 28.0)
    glare: Distribution = Uniform(0.0, 0.03)
    ramp: Distribution = Normal(0.0, 0.04)
    fine_gain: Distribution = Uniform(-0.1, 0.6)
    middle_gain: Distribution = Uniform(-0.1, 0.5)
    coarse_gain: Distribution = Uniform(0.2, 0.6)
    latitude: Distribution = Uniform(0.0, 0.25)
    air: Distribution = Uniform(0.0, 0.07)
    top: Distribution = Normal(0.77, 0.05)
    log_gamma: Distribution = Normal(-0.07, 0.1)
    sigmoid: Distribution = Uniform(0.5, 1.5)
    tone_slope: Distribution = Normal(0.0, 0.1)
    eight_bits: float = 1.0


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
        strip: share of pictures with a bright strip along the top.
        strip_height: its height as a share of the picture's longer side, as all lengths below.
        strip_softness: width of its edge.
        strip_grey: its grey.
        collimated: share of pictures with visible edges of the beam.
        padded: share of pictures with a plain border.
        border_side: share of the sides that have a border where there is one.
        border_inset: width of a border; no border comes nearer to a bone than it stands.
        border_angle: rotation of the beam's edges in degrees.
        border_grey: grey beyond the beam's edges.
        border_softness: width of the beam's edges.
        shutter: share of collimated pictures with a shutter outside the beam's edges.
        shutter_distance: from the beam's edge to the shutter.
        shutter_grey: grey of the shutter.
        marker: share of pictures with a side marker.
        marker_height: height of its letters.
        marker_weight: width of its strokes as a share of the height.
        marker_angle: its rotation in degrees.
        marker_mirrored: share of markers that were laid down the wrong way round.
        marker_grey: grey of its letters.
        plate_grey: what the plate under the letters adds to the picture.
        text: mean number of lines of burned-in text.
        text_height: height of their letters.
        text_grey: their grey.
        patch: mean number of painted-over rectangles.
        patch_side: width and height of a rectangle as shares of the picture's.
        patch_grey: grey of a rectangle.
        ring: share of hands with a ring.
        ring_height: height of a ring over the width of its bone.
        ring_grey: grey of a ring.
        low_resolution: share of pictures that once had fewer pixels.
        resolution: share of the pixels along a side that these had.
        jpeg: share of pictures that went through a lossy compression.
        jpeg_quality: its quality.
        inverted: share of pictures that are stored with dark bones.
        sixteen_bits: share of pictures that are stored with 16 bits a pixel.
    """

    # Third metacarpals of 65 mm are 447 of 2048 pixels long.
    height_mm: Distribution = Normal(312.0, 6.2)
    wrist_x: Distribution = Normal(0.474, 0.03)
    wrist_y: Distribution = Normal(0.664, 0.04)
    source_mm: Distribution = Uniform(950.0, 1150.0)
    source_offset_mm: Distribution = Normal(0.0, 15.0)
    clearance_mm: Distribution = Uniform(3.0, 8.0)
    rotation: Distribution = Uniform(0.0, 0.0)
    aspect: Distribution = Uniform(1.0, 1.0)
    strip: float = 0.5
    strip_height: Distribution = Uniform(0.004, 0.03)
    strip_softness: Distribution = Uniform(0.0, 0.012)
    strip_grey: Distribution = Uniform(0.15, 0.7)
    collimated: float = 0.0
    padded: float = 0.0
    border_side: float = 0.6
    border_inset: Distribution = Uniform(0.01, 0.16)
    border_angle: Distribution = Normal(0.0, 1.2)
    border_grey: Distribution = Uniform(0.0, 0.95)
    border_softness: Distribution = LogUniform(0.0005, 0.02)
    shutter: float = 0.6
    shutter_distance: Distribution = Uniform(0.0, 0.04)
    shutter_grey: Distribution = Uniform(0.0, 0.08)
    marker: float = 0.0
    marker_height: Distribution = Uniform(0.02, 0.055)
    marker_weight: Distribution = Uniform(0.12, 0.3)
    marker_angle: Distribution = Normal(0.0, 25.0)
    marker_mirrored: float = 0.06
    marker_grey: Distribution = Uniform(0.8, 1.0)
    plate_grey: Distribution = Uniform(-0.05, 0.12)
    text: float = 0.0
    text_height: Distribution = Uniform(0.01, 0.025)
    text_grey: Distribution = Uniform(0.6, 1.0)
    patch: float = 0.0
    patch_side: Distribution = Uniform(0.02, 0.2)
    patch_grey: Distribution = Uniform(0.0, 0.6)
    ring: float = 0.0
    ring_height: Distribution = Uniform(0.15, 0.4)
    ring_grey: Distribution = Uniform(0.85, 1.0)
    low_resolution: float = 0.0
    resolution: Distribution = Uniform(0.3, 0.9)
    jpeg: float = 0.0
    jpeg_quality: Distribution = Uniform(30.0, 95.0)
    inverted: float = 0.0
    sixteen_bits: float = 0.0


_WILD_DETECTOR = DetectorSettings(
    kilovolts=Uniform(48.0, 64.0),
    photons=LogUniform(1e4, 3e5),
    structure=Uniform(0.0, 0.006),
    focal_blur_mm=Uniform(0.02, 0.18),
    detector_blur_mm=Uniform(0.06, 0.22),
    scatter=Uniform(0.0, 0.4),
    scatter_mm=Uniform(8.0, 30.0),
    glare=Uniform(0.0, 0.06),
    ramp=Normal(0.0, 0.05),
    fine_gain=Uniform(-0.3, 1.0),
    middle_gain=Uniform(-0.3, 1.2),
    coarse_gain=Uniform(-0.2, 0.8),
    latitude=Uniform(0.0, 0.55),
    air=Uniform(0.0, 0.2),
    top=Uniform(0.5, 1.0),
    log_gamma=Uniform(-0.5, 0.5),
    sigmoid=Uniform(0.0, 3.0),
    tone_slope=Normal(0.0, 0.25),
    eight_bits=0.7,
)
_WILD_FIELD = FieldSettings(
    rotation=Normal(0.0, 8.0),
    aspect=Uniform(0.65, 1.0),
    strip=0.15,
    collimated=0.55,
    padded=0.15,
    marker=0.6,
    text=0.4,
    patch=0.2,
    ring=0.12,
    low_resolution=0.3,
    jpeg=0.4,
    inverted=0.1,
    sixteen_bits=0.25,
)
# More and less bone than in the data set, and all ages.
_WILD_BONE = BoneSettings(
    spongy=Uniform(0.16, 0.32),
    osteopenia=0.3,
    loss=Uniform(0.1, 0.45),
    end_cortex=Uniform(0.5, 1.0),
    end_density=Uniform(0.35, 0.85),
    plate_mm=Uniform(0.5, 1.2),
    endosteum_mm=Uniform(0.02, 0.3),
    forearm_spongiosa_mm=Uniform(36.0, 60.0),
    scar_strength=Uniform(0.1, 0.8),
    texture=Uniform(0.1, 0.3),
    slope=Normal(-1.55, 0.15, 2.0),
    grain=LogUniform(0.75, 1.4),
    stretch=Uniform(1.7, 3.3),
)
# Little spongy bone in a coarse network of cells, wire-like and uneven cortex, no osteopenia beside it.
_SHIFTED_BONE = BoneSettings(
    spongy=Uniform(0.11, 0.15),
    osteopenia=0.0,
    loss=Uniform(0.0, 0.05),
    end_cortex=Uniform(1.05, 1.25),
    end_density=Uniform(0.87, 0.95),
    plate_mm=Uniform(1.25, 1.5),
    endosteum_mm=Uniform(0.32, 0.4),
    forearm_spongiosa_mm=Uniform(62.0, 75.0),
    scar_strength=Uniform(0.85, 1.1),
    trabeculae="network",
    texture=Uniform(0.32, 0.4),
    slope=Uniform(-2.2, -1.9),
    grain=LogUniform(1.45, 1.8),
    stretch=Uniform(1.1, 1.4),
)
# A slow, blurred and noisy detector whose pictures are strongly processed and burnt out in the bones.
_SHIFTED_DETECTOR = DetectorSettings(
    kilovolts=Uniform(66.0, 74.0),
    photons=LogUniform(5e3, 9e3),
    structure=Uniform(0.007, 0.012),
    focal_blur_mm=Uniform(0.2, 0.35),
    detector_blur_mm=Uniform(0.24, 0.36),
    scatter=Uniform(0.45, 0.7),
    scatter_mm=Uniform(32.0, 45.0),
    glare=Uniform(0.07, 0.1),
    ramp=Uniform(0.16, 0.19),
    fine_gain=Uniform(1.1, 1.6),
    middle_gain=Uniform(1.25, 1.6),
    coarse_gain=Uniform(0.85, 1.1),
    latitude=Uniform(0.57, 0.65),
    air=Uniform(0.21, 0.25),
    top=Uniform(1.02, 1.15),
    log_gamma=Uniform(-0.7, -0.55),
    sigmoid=Uniform(3.1, 3.6),
    tone_slope=Uniform(-0.3, 0.3),
    eight_bits=1.0,
)


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


_WILD_TISSUE = TissueSettings(
    width=Normal(0.0, 0.075, reach=2.0),
    palm=Normal(0.0, 0.24, reach=2.0),
    depth=Normal(0.0, 0.10, reach=2.0),
    flatness=Uniform(1.9, 2.7),
    joint=Uniform(0.0, 0.08),
    pulp_mm=Uniform(3.5, 7.0),
    skin_mm=Uniform(0.6, 1.9),
    fat_mm=LogUniform(0.5, 4.5),
    fat_water=Uniform(0.80, 0.93),
    muscle_water=Uniform(1.01, 1.08),
    web=Uniform(0.2, 0.55),
    web_sag=Uniform(0.05, 0.26),
    thumb_web=Uniform(0.7, 1.1),
    thenar_mm=Uniform(0.0, 11.0),
    thenar_reach=Uniform(0.5, 0.98),
    thenar_edge=LogUniform(0.3, 2.5),
    hypothenar_mm=Uniform(0.0, 7.0),
    interosseous_mm=Uniform(-2.0, 2.0),
    crease_mm=LogUniform(0.03, 0.6),
    nail_mm=Uniform(0.1, 0.5),
    vessel_mm=Uniform(0.0, 0.8),
    streaks=LogUniform(0.003, 0.03),
    mottling=LogUniform(0.002, 0.02),
)
# Broad fingers with thick fat, long webs, swollen and soft muscles, coarse skin.
_SHIFTED_TISSUE = TissueSettings(
    width=Uniform(0.16, 0.22),
    palm=Uniform(0.50, 0.65),
    depth=Uniform(0.21, 0.27),
    flatness=Uniform(2.8, 3.4),
    joint=Uniform(0.09, 0.13),
    pulp_mm=Uniform(7.2, 8.5),
    skin_mm=Uniform(2.0, 2.5),
    fat_mm=Uniform(4.7, 6.0),
    fat_water=Uniform(0.94, 0.97),
    muscle_water=Uniform(1.09, 1.12),
    web=Uniform(0.57, 0.7),
    web_sag=Uniform(0.27, 0.36),
    thumb_web=Uniform(1.12, 1.25),
    thenar_mm=Uniform(11.5, 15.0),
    thenar_reach=Uniform(0.3, 0.48),
    thenar_edge=Uniform(2.6, 3.5),
    hypothenar_mm=Uniform(7.5, 10.0),
    interosseous_mm=Uniform(2.2, 3.2),
    crease_mm=Uniform(0.65, 1.0),
    nails=1.0,
    nail_mm=Uniform(0.55, 0.8),
    vessel_mm=Uniform(0.85, 1.2),
    streaks=Uniform(0.032, 0.05),
    mottling=Uniform(0.022, 0.03),
)

_WILD_POSE = PoseSettings(
    deviated=0.35,
    straight_deviation=Normal(2.0, 7.0),
    forearm=Normal(0.0, 5.0),
    pronation=Normal(0.0, 7.0),
    flexion=Normal(0.0, 5.0),
    spread=Normal(1.1, 0.4, reach=2.5),
    curl=Normal(0.0, 6.0),
    thumb=Normal(0.0, 10.0),
    thumb_roll=Normal(35.0, 20.0),
)

# Beside the ranges of training: stout bones, long fingers, and a warp whose waves are shorter than any there.
_SHIFTED_SHAPE = ShapeSettings(
    robustness=Uniform(0.10, 0.14),
    finger_length=Uniform(0.05, 0.09),
    cortex=Uniform(0.40, 0.48),
    warp_wavelength_mm=Uniform(30.0, 46.0),
    warp_strain=Normal(0.0, 0.004),
    ripple_wavelength_mm=Uniform(17.0, 22.0),
    ripple_mm=Uniform(0.10, 0.15),
)

# The look of the data set.
DATASET = Settings("dataset")
# What radiographs look like elsewhere.
WILD = replace(
    DATASET,
    name="wild",
    pose=_WILD_POSE,
    tissue=_WILD_TISSUE,
    bone=_WILD_BONE,
    detector=_WILD_DETECTOR,
    field=_WILD_FIELD,
)
# Outside the ranges of the other two, for benchmarks only.
SHIFTED = replace(
    DATASET,
    name="shifted",
    shape=_SHIFTED_SHAPE,
    tissue=_SHIFTED_TISSUE,
    bone=_SHIFTED_BONE,
    detector=_SHIFTED_DETECTOR,
)

PRESETS = {settings.name: settings for settings in (DATASET, WILD, SHIFTED)}


def preset(name: str) -> Settings:
    """Return the settings of a preset by its name.

    Raises:
        HandsegInputError: there is no such preset.
    """
    if name not in PRESETS:
        raise HandsegInputError("preset", f"{name!r} is unknown", f"choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
