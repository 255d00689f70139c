"""Training hands that are simulated when they are asked for, with and without a folder that keeps them."""

from __future__ import annotations

import numpy as np
import pytest

from handseg_bundle_common.datasets.seeded import Draw, SeededBatchSampler, SeededDataset
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.simulation import SimulatedHands, SimulateHandd, simulated_items

SIZE = 96


def test_a_numbered_item_is_that_hand_of_the_set():
    items = simulated_items(4, ["dataset", "wild"], 5, numbered=True)
    for number, item in enumerate(items):
        hand = SimulateHandd(size=SIZE)(item)
        expected = SimulatedHands(4, SIZE, 5, preset=["dataset", "wild"][number // 2])[number]
        assert hand["image_name"] == item["image_name"] == expected["image_name"]
        assert hand["patient"] == item["patient"] == expected["patient"]
        assert np.array_equal(hand["image"], expected["image"])
        assert np.array_equal(hand["label"], expected["label"])


def test_other_items_are_new_hands_in_every_epoch_and_the_same_ones_for_the_same_seed():
    def names(seed, epoch):
        data = SeededDataset(simulated_items(4, ["dataset"], 5), SimulateHandd(size=64), seed)
        return [data[Draw(epoch, index)]["image_name"] for index in range(4)]

    assert names(0, 1) == names(0, 1)
    assert len({*names(0, 1), *names(0, 2), *names(1, 1)}) == 12


def test_every_preset_has_hands_of_both_sides():
    items = simulated_items(8, ["dataset", "wild"], 5, numbered=True)
    sides = {(item["hand"]["preset"], item["image_name"][-5]) for item in items}
    assert sides == {("dataset", "L"), ("dataset", "R"), ("wild", "L"), ("wild", "R")}


def test_a_pool_bounds_what_is_drawn():
    transform = SimulateHandd(size=SIZE, pool=3).set_random_state(0)
    assert {transform.draw() for _ in range(40)} == {0, 1, 2}


def test_a_kept_hand_is_the_one_that_was_simulated(tmp_path, monkeypatch):
    item = simulated_items(1, ["wild"], 6, numbered=True)[0]
    plain = SimulateHandd(size=SIZE)(item)
    first = SimulateHandd(size=SIZE, cache_dir=tmp_path)(item)
    monkeypatch.setattr("handseg_bundle_common.simulation.on_the_fly._simulate", None)  # it must not be asked again
    second = SimulateHandd(size=SIZE, cache_dir=tmp_path)(item)
    for kept in (first, second):
        assert np.array_equal(kept["label"], plain["label"])
        np.testing.assert_allclose(kept["image"], plain["image"], atol=0.5 / 65535 + 1e-7)
    assert np.array_equal(first["image"], second["image"])
    assert first["image"].dtype == second["image"].dtype == np.float32
    assert first["label"].dtype == second["label"].dtype == np.int32


def test_a_damaged_file_is_simulated_anew(tmp_path):
    item = simulated_items(1, ["dataset"], 6, numbered=True)[0]
    transform = SimulateHandd(size=SIZE, cache_dir=tmp_path)
    expected = transform(item)
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:50])
    found = transform(item)
    assert np.array_equal(found["image"], expected["image"])
    assert np.array_equal(found["label"], expected["label"])


def test_samplers_know_the_items_without_simulating_one():
    items = simulated_items(5, ["dataset"], 5)
    sampler = SeededBatchSampler(SeededDataset(items, SimulateHandd(size=SIZE)), 2)
    assert len(sampler) == 3


@pytest.mark.parametrize(
    ("call", "source"),
    [
        (lambda: simulated_items(0, ["dataset"], 1), "simulated_items"),
        (lambda: simulated_items(3, [], 1), "simulated_items"),
        (lambda: simulated_items(3, "wild", 1), "simulated_items"),
        (lambda: simulated_items(3, ["tame"], 1), "tame"),
        (lambda: SimulateHandd(size=SIZE, pool=0), "pool"),
        (lambda: SimulateHandd(size=4)(simulated_items(1, ["dataset"], 1)[0]), "size"),
    ],
)
def test_what_cannot_be_simulated_is_refused(call, source):
    with pytest.raises(HandsegInputError, match=source):
        call()
