"""Everything that is drawn for a simulated radiograph, in one object; the defaults are the look of the data set."""

from __future__ import annotations

from dataclasses import dataclass

from handseg_bundle_common.simulation.distributions import Distribution, LogUniform, Normal, Uniform
from handseg_bundle_common.simulation.field_settings import FieldSettings

# Other versions draw other hands for the same seed.
SIMULATOR_VERSION = 2


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
        curl: flexion that each joint of the fingers adds, of either sign; fingers only bend towards the palm.
        finger_joint: what each joint of a finger adds in the plane of the hand.
        thumb_joint: what each joint of the thumb adds there.
        metacarpal: what the joints of the carpus with the metacarpals of the fingers add there.
        roll: rotation of each phalanx of a finger about its axis.
        metacarpal_roll: rotation of each metacarpal of a finger about its axis.
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
    finger_joint: Distribution = Normal(0.0, 1.6)
    thumb_joint: Distribution = Normal(0.0, 3.0)
    metacarpal: Distribution = Normal(0.0, 0.7)
    roll: Distribution = Normal(0.0, 4.0)
    metacarpal_roll: Distribution = Normal(0.0, 1.0)
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
        few_greys: share of pictures that were processed to 256 greys, others to 4096; files of 16 bits hold either.
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
    few_greys: float = 1.0


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
