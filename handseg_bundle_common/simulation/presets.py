"""Named settings: the look of the data set, that of radiographs elsewhere, and one beside both."""

from __future__ import annotations

from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.simulation.distributions import LogUniform, Normal, Uniform
from handseg_bundle_common.simulation.field_settings import FieldSettings
from handseg_bundle_common.simulation.settings import (
    BoneSettings,
    DetectorSettings,
    PoseSettings,
    Settings,
    ShapeSettings,
    TissueSettings,
)

# The look of the data set.
DATASET = Settings("dataset")
# What radiographs look like elsewhere.
WILD = Settings(
    "wild",
    pose=PoseSettings(
        deviated=0.35,
        straight_deviation=Normal(2.0, 7.0),
        forearm=Normal(0.0, 5.0),
        pronation=Normal(0.0, 7.0),
        flexion=Normal(0.0, 5.0),
        spread=Normal(1.1, 0.4, reach=2.5),
        curl=Normal(0.0, 6.0),
        thumb=Normal(0.0, 10.0),
        thumb_roll=Normal(35.0, 20.0),
    ),
    # More and less bone than in the data set, and all ages.
    bone=BoneSettings(
        spongy=Uniform(0.16, 0.32),
        osteopenia=0.3,
        end_cortex=Uniform(0.5, 1.0),
        end_density=Uniform(0.35, 0.85),
        plate_mm=Uniform(0.5, 1.2),
        endosteum_mm=Uniform(0.02, 0.3),
        forearm_spongiosa_mm=Uniform(36.0, 60.0),
        scar_strength=Uniform(0.1, 0.8),
        texture=Uniform(0.1, 0.3),
        slope=Normal(-1.55, 0.15, 2.0),
        grain=LogUniform(0.6, 1.4),
        stretch=Uniform(1.7, 3.3),
    ),
    tissue=TissueSettings(
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
    ),
    detector=DetectorSettings(
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
        few_greys=0.7,
    ),
    field=FieldSettings(
        rotation=Normal(0.0, 8.0),
        aspect=Uniform(0.65, 1.3),
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
    ),
)
# Outside the ranges of the other two, for benchmarks only.
SHIFTED = Settings(
    "shifted",
    # Stout bones, long fingers, and a warp whose waves are shorter than any in training.
    shape=ShapeSettings(
        robustness=Uniform(0.10, 0.14),
        finger_length=Uniform(0.05, 0.09),
        cortex=Uniform(1.55, 1.7),
        warp_wavelength_mm=Uniform(30.0, 46.0),
        warp_strain=Normal(0.0, 0.004),
        ripple_wavelength_mm=Uniform(17.0, 22.0),
        ripple_mm=Uniform(0.10, 0.15),
    ),
    # Dense spongy bone in a coarse network of cells under a thick and uneven cortex: bones of marble.
    bone=BoneSettings(
        spongy=Uniform(0.46, 0.52),
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
    ),
    # Broad fingers with thick fat, long webs, swollen and soft muscles, coarse skin.
    tissue=TissueSettings(
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
    ),
    # A slow, blurred and noisy detector whose pictures are strongly processed and burnt out in the bones.
    detector=DetectorSettings(
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
        few_greys=1.0,
    ),
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
