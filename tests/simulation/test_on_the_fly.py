"""Training hands that are simulated when they are asked for, with and without a folder that keeps them."""

from __future__ import annotations

import subprocess
import sys

import cv2
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
        np.testing.assert_allclose(hand["image"], expected["image"], atol=0.5 / 65535 + 1e-7)
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
    first = SimulateHandd(size=SIZE, pool=9, cache_dir=tmp_path)(item)
    monkeypatch.setattr("handseg_bundle_common.simulation.on_the_fly._simulate", None)  # it must not be asked again
    second = SimulateHandd(size=SIZE, pool=9, cache_dir=tmp_path)(item)
    for kept in (first, second):
        assert np.array_equal(kept["label"], plain["label"])
        assert np.array_equal(kept["image"], plain["image"])
        assert kept["image"].dtype == np.float32
        assert kept["label"].dtype == np.int32


DAMAGE = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:50]),
    "empty": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
    "of eight bits": lambda file: cv2.imwrite(str(file), np.zeros((SIZE, SIZE), np.uint8)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("suffix", [".png", ".masks.png"])
def test_a_damaged_file_is_simulated_anew(tmp_path, damage, suffix):
    item = simulated_items(1, ["dataset"], 6, numbered=True)[0]
    transform = SimulateHandd(size=SIZE, pool=9, cache_dir=tmp_path)
    expected = transform(item)
    (file,) = tmp_path.rglob(f"*-0{suffix}")
    damage(file)
    found = transform(item)
    assert np.array_equal(found["image"], expected["image"])
    assert np.array_equal(found["label"], expected["label"])


def test_samplers_know_the_items_without_simulating_one():
    items = simulated_items(5, ["dataset"], 5)
    sampler = SeededBatchSampler(SeededDataset(items, SimulateHandd(size=SIZE)), 2)
    assert len(sampler) == 3


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda _: simulated_items(0, ["dataset"], 1), "count: 0 hands are none"),
        (
            lambda _: simulated_items(3, ["wild"], 1, apart_from=1),
            "validation_seed: 1 is that of the hands to train on",
        ),
        (lambda _: simulated_items(3, [], 1), "presets: .* is no list of presets"),
        (lambda _: simulated_items(3, "wild", 1), "presets: 'wild' is no list of presets"),
        (lambda _: simulated_items(3, ["tame"], 1), "tame"),
        (lambda _: simulated_items(3, ["wild"], -1), "seed: -1 is negative"),
        (lambda _: simulated_items(3, ["wild"], 9002), "seed: 9002 is one of the benchmarks'"),
        (lambda _: SimulateHandd(size=SIZE, pool=0), "pool: 0 hands"),
        (lambda _: SimulateHandd(size=4), "size: 4 px is out of range"),
        (lambda _: SimulateHandd("image", size=SIZE), "keys"),
        (lambda folder: SimulateHandd(size=SIZE, cache_dir=folder), "hand_cache: would keep every hand"),
        (lambda folder: SimulateHandd(size=SIZE, pool=3, cache_dir=folder / "file" / "x"), "cannot be"),
        (lambda _: SimulateHandd(size=SIZE)({"image": "a.png"}), "a.png: is a file among hands to simulate"),
    ],
)
def test_what_cannot_be_simulated_is_refused_at_once(call, problem, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HandsegInputError, match=problem):
        call(tmp_path)


def test_a_missing_library_is_named_with_what_to_install():
    code = """
import sys
sys.modules["numba"] = None
from monai.bundle import ConfigParser
from handseg_bundle_common.errors import input_error_message
target = "handseg_bundle_common.simulation.SimulateHandd"
try:
    ConfigParser({"hands": {"_target_": target, "size": 64}}).get_parsed_content("hands")
except Exception as error:
    print(input_error_message(error))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout == 'numba: is not installed; pip install "handseg[simulate]".\n'
