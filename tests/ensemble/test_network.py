"""The ensemble against its definition, written out in NumPy."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from handseg_bundle_common.anatomy import CHANNEL, NUM_BONES
from handseg_bundle_common.ensemble import EnsembleNetwork, load_ensemble, save_fusion
from handseg_bundle_common.ensemble.carpal import carpal_crop
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.masks import unpack_masks


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def logit(values):
    return np.log(values) - np.log1p(-values)


@pytest.fixture
def members(toy_member):
    """Three members of one size, whose logits are straight lines over the grey value."""
    return [toy_member("a", 4.0, -1.0), toy_member("b", -3.0, 2.0), toy_member("c", 9.0, -7.0, role="small bones")]


@pytest.fixture
def lines(image):
    """What the three members of `members` say, (3, 32, 32)."""
    grey = image[0, 0].double().numpy()
    return np.stack([4 * grey - 1, -3 * grey + 2, 9 * grey - 7])


def ensemble(members, **settings):
    return load_ensemble(EnsembleNetwork(members, 32, **settings)).eval()


def set_fusion(network, weights=None, thresholds=None, calibration=None):
    own = network.fusion
    given = {"weights": weights, "thresholds": thresholds, "calibration": calibration}
    own.set(**{name: getattr(own, name).clone() if new is None else new for name, new in given.items()})


def random_weights(count):
    weights = torch.rand((count, NUM_BONES), generator=torch.Generator().manual_seed(3))
    return weights / weights.sum(0)


def test_it_averages_probabilities_bone_by_bone(members, lines, image):
    network, weights = ensemble(members), random_weights(3)
    set_fusion(network, weights)
    mean = np.einsum("mk,mhw->khw", weights.numpy(), sigmoid(lines))
    np.testing.assert_allclose(network(image)[0], logit(mean), atol=1e-4)


def test_it_averages_logits_on_request(members, lines, image):
    network, weights = ensemble(members, combine="logits"), random_weights(3)
    set_fusion(network, weights)
    mean = np.einsum("mk,mhw->khw", weights.numpy(), lines)
    np.testing.assert_allclose(network(image)[0], mean, atol=1e-4)


@pytest.mark.parametrize("votes", [1, 2, 3])
def test_it_counts_votes_on_request(members, lines, image, votes):
    decided = ensemble(members, combine="votes", votes=votes)(image)[0] > 0
    expected = (lines > 0).sum(0) >= votes
    assert np.array_equal(decided.numpy(), np.broadcast_to(expected, decided.shape))


def test_every_bone_may_need_another_number_of_votes(members, lines, image):
    decided = ensemble(members, combine="votes", votes={"Pisiform": 1, "Radius": 3})(image)[0].numpy() > 0
    count = (lines > 0).sum(0)
    assert np.array_equal(decided[CHANNEL["Pisiform"]], count >= 1)
    assert np.array_equal(decided[CHANNEL["Radius"]], count >= 3)
    assert np.array_equal(decided[CHANNEL["Ulna"]], count >= 2)  # a majority


def test_votes_without_a_number_are_shares_above_the_threshold(members, lines, image):
    network = ensemble(members, combine="votes")
    assert np.array_equal(network(image)[0, 5].numpy() > 0, (lines > 0).sum(0) > 1.5)


def test_a_draw_is_no_majority(toy_member, image):
    """Ten tenths of float32 do not add up to five, but to a little more."""
    members = [toy_member(f"m{n}", 0.0, 1.0 if n % 2 else -1.0) for n in range(10)]
    assert not (ensemble(members, combine="votes")(image) > 0).any()


def test_zero_is_the_decision_at_any_threshold(members, lines, image):
    network = ensemble(members)
    thresholds = torch.linspace(0.2, 0.8, NUM_BONES)
    set_fusion(network, thresholds=thresholds)
    mean = sigmoid(lines).mean(0)
    expected = mean > thresholds.double().numpy()[:, None, None]
    near = np.abs(mean - thresholds.numpy()[:, None, None]) < 1e-5
    decided = network(image)[0].numpy() > 0
    assert (expected.any(), expected.all()) == (True, False)
    assert np.array_equal(decided[~near], expected[~near])


def test_logits_stay_finite_where_all_members_are_certain(toy_member, image):
    network = ensemble([toy_member("sure", 0.0, 200.0), toy_member("too", 0.0, 300.0)])
    logits = network(image)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, torch.full_like(logits, 13.8155), atol=0.1, rtol=0)


def test_calibrated_probabilities_come_from_the_mean_before_the_threshold(members, lines, image):
    network = ensemble(members)
    calibration = torch.stack([torch.linspace(0.5, 2, NUM_BONES), torch.linspace(-1, 1, NUM_BONES)], dim=1)
    set_fusion(network, thresholds=torch.linspace(0.3, 0.6, NUM_BONES), calibration=calibration)
    scale, offset = calibration.double().numpy().T[..., None, None]
    expected = sigmoid(scale * logit(sigmoid(lines).mean(0)) + offset)
    np.testing.assert_allclose(network.probabilities(network(image))[0], expected, atol=1e-5)


def test_members_of_other_sizes_meet_on_the_canvas(toy_member):
    """Grey values that rise evenly keep their place through any resampling, but for the border."""
    ramp = torch.linspace(0, 1, 32).repeat(32, 1)[None, None]
    network = ensemble([toy_member("half", 6.0, -3.0, 16), toy_member("double", 6.0, -3.0, 64)])
    expected = 6 * ramp - 3
    assert (network(ramp) - expected)[..., 2:-2].abs().max() < 0.02


class _SeesSides(torch.nn.Module):
    """A network that finds every bone in the left half of what it sees, and remembers what that was."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image):
        self.seen.append(image)
        columns = torch.arange(image.shape[-1]).expand(len(image), NUM_BONES, *image.shape[-2:])
        return torch.where(columns < image.shape[-1] // 2, 2.0, -2.0)


def with_network(network, own):
    """Put a network into an ensemble of one member."""
    network.members[0].network = own
    return network


def test_mirror_images_are_seen_and_turned_back(toy_member, image):
    network = with_network(ensemble([toy_member("a")], flip=True), _SeesSides())
    logits = network(image)
    plain, mirrored = network.members[0].network.seen
    assert torch.equal(mirrored, plain.flip(-1))
    # Each pass finds another half, so that their mean is undecided everywhere.
    torch.testing.assert_close(logits, torch.zeros_like(logits), atol=1e-5, rtol=0)
    left, right = network.votes_of_passes
    assert (left[..., :16] != 0).all()
    assert (right[..., 16:] != 0).all()
    assert (left & right == 0).all()


def test_it_tells_what_every_member_would_have_decided(members, lines, image):
    network = ensemble(members)
    network(image)
    assert len(network.votes_of_passes) == 3
    for votes, line in zip(network.votes_of_passes, lines, strict=True):
        masks = unpack_masks(votes[0].numpy().astype(np.uint32))
        assert np.array_equal(masks, np.broadcast_to(line > 0, masks.shape))


def test_votes_on_large_images_are_thinned_out(toy_member):
    network = ensemble([toy_member("a", 4.0, -2.0, 32)])
    ramp = torch.linspace(0, 1, 2100).repeat(3, 1)[None, None]
    network(ramp)
    (votes,) = network.votes_of_passes
    assert votes.shape == (1, 1, 700)
    expected = (4 * ramp[0, 0, ::3, ::3] - 2 > 0).int()
    assert (((votes[0] & 1) != expected).sum()) <= 2  # the member has seen the ramp at its own size


def test_images_of_a_batch_do_not_mix(members):
    network = ensemble(members)
    batch = torch.rand((3, 1, 32, 24), generator=torch.Generator().manual_seed(5))
    together = network(batch)
    for number in range(3):
        torch.testing.assert_close(together[number : number + 1], network(batch[number : number + 1]))


def test_the_second_pass_changes_carpals_inside_its_crop_alone(toy_member):
    """The picture shows one bright square, which all bones share."""
    image = torch.zeros((1, 1, 64, 64))
    image[..., 24:40, 24:40] = 1
    members = [toy_member("a", 8.0, -4.0, 64), toy_member("b", 3.0, 0.5, 64)]
    plain = load_ensemble(EnsembleNetwork(members, 64))(image)
    stage = {"members": ["b"], "bones": ["Pisiform"], "magnification": 1.0, "margin": 0.25, "strength": 1.0}
    again = load_ensemble(EnsembleNetwork(members, 64, carpal_stage=stage))(image)
    pisiform = CHANNEL["Pisiform"]
    others = [channel for channel in range(NUM_BONES) if channel != pisiform]
    assert torch.equal(again[:, others], plain[:, others])
    assert torch.equal(again[..., :19, :], plain[..., :19, :])
    # In the middle, member b alone speaks.
    torch.testing.assert_close(again[0, pisiform, 26:38, 26:38], torch.full((12, 12), 3.5), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("member_size", "magnification"), [(64, 1.0), (128, 1.5), (32, 2.0)])
def test_the_second_pass_sees_the_crop_enlarged(toy_member, member_size, magnification):
    """The bones lie in a corner, so that the crop reaches beyond the picture."""
    image = torch.zeros((1, 1, 64, 64))
    image[..., 2:22, 4:20] = 1
    stage = {"members": ["a"], "magnification": magnification, "margin": 0.2}
    network = load_ensemble(EnsembleNetwork([toy_member("a", 8.0, -4.0, 64)], 64, carpal_stage=stage))
    first = network.members[0]
    seen = []
    original = first.network.forward
    first.network.forward = lambda part: seen.append(part) or original(part)
    network(image)
    first.image_size = member_size  # of the second pass alone: the first has decided where to look
    part = seen[-1]
    crop = carpal_crop((image * 8 - 4 > 0).expand(1, NUM_BONES, 64, 64)[0], 0.2)
    assert (crop.top, crop.left, crop.side) == (-2, -2, 28)
    seen.clear()
    first.magnified(crop.cut(image), 64, magnification)
    side = round(28 * magnification * member_size / 64)
    assert seen[0].shape[-2:] == (side, side)
    assert part.shape[-1] == round(28 * magnification)
    # The bright rectangle keeps its share of the crop, 20 of 28 rows and 16 of 28 columns, 4 and 6 px from the border.
    bright = seen[0][0, 0] > 0.5
    rows, columns = bright.any(1).nonzero(), bright.any(0).nonzero()
    scale = side / 28
    assert abs(rows[0].item() - 4 * scale) <= 1
    assert abs(rows[-1].item() + 1 - 24 * scale) <= 1
    assert abs(columns[0].item() - 6 * scale) <= 1
    assert abs(columns[-1].item() + 1 - 22 * scale) <= 1


@pytest.mark.parametrize("channels", [30, 28, 3])
def test_a_member_of_another_number_of_channels_is_named(members, toy_member, image, channels):
    network = ensemble([*members, toy_member("strange", channels=channels)])
    with pytest.raises(HandsegInputError, match=f"^strange: answers with {channels} channels instead of 29"):
        network(image)


def test_those_left_out_do_not_count_for_the_majority(members, lines, image):
    more = [members[0] | {"name": f"absent{n}", "weights": "absent.pt"} for n in range(2)]
    network = EnsembleNetwork([*members, *more], 32, combine="votes", votes={"Pisiform": 1})
    load_ensemble(network, missing_members="leave_out")
    decided = network(image)[0].numpy() > 0
    assert np.array_equal(decided[CHANNEL["Ulna"]], (lines > 0).sum(0) >= 2)


def test_more_votes_than_members_left_are_refused(members):
    Path(members[1]["bundle"], "model.pt").unlink()
    with pytest.raises(HandsegInputError, match="3 of 2 is not possible"):
        load_ensemble(EnsembleNetwork(members, 32, combine="votes", votes=3), missing_members="leave_out")


def test_missing_members_are_named(members):
    Path(members[1]["bundle"], "model.pt").unlink()
    with pytest.raises(
        HandsegInputError, match=r"lacks the weights of 1 of its 3 members: b \(.*bundle-b.*model\.pt\)"
    ):
        ensemble(members)


def test_missing_members_are_left_out_on_request_with_a_warning(members, lines, image, caplog):
    Path(members[1]["bundle"], "model.pt").unlink()
    with caplog.at_level(logging.WARNING):
        network = load_ensemble(EnsembleNetwork(members, 32), missing_members="leave_out")
    assert "b (" in caplog.text
    np.testing.assert_allclose(network(image)[0, 0], logit(sigmoid(lines[[0, 2]]).mean(0)), atol=1e-4)


def test_an_ensemble_without_any_weights_is_refused(members):
    for member in members:
        Path(member["bundle"], "model.pt").unlink()
    with pytest.raises(HandsegInputError, match="3 of its 3"):
        load_ensemble(EnsembleNetwork(members, 32), missing_members="leave_out")


def test_its_own_weights_are_loaded(members, tmp_path, lines, image):
    network, weights = ensemble(members), random_weights(3)
    set_fusion(network, weights)
    save_fusion(network.fusion, tmp_path / "model.pt")
    again = load_ensemble(EnsembleNetwork(members, 32), str(tmp_path / "model.pt"))
    assert torch.equal(again(image), network(image))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"combine": "median"}, "'median' is unknown"),
        ({"combine": ["votes"]}, "is unknown"),
        ({"votes": 2}, "do not go with combine probabilities"),
        ({"combine": "votes", "votes": "2"}, "'2' is no number"),
        ({"combine": "votes", "votes": True}, "True of 3"),
        ({"combine": "votes", "carpal_stage": {"members": ["a"]}}, "cannot be counted among votes"),
        ({"flip": 3}, "3 is neither true nor false"),
        ({"combine": "votes", "votes": 4}, "choose 1 to 3"),
        ({"combine": "votes", "votes": {"Femur": 1}}, "Femur"),
        ({"carpal_stage": {"members": ["d"]}}, "names 'd'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(members, settings, message):
    with pytest.raises(HandsegInputError, match=message):
        EnsembleNetwork(members, 32, **settings)


def test_two_members_of_one_name_are_refused(members):
    for several in ([members[0], members[0]], [], 5):
        with pytest.raises(HandsegInputError, match="two have one name"):
            EnsembleNetwork(several, 32)


@pytest.mark.parametrize("image_size", [0, "32", 32.5, True])
def test_a_size_that_is_none_is_refused(members, image_size):
    with pytest.raises(HandsegInputError, match="is no size in px"):
        EnsembleNetwork(members, image_size)


def test_votes_cannot_be_counted_with_unequal_weights(members, tmp_path):
    network = ensemble(members)
    set_fusion(network, random_weights(3))
    save_fusion(network.fusion, tmp_path / "model.pt")
    counting = EnsembleNetwork(members, 32, combine="votes", votes=2)
    with pytest.raises(HandsegInputError, match="cannot be counted"):
        load_ensemble(counting, str(tmp_path / "model.pt"))
