"""What is drawn for the placement of the hand and for all that stands beside it in the picture."""

from __future__ import annotations

from dataclasses import dataclass

from handseg_bundle_common.simulation.distributions import Distribution, LogUniform, Normal, Uniform


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
