"""Epochs under sampling weights: how often each item comes, in what order, and what processes share."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import chain, cycle, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import RandShiftIntensity

from handseg_bundle_common.datasets.seeded import Draw, SeededBatchSampler, SeededDataset
from handseg_bundle_common.errors import HandsegInputError

SMALL = st.integers(1, 5)
WEIGHTS = st.lists(st.sampled_from([0.25, 0.3, 0.5, 1, 1.5, 2, 2.4]), max_size=12).map(lambda weights: [1, *weights])


def _weighted(weights, batch_size=2, **options):
    data = SeededDataset([{"sampling_weight": weight} for weight in weights], None)
    return SeededBatchSampler(data, batch_size, **options)


def _draws(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(chain(*sampler))


@given(items=st.integers(1, 30), batch_size=SMALL, epoch=st.integers(0, 100), seed=st.integers(0, 9), processes=SMALL)
def test_without_weights_an_epoch_is_a_permutation_of_numpy(items, batch_size, epoch, seed, processes):
    """To the last window: a change would give every training of a published recipe another order."""
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(1)[0])
    dealt = [Draw(epoch, int(index)) for index in order.permutation(items)]
    while processes > 1 and len(dealt) % (batch_size * processes):
        dealt.append(dealt[len(dealt) - items])
    batches = [dealt[start : start + batch_size] for start in range(0, len(dealt), batch_size)]
    data = SeededDataset([{"sampling_weight": 1}] * items, None)
    for dataset in (range(items), data):
        for rank in range(processes):
            sampler = SeededBatchSampler(dataset, batch_size, seed, num_replicas=processes, rank=rank)
            sampler.set_epoch(epoch)
            assert list(sampler) == batches[rank::processes]


@given(weights=WEIGHTS, batch_size=SMALL, processes=SMALL, epochs=st.integers(1, 30))
def test_items_come_as_often_as_their_weights_demand(weights, batch_size, processes, epochs):
    """To within one over any number of epochs, apart from the windows that fill the last batches up."""
    dealt = Counter()
    for rank in range(processes):
        sampler = _weighted(weights, batch_size, num_replicas=processes, rank=rank)
        dealt.update(draw for epoch in range(1, epochs + 1) for draw in _draws(sampler, epoch))
    counts = Counter(draw.index for draw in dealt)
    assert all(abs(counts[index] - weight * epochs) < 1 for index, weight in enumerate(weights))
    filled = sum(dealt.values()) - len(dealt)
    assert filled < epochs * (batch_size * processes + len(set(weights)))


@given(weights=WEIGHTS, batch_size=SMALL, processes=SMALL)
def test_weighted_epochs_have_the_same_number_of_batches(weights, batch_size, processes):
    """The schedule of the learning rate counts on it, and so do processes that wait for one another."""
    samplers = [_weighted(weights, batch_size, num_replicas=processes, rank=rank) for rank in range(processes)]
    for epoch in range(12):
        for sampler in samplers:
            sampler.set_epoch(epoch)
            batches = list(sampler)
            assert len(batches) == len(sampler) == len(samplers[0])
            assert all(len(batch) == batch_size for batch in (batches[:-1] if processes == 1 else batches))
            assert all(batches)


@given(weights=WEIGHTS, batch_size=SMALL, processes=st.integers(2, 5), epoch=st.integers(0, 20))
def test_processes_share_the_weighted_windows_of_one(weights, batch_size, processes, epoch):
    alone = list(dict.fromkeys(_draws(_weighted(weights, batch_size, num_replicas=1, rank=0), epoch)))
    ranks = [_weighted(weights, batch_size, num_replicas=processes, rank=rank) for rank in range(processes)]
    for sampler in ranks:
        sampler.set_epoch(epoch)
    dealt = list(chain(*chain(*zip(*ranks, strict=True))))
    assert dealt == list(islice(cycle(alone), len(dealt)))


def test_windows_of_one_item_in_an_epoch_differ():
    draws = _draws(_weighted([1, 3]), 1)
    assert sorted(draws, key=lambda draw: (draw.index, draw.repeat)) == [
        Draw(1, 0),
        *(Draw(1, 1, repeat) for repeat in range(3)),
    ]
    dataset = SeededDataset([np.zeros(1), np.zeros(1)], RandShiftIntensity(offsets=0.5, prob=1.0))
    assert len({dataset[draw].item() for draw in draws}) == 4
    assert dataset[Draw(1, 1, 0)] == dataset[Draw(1, 1)]


def test_weighted_items_are_shuffled_among_the_others():
    orders = {tuple(draw.index for draw in _draws(_weighted([1] * 6 + [3]), epoch)) for epoch in range(10)}
    assert len(orders) == 10
    assert len({order.index(6) for order in orders}) > 1
    assert [draw.index for draw in _draws(_weighted([1, 2, 1], shuffle=False), 5)] == [0, 1, 1, 2]


def test_weights_under_which_an_epoch_may_be_empty_are_refused():
    with pytest.raises(HandsegInputError, match="sampling_weight: epochs may have no window at all; give the images"):
        _weighted([0.5, 0.25])
    assert len(_weighted([0.5, 0.5])) == 1


def test_a_training_of_other_weights_is_not_continued():
    state = _weighted([1, 0.5, 0.5]).state_dict()
    _weighted([1, 0.5, 0.5]).load_state_dict(state)
    for weights in ([1, 0.5, 0.25], [1, 1, 1], [0.5, 1, 0.5]):
        with pytest.raises(HandsegInputError, match="data_digest"):
            _weighted(weights).load_state_dict(state)


def test_data_without_weights_keeps_its_digest():
    """Checkpoints of earlier trainings can be continued."""
    items = [{"image": f"/data/{patient}/1.png", "image_name": "1.png", "patient": patient} for patient in "ab"]
    expected = hashlib.sha256(json.dumps([["a", "1.png"], ["b", "1.png"]]).encode()).hexdigest()[:12]
    for weight in ({}, {"sampling_weight": 1.0}):
        dataset = SeededDataset([item | weight for item in items], None)
        assert SeededBatchSampler(dataset, 1).state_dict()["data_digest"] == expected
