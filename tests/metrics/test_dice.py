"""Dice of overlapping masks against hand-computed cases, naive loops and MONAI's own metric."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.handlers import IgniteMetricHandler
from monai.metrics import DiceMetric

from handseg_bundle_common.metrics import BoneDice, EmptyMasks, OverlapZoneDice, dice, overlap_zone_dice

EPS = 1e-4


def row(*pixels: int) -> torch.Tensor:
    """One bone in an image that is one pixel high."""
    return torch.tensor([[pixels]], dtype=torch.bool)


def random_masks(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape) < 0.5)


def naive_dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    a = {tuple(pixel) for pixel in np.argwhere(prediction)}
    b = {tuple(pixel) for pixel in np.argwhere(reference)}
    return (2 * len(a & b) + EPS) / (len(a) + len(b) + EPS)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        pytest.param((1, 1), (1, 1), 1.0, id="equal"),
        pytest.param((1, 1), (1, 0), (2 + EPS) / (3 + EPS), id="one pixel too many"),
        pytest.param((1, 0), (0, 1), EPS / (2 + EPS), id="beside"),
        pytest.param((0, 0), (0, 0), 1.0, id="both empty"),
        pytest.param((1, 0), (0, 0), EPS / (1 + EPS), id="false alarm"),
        pytest.param((0, 0), (1, 1), EPS / (2 + EPS), id="missed"),
    ],
)
def test_dice_of_two_pixels(prediction: tuple[int, int], reference: tuple[int, int], expected: float) -> None:
    score = dice(row(*prediction), row(*reference))
    assert score.shape == (1,)
    assert score.item() == expected


@given(seed=st.integers(0, 2**16), bones=st.integers(1, 4), height=st.integers(1, 6), width=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_dice_counts_like_sets_of_pixels(seed: int, bones: int, height: int, width: int) -> None:
    a, b = random_masks(seed, 2, bones, height, width)
    expected = [naive_dice(x, y) for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    assert dice(a, b).tolist() == expected


def test_dice_of_a_batch_is_the_dice_of_its_images() -> None:
    a, b = random_masks(0, 2, 3, 29, 8, 9)
    assert torch.equal(dice(a, b), torch.stack([dice(x, y) for x, y in zip(a, b, strict=True)]))


def test_dice_is_exact_where_float32_cannot_count() -> None:
    reference = torch.ones((1, 5000, 5000), dtype=torch.bool)
    prediction = reference.clone()
    prediction[0, 0, 0] = False
    n = 5000 * 5000
    assert dice(prediction, reference).item() == (2 * (n - 1) + EPS) / (2 * n - 1 + EPS)


def test_whatever_is_not_zero_is_inside() -> None:
    assert torch.equal(dice(row(1, 0, 1).to(torch.uint8) * 255, row(1, 1, 0)), dice(row(1, 0, 1), row(1, 1, 0)))


def test_probabilities_and_other_shapes_are_refused() -> None:
    with pytest.raises(TypeError, match="threshold"):
        dice(row(1, 0).float(), row(1, 0))
    with pytest.raises(ValueError, match="shape"):
        dice(row(1, 0), row(1, 0, 0))


def test_meaning_of_empty_masks_is_a_table() -> None:
    prediction = torch.cat([row(0, 0), row(1, 0), row(0, 0), row(1, 0)])
    reference = torch.cat([row(0, 0), row(0, 0), row(1, 0), row(1, 0)])
    scores = dice(prediction, reference, empty=EmptyMasks(both=math.nan, reference=-1, prediction=-2))
    assert math.isnan(scores[0])
    assert scores[1:].tolist() == [-1, -2, 1]


def test_overlap_zone_by_hand() -> None:
    # the first two bones of the reference share pixels 1 and 2; the third lies alone on pixel 4
    reference = torch.cat([row(1, 1, 1, 0, 0), row(0, 1, 1, 1, 0), row(0, 0, 0, 0, 1)])
    prediction = torch.cat([row(0, 1, 0, 1, 0), row(0, 1, 1, 0, 0), row(0, 1, 0, 0, 1)])
    scores = overlap_zone_dice(prediction, reference)
    assert scores[0].item() == (2 + EPS) / (3 + EPS)
    assert scores[1].item() == 1
    assert math.isnan(scores[2]), "a bone outside the zone is not scored, whatever is predicted there"


def test_overlap_zone_against_a_loop_over_pixels() -> None:
    prediction, reference = random_masks(3, 2, 5, 7, 6).numpy()
    zone = [(y, x) for y in range(7) for x in range(6) if sum(bone[y, x] for bone in reference) >= 2]
    ys, xs = zip(*zone, strict=True)
    expected = [naive_dice(a[ys, xs], b[ys, xs]) for a, b in zip(prediction, reference, strict=True)]
    assert overlap_zone_dice(torch.from_numpy(prediction), torch.from_numpy(reference)).tolist() == expected


def test_overlap_zone_of_separate_bones_is_not_scored() -> None:
    masks = torch.cat([row(1, 0), row(0, 1)])
    assert overlap_zone_dice(masks, masks).isnan().all()


def test_bone_dice_takes_images_of_different_sizes() -> None:
    sizes = ((8, 5), (6, 9))
    predictions = [MetaTensor(random_masks(n, 3, *size).to(torch.uint8)) for n, size in enumerate(sizes)]
    references = [random_masks(9 + n, 3, *size) for n, size in enumerate(sizes)]
    metric = BoneDice()
    metric(predictions, references)
    expected = torch.stack([dice(a, b) for a, b in zip(predictions, references, strict=True)])
    assert type(metric.get_buffer()) is torch.Tensor
    assert torch.equal(metric.aggregate("none"), expected)
    assert torch.equal(metric.aggregate("mean_batch"), expected.mean(dim=0))
    assert metric.aggregate().item() == pytest.approx(expected.mean().item(), abs=1e-15)


def test_bone_dice_equals_monai_where_no_mask_is_empty() -> None:
    a, b = random_masks(1, 2, 4, 6, 16, 16)
    monai, ours = DiceMetric(include_background=True), BoneDice(eps=0)
    monai(a.float(), b.float())
    ours(a, b)
    assert ours.aggregate().item() == pytest.approx(monai.aggregate().item(), abs=1e-6)


def test_mean_over_images_comes_before_mean_over_bones() -> None:
    metric = OverlapZoneDice()
    overlapping = torch.cat([row(1, 1), row(1, 1), row(0, 0)])
    missed_first = torch.cat([row(0, 0), row(1, 1), row(0, 0)])
    third_joins = torch.cat([row(0, 0), row(1, 1), row(1, 1)])
    metric([overlapping, missed_first, third_joins], [overlapping, overlapping, third_joins])
    missed = EPS / (2 + EPS)
    assert metric.aggregate("mean_batch").tolist() == pytest.approx([(1 + missed) / 2, 1, 1], abs=1e-12)
    assert metric.aggregate().item() == pytest.approx(((1 + missed) / 2 + 1 + 1) / 3, abs=1e-12)


def test_unknown_reduction_and_missing_reference_are_refused() -> None:
    metric = BoneDice()
    with pytest.raises(ValueError, match="reference"):
        metric(row(1)[None])
    metric([row(1)], [row(1)])
    with pytest.raises(ValueError, match="reduction"):
        metric.aggregate("median")


def test_runs_behind_an_ignite_handler() -> None:
    a, b = random_masks(5, 2, 2, 4, 8, 8)
    engine = Engine(lambda _, batch: batch)
    IgniteMetricHandler(metric_fn=BoneDice()).attach(engine, "mean_dice")
    engine.run([([a[0]], [b[0]]), ([a[1]], [b[1]])])
    assert engine.state.metrics["mean_dice"] == pytest.approx(dice(a, b).mean().item(), abs=1e-12)
    assert torch.equal(engine.state.metric_details["mean_dice"], dice(a, b))
