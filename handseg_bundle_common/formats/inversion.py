"""Inverted radiographs, on which bone is dark, recognised by their grey levels alone."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.formats.stored import Levels, StoredRadiograph

_Image = NDArray[np.float32]

# Longest side of the thumbnail, on which a phalanx is five to ten pixels wide; and the shorter side of a picture that
# shows enough to be judged.
_THUMBNAIL, _SMALLEST = 256, 128
# Pixels within this share of the darkest or brightest level are a plateau, as are those of the edge's commonest level,
# of which so many are told apart; this many pixels around a plateau are left out.
_PLATEAU, _BINS, _MARGIN = 0.01, 400, 3
# Scale of detail: standard deviation in thumbnail pixels.
_SIGMA = 2.0
# Share of the pixels that counts as detailed, and as smooth.
_SHARE = 0.25
# Not judged: pictures that are nearly all plateau, with less contrast than this share of their scale, with less detail
# than this share of the contrast (smooth ramps), or with hardly more detail here than there (noise).
_INSIDE, _CONTRAST, _DETAIL, _UNEVENNESS = 0.02, 0.02, 0.003, 1.6
# Cliff's delta below which bone is dark: true of no upright hand as it was exposed and of 1 in 1000 after cropping,
# shutters, markers and gamma of 0.5 to 2; missed by no inverted hand as it was exposed and by 5 in 100 of the others
# (60 simulated hands and a real one).
_CLEAR = -0.35


def is_inverted(radiograph: StoredRadiograph) -> bool:
    """Tell whether bone is clearly dark on a radiograph of a hand or a part of it.

    Air and soft tissue are smooth, bones are full of edges and trabeculae; so the detailed part of a radiograph is
    brighter than the smooth one, unless it is inverted. Detail is the difference from a Gaussian mean, and brightness
    is compared by Cliff's delta (Psychological Bulletin 114:494, 1993), the probability that a detailed pixel is
    brighter than a smooth one less that of the opposite: an order of grey levels, which gamma and contrast leave alone.
    Shutters, frames and clipped air are left out, being plateaus of the darkest, brightest or commonest level of the
    edge.

    Returns:
        False wherever the evidence is not clear: small or flat pictures, ramps, noise.
    """
    if min(radiograph.size) < _SMALLEST:
        return False
    thumbnail = _thumbnail(radiograph)
    inside = _inside(thumbnail)
    if inside.mean() < _INSIDE:
        return False
    detail = _detail(thumbnail, inside)[inside]
    smooth, detailed, most = np.quantile(detail, [_SHARE, 1 - _SHARE, 0.9])
    if most < max(_DETAIL, _UNEVENNESS * smooth):
        return False
    grey = thumbnail[inside]
    return _cliffs_delta(grey[detail >= detailed], grey[detail <= smooth]) < _CLEAR


def _thumbnail(radiograph: StoredRadiograph) -> _Image:
    """Return a small copy with grey levels between 0 and 1; all 0 without contrast."""
    scale = min(_THUMBNAIL / max(radiograph.size), 1)
    height, width = (max(round(scale * side), 1) for side in radiograph.size)
    levels = cv2.resize(radiograph.levels, (width, height), interpolation=cv2.INTER_AREA)
    grey = replace(radiograph, levels=cast(Levels, levels)).grey()
    low, high = float(grey.min()), float(grey.max())
    return (grey - low) / np.float32(high - low) if high - low >= _CONTRAST else np.zeros_like(grey)


def _inside(thumbnail: _Image) -> NDArray[np.bool_]:
    """Return the pixels that belong to no plateau at the picture's edge."""
    outside = np.zeros(thumbnail.shape, np.uint8)
    edge = np.concatenate([thumbnail[[0, -1]].ravel(), thumbnail[:, [0, -1]].ravel()])
    for level, width in ((0.0, _PLATEAU), (1.0, _PLATEAU), (_commonest(edge), 1 / _BINS)):
        plateau = (np.abs(thumbnail - level) <= width).astype(np.uint8)
        # A ring around the picture joins all plateaus that touch its edge.
        _, labels = cv2.connectedComponents(np.pad(plateau, 1, constant_values=1), connectivity=4)
        outside |= labels[1:-1, 1:-1] == labels[0, 0]
    return ~cv2.dilate(outside, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)).astype(bool)


def _commonest(levels: _Image) -> float:
    """Return the level between 0 and 1 around which most others lie."""
    counts = np.histogram(levels, _BINS, (0, 1))[0]
    return (int(counts.argmax()) + 0.5) / _BINS


def _detail(thumbnail: _Image, inside: NDArray[np.bool_]) -> _Image:
    """Return how much a picture departs from its local mean, averaged over the neighbourhood."""
    weights = inside.astype(np.float32)
    return _mean(np.abs(thumbnail - _mean(thumbnail, weights)), weights)


def _mean(image: _Image, weights: _Image) -> _Image:
    """Return the Gaussian mean over pixels that count (normalised convolution)."""
    total = cv2.GaussianBlur(image * weights, (0, 0), _SIGMA)
    return np.asarray(total / np.maximum(cv2.GaussianBlur(weights, (0, 0), _SIGMA), 1e-3), np.float32)


def _cliffs_delta(ones: _Image, others: _Image) -> float:
    """Return P(one > other) - P(one < other)."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, ones, "left") + np.searchsorted(ordered, ones, "right")
    return float(below.mean() / len(ordered) - 1)
