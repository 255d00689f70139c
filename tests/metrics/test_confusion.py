"""The confusion matrix against cases worked out by hand, sets of labels pixel by pixel, and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.masks import pack_masks, unpack_masks
from handseg_bundle_common.metrics import CONFUSION_LABELS, MultiLabelConfusion, multi_label_confusion

PISIFORM, TRIQUETRUM, HAMATE = CHANNEL["Pisiform"], CHANNEL["Triquetrum"], CHANNEL["Hamate"]
BACKGROUND = len(CONFUSION_LABELS) - 1
P, T, H = (1 << bone for bone in (PISIFORM, TRIQUETRUM, HAMATE))

SETS = st.sets(st.sampled_from([0, TRIQUETRUM, PISIFORM, 28])).map(lambda bones: sum(1 << bone for bone in bones))
PAIRS = st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.uint32, shape, elements=SETS)
)


def pixels(*sets: int) -> np.ndarray:
    """A packed picture that is one pixel high."""
    return np.array([sets], np.uint32)


def entries(matrix: np.ndarray) -> dict[tuple[int, int], int]:
    """What is not 0, by row and column."""
    return {(row, column): int(matrix[row, column]) for row, column in np.argwhere(matrix).tolist()}


def bones_of(packed: int) -> set[int]:
    return {bone for bone in range(NUM_BONES) if packed >> bone & 1}


def naive_counts(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Pixel by pixel, the cases that the paper distinguishes one after the other."""
    counts = np.zeros((NUM_BONES + 1, NUM_BONES + 1), np.int64)
    for predicted, expected in zip(
        map(bones_of, prediction.ravel().tolist()), map(bones_of, reference.ravel().tolist()), strict=True
    ):
        missed, surplus = expected - predicted, predicted - expected
        for bone in predicted & expected:
            counts[bone, bone] += 1
        if missed:
            pairs = [(bone, other) for bone in missed for other in surplus or {BACKGROUND}]
        elif expected:
            pairs = [(bone, other) for bone in expected for other in surplus]
        else:
            pairs = [(BACKGROUND, other) for other in surplus or {BACKGROUND}]
        for pair in pairs:
            counts[pair] += 1
    return counts


@pytest.mark.parametrize(
    ("expected", "predicted", "counted"),
    [
        pytest.param(T, T, {(TRIQUETRUM, TRIQUETRUM): 1}, id="right"),
        pytest.param(
            P | T, P | T, {(PISIFORM, PISIFORM): 1, (TRIQUETRUM, TRIQUETRUM): 1}, id="a right double label is no error"
        ),
        pytest.param(T, P, {(TRIQUETRUM, PISIFORM): 1}, id="one bone for the other"),
        pytest.param(T, 0, {(TRIQUETRUM, BACKGROUND): 1}, id="missed"),
        pytest.param(0, P, {(BACKGROUND, PISIFORM): 1}, id="a bone where none is"),
        pytest.param(0, 0, {(BACKGROUND, BACKGROUND): 1}, id="background"),
        pytest.param(
            T, P | T, {(TRIQUETRUM, TRIQUETRUM): 1, (TRIQUETRUM, PISIFORM): 1}, id="a bone falsely over another"
        ),
        pytest.param(
            P | T, T, {(TRIQUETRUM, TRIQUETRUM): 1, (PISIFORM, BACKGROUND): 1}, id="one bone of an overlap missed"
        ),
        pytest.param(
            P | T,
            H | T,
            {(TRIQUETRUM, TRIQUETRUM): 1, (PISIFORM, HAMATE): 1},
            id="the missed bone is taken for the surplus one, the right one is not",
        ),
        pytest.param(
            P | T, H, {(PISIFORM, HAMATE): 1, (TRIQUETRUM, HAMATE): 1}, id="both bones of an overlap for a third"
        ),
        pytest.param(T, P | H, {(TRIQUETRUM, PISIFORM): 1, (TRIQUETRUM, HAMATE): 1}, id="two bones in place of one"),
        pytest.param(
            P | T,
            P | T | H,
            {
                (PISIFORM, PISIFORM): 1,
                (TRIQUETRUM, TRIQUETRUM): 1,
                (PISIFORM, HAMATE): 1,
                (TRIQUETRUM, HAMATE): 1,
            },
            id="a bone falsely over an overlap",
        ),
    ],
)
def test_one_pixel(expected: int, predicted: int, counted: dict[tuple[int, int], int]) -> None:
    assert entries(multi_label_confusion(pixels(predicted), pixels(expected)).counts) == counted


@given(pair=PAIRS)
def test_counts_are_those_of_every_pixel(pair: np.ndarray) -> None:
    found = multi_label_confusion(*pair)
    assert found.counts.dtype == np.int64
    assert np.array_equal(found.counts, naive_counts(*pair))


@given(pair=PAIRS)
def test_the_diagonal_has_the_true_positives_of_every_bone(pair: np.ndarray) -> None:
    prediction, reference = (unpack_masks(packed).reshape(NUM_BONES, -1).T for packed in pair)
    of_bones = multilabel_confusion_matrix(reference, prediction)
    found = multi_label_confusion(*pair)
    assert np.array_equal(found.counts.diagonal()[:-1], of_bones[:, 1, 1])
    assert np.array_equal(found.pixels[:-1], of_bones[:, 1].sum(1))


def test_bones_that_nowhere_overlap_have_the_usual_matrix() -> None:
    labels = np.random.default_rng(0).integers(NUM_BONES + 1, size=(2, 40, 50))
    prediction, reference = np.where(labels == BACKGROUND, 0, 1 << labels).astype(np.uint32)
    usual = confusion_matrix(labels[1].ravel(), labels[0].ravel())
    found = multi_label_confusion(prediction, reference)
    assert np.array_equal(found.counts, usual)
    np.testing.assert_allclose(found.rates(), usual / usual.sum(1, keepdims=True))


def test_rates_are_shares_of_the_labels_pixels() -> None:
    """Of four pixels of the triquetrum three are found, one is missed, and on two lies a false pisiform besides."""
    found = multi_label_confusion(pixels(T, T | P, T | P, 0, 0), pixels(T, T, T, T, 0))
    rates = found.rates()
    assert entries(found.counts) == {
        (TRIQUETRUM, TRIQUETRUM): 3,
        (TRIQUETRUM, PISIFORM): 2,
        (TRIQUETRUM, BACKGROUND): 1,
        (BACKGROUND, BACKGROUND): 1,
    }
    assert rates[TRIQUETRUM, [TRIQUETRUM, PISIFORM, BACKGROUND]].tolist() == [0.75, 0.5, 0.25]
    assert rates[BACKGROUND, BACKGROUND] == 1
    assert np.isnan(rates[PISIFORM]).all(), "nothing is a share of a bone that is not there"


def test_images_are_added() -> None:
    first, second = (pixels(T, P), pixels(T, T)), (pixels(0, P | T), pixels(H, P | T))
    together = multi_label_confusion(*first) + multi_label_confusion(*second)
    at_once = multi_label_confusion(*(np.concatenate(pair, axis=1) for pair in zip(first, second, strict=True)))
    assert np.array_equal(together.counts, at_once.counts)
    assert np.array_equal(together.pixels, at_once.pixels)
    assert together.pixels[[TRIQUETRUM, PISIFORM, HAMATE, BACKGROUND]].tolist() == [3, 1, 1, 0]


def hands() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Predictions and references of two images that differ in size."""
    rng = np.random.default_rng(1)
    pairs = [torch.from_numpy(rng.random((2, NUM_BONES, 8, width)) < 0.1) for width in (9, 11)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


@pytest.mark.parametrize("as_rates", [False, True])
def test_the_cumulative_form_adds_images(as_rates: bool) -> None:
    predictions, references = hands()
    metric = MultiLabelConfusion(as_rates=as_rates)
    metric(predictions[:1], references[:1])
    metric(predictions[1:], references[1:])
    pairs = list(zip(predictions, references, strict=True))
    expected = sum(naive_counts(*(pack_masks(masks.numpy()) for masks in pair)) for pair in pairs)
    if as_rates:
        images = [masks.numpy().reshape(NUM_BONES, -1) for masks in references]
        sizes = sum(np.append(masks.sum(1), (~masks.any(0)).sum()) for masks in images)
        expected = expected / sizes[:, None]
    np.testing.assert_allclose(metric.aggregate(), expected, rtol=1e-15)


def test_the_cumulative_form_needs_a_reference() -> None:
    with pytest.raises(ValueError, match="reference"):
        MultiLabelConfusion()(hands()[0])


def test_runs_behind_an_ignite_handler() -> None:
    predictions, references = hands()
    engine = Engine(lambda _, batch: batch)
    IgniteMetricHandler(metric_fn=MultiLabelConfusion()).attach(engine, "confusion")
    engine.run([([a], [b]) for a, b in zip(predictions, references, strict=True)])
    counts, of_images = engine.state.metrics["confusion"], engine.state.metric_details["confusion"][0]
    assert torch.equal(counts, of_images.sum(0))
    assert np.array_equal(of_images[1], multi_label_confusion(predictions[1], references[1]).counts)
