"""The ways of joining members that the benchmark compares."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, NUM_BONES, SMALL_BONES
from handseg_bundle_common.ensemble import write_ensemble_bundle
from handseg_bundle_common.ensemble.carpal import Crop
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.networks import EffiSegNet
from handseg_bundle_common.weights import save_weights

NAMES = ("first", "second")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of two small networks, by name."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    files = {name: folder / f"{name}.pt" for name in NAMES}
    for file in files.values():
        network = EffiSegNet(decoder_channels=16)
        network.head.weight.data *= 1e4  # as it comes, everything is almost as probable as not
        save_weights(network, file, settings={"image_size": 64, "decoder_channels": 16})
    return files


def write_bundle(folder, weights, **settings):
    """Write an ensemble bundle of the two networks, the second of which is a specialist."""
    roles = ("general", "small bones")
    members = [
        {"name": name, "bundle": "effisegnet", "weights": str(file), "role": role}
        for (name, file), role in zip(weights.items(), roles, strict=True)
    ]
    selection = {
        "members": members,
        "combine": "probabilities",
        "bone_weights": {name: [0.5] * NUM_BONES for name in NAMES},
        "thresholds": dict.fromkeys(BONE_NAMES, 0.5),
        "calibration": {bone: [1.0, 0.0] for bone in BONE_NAMES},
    }
    write_ensemble_bundle(selection, folder)
    for path in (folder / "configs").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, weights):
    return write_bundle(tmp_path_factory.mktemp("bundle") / "two", weights)


@pytest.fixture
def image():
    return torch.rand((1, 1, 64, 64), generator=torch.Generator().manual_seed(1))


def answers_of(ways, image):
    """Return what every way says, by its name."""
    return {way.name: way.network(image) for way in ways}


def test_every_way_is_the_ensemble_that_its_name_tells(script, bundle, image):
    network = script.load(bundle)
    expected = network(image)
    of_members = [torch.sigmoid(member(image, 64)) for member in network.members]
    torch.testing.assert_close(torch.sigmoid(expected), sum(of_members) / 2, atol=1e-5, rtol=0)
    ways = answers_of(script.ways_of_joining(network, None, bundle), image)
    assert torch.equal(ways["all, mean probability"], expected)
    assert torch.equal(ways["selected: first, second"], expected)
    torch.testing.assert_close(torch.sigmoid(ways["`second` alone"]), of_members[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(ways["without the specialists, mean probability"], ways["`first` alone"])
    assert not torch.equal(ways["all, mean logit"], expected)


def test_rows_of_a_mirroring_ensemble_remember_both_images(script, tmp_path, weights, image):
    network = script.load(write_bundle(tmp_path / "flipping", weights, flip=True))
    expected = network(image)
    ways = list(script.ways_of_joining(network, None, None))
    script.remember_answers(network)
    found = answers_of(ways, image)
    assert torch.equal(found["all, mean probability"], expected)
    first = network.members[0]
    both = [torch.sigmoid(first(image, 64)), torch.sigmoid(first(image.flip(-1), 64)).flip(-1)]
    torch.testing.assert_close(torch.sigmoid(found["`first` alone"]), sum(both) / 2, atol=1e-5, rtol=0)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


def test_votes_of_the_ensemble_do_not_reach_other_rows(script, tmp_path, weights, image):
    """One of two votes is enough there; of a row's own votes, more than half are."""
    network = script.load(write_bundle(tmp_path / "voting", weights, combine="votes", votes=1))
    found = answers_of(script.ways_of_joining(network, None, tmp_path / "voting"), image)
    logits = torch.stack([member(image, 64) for member in network.members])
    torch.testing.assert_close(found["`second` alone"], logits[1], atol=1e-3, rtol=1e-4)
    decided = {name: answer > 0 for name, answer in found.items()}
    assert torch.equal(decided["all, majority of votes"], (logits > 0).all(0))
    assert torch.equal(decided["selected: first, second"], (logits > 0).any(0))
    assert not torch.equal(decided["all, majority of votes"], decided["selected: first, second"])


def test_one_row_alone_looks_at_the_carpals_again(script, tmp_path, weights, image, monkeypatch):
    """Random weights find no carpals, so that the test says where they are."""
    crop = Crop(top=20, left=10, side=30, ramp=5)
    monkeypatch.setattr("handseg_bundle_common.ensemble.network.carpal_crop", lambda *_: crop)
    stage = {"members": ["first"], "strength": 1.0}
    plain = script.load(write_bundle(tmp_path / "plain", weights))
    looking = script.load(write_bundle(tmp_path / "looking", weights, carpal_stage=stage))
    found = answers_of(script.ways_of_joining(looking, stage, tmp_path / "looking"), image)
    again = found["all, mean probability, second look at the carpals"]
    assert torch.equal(again, looking(image))
    assert torch.equal(found["selected: first, second"], again)
    assert torch.equal(found["all, mean probability"], plain(image))
    changed = (again != plain(image))[0].any(dim=0).nonzero()
    assert changed.min(0).values.tolist() == [20, 10]
    assert changed.max(0).values.tolist() == [49, 39]


def test_a_selection_of_other_weights_or_windows_is_refused(script, bundle, tmp_path, weights):
    network = script.load(bundle)
    swapped = write_bundle(tmp_path / "swapped", dict(zip(NAMES, reversed(weights.values()), strict=True)))
    with pytest.raises(HandsegInputError, match=f"^{swapped}: has first with other weights or windows"):
        list(script.ways_of_joining(network, None, swapped))
    members = [
        {"name": name, "bundle": "effisegnet", "weights": str(file), "windows": {"overlap": 0.5}}
        for name, file in weights.items()
    ]
    other = write_bundle(tmp_path / "windowed", weights, members=members)
    with pytest.raises(HandsegInputError, match="has first with other weights or windows"):
        list(script.ways_of_joining(network, None, other))


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


def test_a_process_that_cannot_weigh_says_why(script, bundle, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(SystemExit, match="first: no room"):
        script.memory_table(bundle)


def test_the_ensemble_is_weighed_against_its_largest_member(script, bundle, monkeypatch):
    peaks = {"first": script.Peak(2.0, 1.0), "second": script.Peak(1.0, 0.5), "all members": script.Peak(2.5, 1.5)}
    monkeypatch.setattr(script, "memory", lambda _, name="all members": peaks[name])
    assert script.memory_table(bundle).splitlines()[2:] == [
        "| first | 2.00 | 1.00 |",
        "| second | 1.00 | 0.50 |",
        "| all members | 2.50 | 1.50 |",
        "| ratio to the largest | 1.25 | 1.50 |",
    ]


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
