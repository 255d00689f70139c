"""What tells one fusion of models from another: pixels on which the models differ are kept, all others counted.

A pixel that no model gives more than 0.3 lies outside for every weighted mean and every threshold from 0.3, and one
that all give more than 0.7 lies inside for every threshold up to 0.7. That leaves a narrow band along the outlines,
so that any number of fusions can be scored exactly after the predictions have been read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble.selection.labels import read_label
from handseg_bundle_common.ensemble.selection.predictions import Case, LevelReader, Levels
from handseg_bundle_common.formats.probabilities import MAX_LEVEL
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.metrics import COMPETITION_EPS

Floats = NDArray[np.float64]

LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.3, 0.7

_OUTSIDE, _INSIDE = int(LOWEST_THRESHOLD * MAX_LEVEL), int(HIGHEST_THRESHOLD * MAX_LEVEL)
# In levels; far above the rounding errors of a weighted mean, far below the step between two of them.
_TOLERANCE = 1e-6
# Pixels of a bone that are sampled from all images together, and px beyond the bone from which they may come.
_SAMPLED_PIXELS, _SAMPLE_MARGIN = 20_000, 8
_MAX_SAMPLE, _MIN_SAMPLE = 1024, 16
_CHUNK = 1 << 22


@dataclass(frozen=True, eq=False)
class Fusions:
    """Ways to fuse M models, K of them.

    Attributes:
        weights: (K, M, 29), summing to 1 over the models.
        thresholds: (K, 29), weighted mean above which a pixel belongs to a bone, 0.3 to 0.7.
    """

    weights: Floats
    thresholds: Floats

    @classmethod
    def means(cls, subsets: Sequence[Sequence[int]], models: int) -> Fusions:
        """Return means of subsets of the models, with thresholds of 0.5; a model that is named twice counts twice."""
        counts = np.array([np.bincount(subset, minlength=models) for subset in subsets])
        weights = counts / counts.sum(axis=1, keepdims=True)
        return cls(np.repeat(weights[..., None], NUM_BONES, axis=2), np.full((len(subsets), NUM_BONES), 0.5))


@dataclass(frozen=True, eq=False)
class FusionScores:
    """Scores of K fusions on N images.

    Attributes:
        dice: (N, K, 29), as `metrics.dice`.
        overlap_zone: (N, K, 29), as `metrics.overlap_zone_dice`, NaN where the bone does not reach into the zone.
    """

    dice: Floats
    overlap_zone: Floats


@dataclass(frozen=True, eq=False)
class _Image:
    """One image: rows of disputed pixels bone after bone, and counts of the others.

    Attributes:
        levels: (n, models).
        regions: (n, 4), 1 where the pixel lies in the picture, label, overlap zone, and both of these.
        ends: (29,), row after the last of every bone.
        inside: (29, 4), pixels of each region that every fusion has inside.
        reference: (29, 2), pixels of the label in the picture and in the zone.
        sample: (29, s, models), levels of pixels drawn at random from around the bone.
        truth: (29, s), whether the label covers them.
    """

    levels: Levels
    regions: NDArray[np.bool_]
    ends: NDArray[np.int64]
    inside: NDArray[np.int64]
    reference: NDArray[np.int64]
    sample: Levels
    truth: NDArray[np.bool_]

    def bones(self) -> Iterator[tuple[Levels, NDArray[np.bool_]]]:
        """Yield the disputed pixels of every bone."""
        yield from zip(np.split(self.levels, self.ends[:-1]), np.split(self.regions, self.ends[:-1]), strict=True)


class Evidence:
    """Everything that the scores of fusions depend on, one file an image in a temporary folder.

    Attributes:
        patients: patient of every image.
        models: number of models.

    Args:
        cases: the images.
        reader: what the models say about them.
        folder: empty folder, for as long as this object is used.
        seed: of the sampled pixels.

    Raises:
        HandsegInputError: a prediction or label cannot be read.
    """

    def __init__(self, cases: Sequence[Case], reader: LevelReader, folder: Path, seed: int = 0) -> None:
        self.patients = [case.patient for case in cases]
        self.models = len(cases[0].named)
        self._files = [folder / f"{number}.npz" for number in range(len(cases))]
        sample = min(max(_SAMPLED_PIXELS // len(cases), _MIN_SAMPLE), _MAX_SAMPLE)
        for number, case in enumerate(tqdm(cases, "reading predictions", unit="image", disable=None)):
            image = _image_evidence(case, reader.read(case), sample, np.random.default_rng([seed, number]))
            np.savez(self._files[number], **vars(image))

    def scores(self, fusions: Fusions) -> FusionScores:
        """Score fusions of the models on all images, at the size at which the predictions are stored."""
        return FusionScores(*np.stack([_scores(image, fusions) for image in self._images()], axis=1))

    def agreement(self) -> Floats:
        """Return the Dice between the masks of every two models (M, M), averaged over images and bones."""
        return np.asarray(np.mean([_agreement(image) for image in self._images()], axis=0))

    def samples(self) -> tuple[Levels, NDArray[np.bool_]]:
        """Return pixels drawn around the bones: levels (N, 29, s, M) and whether the label covers them (N, 29, s)."""
        pairs = [(image.sample, image.truth) for image in self._images()]
        levels, truths = zip(*pairs, strict=True)
        return np.stack(levels), np.stack(truths)

    def _images(self) -> Iterator[_Image]:
        for file in self._files:
            with np.load(file, allow_pickle=False) as arrays:
                yield _Image(**arrays)


def _image_evidence(case: Case, bones: Iterator[Levels], sample: int, random: np.random.Generator) -> _Image:
    label: Packed | None = None
    parts = []
    for channel, levels in enumerate(bones):
        if label is None:
            height, width = levels.shape[1:]
            label = read_label(case, (height, width))
            zone = (label & (label - np.uint32(1))) != 0  # taking 1 away clears the lowest bit: another one is left
        parts.append(_bone_evidence(levels, (label & np.uint32(1 << channel)) != 0, zone, sample, random))
    levels_of, regions, inside, reference, samples, truth = zip(*parts, strict=True)
    return _Image(
        levels=np.concatenate(levels_of),
        regions=np.concatenate(regions),
        ends=np.cumsum([len(part) for part in levels_of]),
        inside=np.stack(inside),
        reference=np.stack(reference),
        sample=np.stack(samples),
        truth=np.stack(truth),
    )


def _bone_evidence(
    levels: Levels, mask: NDArray[np.bool_], zone: NDArray[np.bool_], sample: int, random: np.random.Generator
) -> tuple[NDArray[np.generic], ...]:
    """Return what `_Image` holds of one bone, in its order, without the ends."""
    window = _window((levels.max(axis=0) > _OUTSIDE) | mask)
    levels, mask, zone = levels[:, *window], mask[window], zone[window]
    regions = np.stack([np.ones_like(mask), mask, zone, mask & zone], axis=-1)
    is_inside = levels.min(axis=0) > _INSIDE
    is_disputed = (levels.max(axis=0) > _OUTSIDE) & ~is_inside
    drawn = random.integers(mask.size, size=sample)
    pixels = np.moveaxis(levels, 0, -1)
    return (
        pixels[is_disputed],
        regions[is_disputed],
        regions[is_inside].sum(axis=0),
        regions[..., [1, 3]].sum(axis=(0, 1)),
        pixels.reshape(mask.size, -1)[drawn],
        mask.ravel()[drawn],
    )


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return rows and columns of a mask and a margin around it; all of them for an empty one."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if width == 0:
        return slice(None), slice(None)
    margin = _SAMPLE_MARGIN
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


def _scores(image: _Image, fusions: Fusions) -> Floats:
    """Return Dice in the picture and in the overlap zone, (2, K, 29)."""
    scores = np.empty((2, len(fusions.weights), NUM_BONES))
    for channel, (levels, regions) in enumerate(image.bones()):
        weights, thresholds = fusions.weights[..., channel], fusions.thresholds[:, channel] * MAX_LEVEL + _TOLERANCE
        counts = np.tile(image.inside[channel].astype(np.float64), (len(weights), 1))
        rows = max(1, _CHUNK // len(weights))
        for start in range(0, len(levels), rows):
            chosen = levels[start : start + rows].astype(np.float64) @ weights.T > thresholds
            counts += chosen.T.astype(np.float32) @ regions[start : start + rows].astype(np.float32)
        predicted, shared = counts[:, [0, 2]], counts[:, [1, 3]]
        scores[..., channel] = _dice(predicted, image.reference[channel], shared).T
    scores[1, :, image.reference[:, 1] == 0] = np.nan
    return scores


def _agreement(image: _Image) -> Floats:
    dice = []
    for (levels, _), inside in zip(image.bones(), image.inside, strict=True):
        masks = (levels > MAX_LEVEL // 2).astype(np.float64)
        shared = masks.T @ masks + inside[0]
        sizes = np.diag(shared)
        dice.append(_dice(sizes[:, None], sizes, shared))
    return np.asarray(np.mean(dice, axis=0))


def _dice(predicted: Floats, reference: NDArray[np.int64] | Floats, shared: Floats) -> Floats:
    """Return the Dice coefficient as `metrics.dice` does, from numbers of pixels."""
    return np.asarray((2 * shared + COMPETITION_EPS) / (predicted + reference + COMPETITION_EPS))
