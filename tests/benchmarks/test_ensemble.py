"""The ways of joining members that the benchmark compares."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES, SMALL_BONES
from handseg_bundle_common.ensemble import write_ensemble_bundle
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

NAMES = ("first", "second")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """An ensemble of two small networks with random weights, one of which is a specialist."""
    folder = tmp_path_factory.mktemp("bundle")
    torch.manual_seed(0)
    settings = {"image_size": 64, "decoder_channels": 16}
    for name in NAMES:
        save_weights(EffiSegNet(decoder_channels=16), folder / f"{name}.pt", settings=settings)
    roles = ("general", "small bones")
    members = [
        {"name": name, "bundle": "effisegnet", "weights": str(folder / f"{name}.pt"), "role": role}
        for name, role in zip(NAMES, roles, strict=True)
    ]
    selection = {
        "members": members,
        "combine": "probabilities",
        "bone_weights": {name: [0.5] * NUM_BONES for name in NAMES},
        "thresholds": dict.fromkeys(BONE_NAMES, 0.5),
        "calibration": {bone: [1.0, 0.0] for bone in BONE_NAMES},
    }
    return write_ensemble_bundle(selection, folder / "two")


def test_every_way_is_the_ensemble_that_its_name_tells(script, bundle):
    network = script.load(bundle)
    image = torch.rand((1, 1, 64, 64), generator=torch.Generator().manual_seed(1))
    expected = network(image)
    of_members = [torch.sigmoid(member(image, 64)) for member in network.members]
    torch.testing.assert_close(torch.sigmoid(expected), sum(of_members) / 2, atol=1e-5, rtol=0)
    ways = {way.name: way.network(image) for way in script.ways_of_joining(network, {"members": ["first"]}, bundle)}
    assert torch.equal(ways["all, mean probability"], expected)
    assert torch.equal(ways["selected: first, second"], expected)
    torch.testing.assert_close(torch.sigmoid(ways["`second` alone"]), of_members[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(ways["without the specialists, mean probability"], ways["`first` alone"])
    assert not torch.equal(ways["all, mean logit"], expected)


def test_members_answer_once_for_all_ways(script, bundle):
    network = script.load(bundle)
    calls = []
    for member in network.members:
        member.network.register_forward_hook(lambda *_: calls.append(1))
    answers = script.remember_answers(network)
    image = torch.rand((1, 1, 64, 64))
    for way in script.ways_of_joining(network, None, None):
        way.network(image)
    assert len(calls) == 2
    answers.clear()
    network(image)
    assert len(calls) == 4


def test_the_table_averages_as_the_competition_does(script):
    scores = np.full((1, 4, 3, NUM_BONES), 0.5)
    scores[0, :, 0, CHANNEL["Radius"]] = 0.5 + 0.29
    scores[0, :, 1, 1:] = np.nan
    ways = [script.Way("all", None)]
    (row,) = script.table(ways, scores, ["a", "a", "b", "b"]).splitlines()[2:]
    mean, small, zones, errors = [float(cell.split("(")[0]) for cell in row.strip("|").split("|")[1:]]
    assert mean == pytest.approx(0.51)
    assert "Radius" not in SMALL_BONES
    assert (small, zones, errors) == (0.5, 0.5, 0.5)
