"""Windows and their order depend on seed, epoch and image, and on nothing else."""

from __future__ import annotations

import pickle
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import DataLoader
from monai.transforms import Compose, OneOf, RandGaussianNoised, Randomizable, RandShiftIntensityd, Transform

from handseg_bundle_common.datasets import data_list
from handseg_bundle_common.datasets.seeded import Draw, SeededBatchSampler, SeededDataset, derive_seed
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.transforms import training_transforms

SIZES = st.integers(1, 30)
SMALL = st.integers(1, 5)


class DrawNumber(Randomizable, Transform):
    """Adds a random number to the item."""

    def __call__(self, number):
        return number + self.R.random_sample()


def _sampler(items=10, batch_size=2, seed=0, **options):
    return SeededBatchSampler(range(items), batch_size, seed, **options)


def _indices(sampler, epoch=1):
    sampler.set_epoch(epoch)
    return [[draw.index for draw in batch] for batch in sampler]


def test_streams_of_seeds_differ_and_repeat():
    seeds = [derive_seed(0, epoch, index) for epoch in range(40) for index in range(40)]
    assert len(set(seeds)) == 1600
    assert max(seeds) < 2**32
    assert seeds[41] == derive_seed(0, 1, 1)
    assert len({derive_seed(1), derive_seed(1, 0), derive_seed(1, 0, 0), derive_seed(0, 1)}) == 4


def test_a_negative_seed_is_refused():
    with pytest.raises(HandsegInputError, match="seed: -1 is negative"):
        derive_seed(-1)


@given(items=SIZES, batch_size=SMALL, epoch=st.integers(0, 100))
def test_an_epoch_has_every_image_once(items, batch_size, epoch):
    sampler = _sampler(items, batch_size)
    batches = _indices(sampler, epoch)
    assert sorted(chain(*batches)) == list(range(items))
    assert len(batches) == len(sampler)
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_the_order_depends_on_seed_and_epoch():
    first = _indices(_sampler(), 1)
    assert _indices(_sampler(), 1) == first
    assert _indices(_sampler(), 2) != first
    assert _indices(_sampler(seed=1), 1) != first
    assert list(chain(*_indices(_sampler(shuffle=False), 7))) == list(range(10))


def test_draws_carry_their_epoch():
    sampler = _sampler()
    sampler.set_epoch(3)
    assert {draw.epoch for batch in sampler for draw in batch} == {3}


@given(items=SIZES, batch_size=SMALL, processes=st.integers(2, 5))
def test_processes_share_the_batches_of_one(items, batch_size, processes):
    """Step by step, W processes see what one process sees in W accumulation steps."""
    alone = _indices(_sampler(items, batch_size, num_replicas=1, rank=0))
    ranks = [_indices(_sampler(items, batch_size, num_replicas=processes, rank=rank)) for rank in range(processes)]
    assert len({len(batches) for batches in ranks}) == 1
    assert all(len(batch) == batch_size for batch in chain(*ranks))
    dealt = list(chain(*zip(*ranks, strict=True)))
    order = list(chain(*alone))
    assert list(chain(*dealt))[:items] == order
    padding = list(chain(*dealt))[items:]
    assert len(padding) < batch_size * processes
    assert padding == [order[k % items] for k in range(len(padding))]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (_sampler(items=12), "images 10 instead of 12"),
        (_sampler(batch_size=5), "batch_size 2 instead of 5"),
        (_sampler(seed=4), "seed 0 instead of 4"),
        (_sampler(num_replicas=2, rank=1), "processes 1 instead of 2"),
    ],
    ids=["data", "batch size", "seed", "processes"],
)
def test_a_training_of_other_settings_is_not_continued(other, expected):
    with pytest.raises(HandsegInputError, match=expected):
        other.load_state_dict(_sampler().state_dict())


def _items(folder, patients="abc", **extra):
    return [{"image": f"{folder}/{name}/1.png", "image_name": "1.png", "patient": name, **extra} for name in patients]


def _state_of(items):
    return SeededBatchSampler(SeededDataset(items, None), 1).state_dict()


def test_as_many_images_of_other_patients_are_other_data():
    state = _state_of(_items("/data"))
    for patients in ("abd", "acb"):
        other = SeededBatchSampler(SeededDataset(_items("/data", patients), None), 1)
        expected = f"started with data_digest {state['data_digest']} instead of {other.data_digest};"
        with pytest.raises(HandsegInputError, match=expected):
            other.load_state_dict(state)


def test_data_may_move_and_gain_other_keys():
    assert _state_of(_items("/data")) == _state_of(_items("/elsewhere", label="/elsewhere/1.json"))
    assert _state_of([{"image": "/a/\u00e9.png"}]) == _state_of([{"image": "/b/e\u0301.png", "label": "/b/e.png"}])
    assert _state_of([{"image": "/a/1.png"}]) != _state_of([{"image": "/a/2.png"}])


@pytest.mark.parametrize(
    "items", [[0, 1], [{"image": torch.zeros(1)}, {}], np.zeros(2)], ids=["numbers", "images", "array"]
)
def test_items_without_names_count_only(items):
    assert _state_of(items)["images"] == 2


def test_the_epoch_is_taken_over():
    sampler, resumed = _sampler(), _sampler()
    sampler.set_epoch(5)
    resumed.load_state_dict(sampler.state_dict())
    assert list(resumed) == list(sampler)


def test_an_impossible_batch_size_is_refused():
    with pytest.raises(HandsegInputError, match="batch_size: 0 is no size"):
        _sampler(batch_size=0)


def test_an_item_depends_on_its_draw_alone():
    dataset = SeededDataset([0, 0, 0], DrawNumber(), seed=1)
    value = dataset[Draw(2, 1)]
    others = [dataset[Draw(2, 0)], dataset[Draw(1, 1)], dataset[1], SeededDataset([0, 0], DrawNumber(), 2)[Draw(2, 1)]]
    assert len({value, *others}) == 5
    dataset.transform.set_random_state(99)
    assert dataset[Draw(2, 1)] == value


def test_a_plain_number_means_epoch_0():
    dataset = SeededDataset([0, 0, 0], DrawNumber())
    assert dataset[2] == dataset[np.int64(2)] == dataset[-1] == dataset[Draw(0, 2)]
    assert list(dataset[:2]) == list(dataset[[0, 1]]) == [dataset[0], dataset[1]]
    with pytest.raises(IndexError):
        dataset[3]


def test_nested_transforms_are_reached():
    nested = Compose([DrawNumber(), Compose([DrawNumber(), OneOf([DrawNumber(), lambda number: number + 10])])])
    dataset = SeededDataset([0], nested)
    values = [dataset[Draw(epoch, 0)] for epoch in range(20)]
    dataset.transform.set_random_state(5)
    assert [dataset[Draw(epoch, 0)] for epoch in range(20)] == values
    assert len(set(values)) == 20


def test_transforms_of_one_item_draw_different_numbers():
    image = np.zeros((1, 64, 64), np.float32)
    twice = [RandGaussianNoised("image", prob=1.0), RandGaussianNoised("image", prob=1.0)]
    once = SeededDataset([{"image": image}], twice[:1])[0]["image"]
    both = SeededDataset([{"image": image}], twice)[0]["image"]
    assert abs(np.corrcoef(once.ravel(), (both - once).ravel())[0, 1]) < 0.1


@pytest.fixture
def windows(sample_data):
    """The training pipeline with every random transform switched on, because strength multiplies probabilities."""
    return SeededDataset(data_list(sample_data), training_transforms(48, strength=10.0, small_bone_prob=0.5), seed=3)


def test_every_random_transform_of_the_training_is_reached(windows):
    first = windows[Draw(1, 2)]
    windows.transform.set_random_state(11)
    torch.manual_seed(12)
    np.random.seed(13)  # noqa: NPY002
    again, other = windows[Draw(1, 2)], windows[Draw(2, 2)]
    for key in ("image", "label"):
        assert torch.equal(first[key], again[key])
        assert not torch.equal(first[key], other[key])


def test_a_pickled_dataset_gives_the_same_windows(windows):
    """What the start method `spawn` does to a dataset on its way to a worker."""
    assert torch.equal(pickle.loads(pickle.dumps(windows))[Draw(4, 1)]["image"], windows[Draw(4, 1)]["image"])  # noqa: S301


def _epochs(dataset, workers, processes=1, **options):
    """Return the windows of two epochs by (epoch, index), as loaders of several processes give them."""
    samplers = [SeededBatchSampler(dataset, 2, 3, num_replicas=processes, rank=rank) for rank in range(processes)]
    loaders = [DataLoader(dataset, batch_sampler=sampler, num_workers=workers, **options) for sampler in samplers]
    found = {}
    for epoch in (1, 2):
        for sampler, loader in zip(samplers, loaders, strict=True):
            sampler.set_epoch(epoch)
            draws = chain(*sampler)
            found |= {draw: image for batch in loader for draw, image in _next_draws(draws, batch["image"])}
    return found


def _next_draws(draws, images):
    """Pair the images of a batch with the next draws."""
    return [(next(draws), image) for image in images]


@pytest.mark.parametrize(
    ("workers", "processes", "options"),
    [
        (1, 1, {}),
        (2, 1, {"persistent_workers": True, "prefetch_factor": 3}),
        (1, 1, {"persistent_workers": True, "multiprocessing_context": "spawn"}),
        (0, 3, {}),
    ],
    ids=["one worker", "persistent prefetching workers", "one spawned worker", "three processes"],
)
def test_windows_do_not_depend_on_workers_and_processes(sample_data, workers, processes, options):
    noise = [training_transforms(16), RandShiftIntensityd("image", offsets=0.5, prob=1.0)]
    dataset = SeededDataset(data_list(sample_data)[:5], noise, seed=3)
    expected = _epochs(dataset, 0)
    found = _epochs(dataset, workers, processes, **options)
    assert set(found) == set(expected) == {Draw(epoch, index) for epoch in (1, 2) for index in range(5)}
    for draw, image in expected.items():
        assert torch.equal(found[draw], image), draw
