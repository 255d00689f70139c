"""The ensemble as one network: radiographs in, logits out whose zero is the decision of all members together."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.ensemble.carpal import CarpalStage, carpal_crop
from handseg_bundle_common.ensemble.fusion import EPS, Fusion, load_fusion
from handseg_bundle_common.ensemble.members import Member, MemberSettings, is_count, resized_to
from handseg_bundle_common.ensemble.vote import required_votes
from handseg_bundle_common.errors import HandsegInputError

logger = logging.getLogger(__name__)

# Larger votes would cost memory and tell no more of how far members agree.
_VOTES_SIZE = 1024


class Combine(StrEnum):
    """What of the members is averaged."""

    PROBABILITIES = "probabilities"
    LOGITS = "logits"
    VOTES = "votes"


class EnsembleNetwork(nn.Module):
    """Members that see the same radiograph one after another, each at its own size and through its own windows.

    A running sum in float32 holds the weighted mean of their probabilities, of their logits or of their votes; the
    windows of a member have been blended as logits before. What is returned is logit(clamp(p, 1e-6, 1 - 1e-6)) minus
    the logit of the bone's threshold, so that 0 is the decision for every bone.

    The networks of the members hold random values until `load_ensemble` has been called.

    Args:
        members: descriptions of the members, see `MemberSettings`.
        image_size: longer side in px of the radiographs that come in, the canvas.
        combine: "probabilities", "logits" or "votes".
        votes: with "votes", how many of the passes (members, twice as many with `flip`) must agree, one number or one
            a bone by name, the others keeping a majority; None takes the thresholds as shares of the votes.
        flip: every member also sees the mirror image.
        carpal_stage: settings of a second pass over the carpals, see `CarpalStage`; None for no such pass.

    Attributes:
        votes_of_passes: what each pass of the last call alone would have decided: packed masks (N, h, w), int32, of
            every pixel up to 1024 px, and of every second, third, ... one beyond.

    Raises:
        HandsegInputError: a member or a setting cannot be used.
    """

    def __init__(
        self,
        members: Sequence[Mapping[str, Any]],
        image_size: int,
        combine: str = Combine.PROBABILITIES,
        *,
        votes: int | Mapping[str, int] | None = None,
        flip: bool = False,
        carpal_stage: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        settings = MemberSettings.parse_all(members)
        names = tuple(member.name for member in settings)
        if combine not in list(Combine):
            raise HandsegInputError("combine", f"{combine!r} is unknown", f"choose {', '.join(Combine)}")
        if not is_count(image_size):
            raise HandsegInputError("image_size", f"{image_size!r} is no size in px", "choose at least 32")
        if not isinstance(flip, bool):
            raise HandsegInputError("flip", f"{flip!r} is neither true nor false", "choose one of them")
        self.combine = Combine(combine)
        if votes is not None and self.combine is not Combine.VOTES:
            raise HandsegInputError("votes", f"do not go with combine {combine}", "choose combine votes")
        if carpal_stage is not None and self.combine is Combine.VOTES:
            problem = "gives probabilities, which cannot be counted among votes"
            raise HandsegInputError("carpal_stage", problem, "choose combine probabilities or logits")
        self.image_size = image_size
        self.flip = flip
        self.votes = votes
        self.carpal_stage = None if carpal_stage is None else CarpalStage.parse(carpal_stage, names)
        self.networks = nn.ModuleList(Member.build(member) for member in settings)
        self.fusion = Fusion(names)
        self.votes_of_passes: list[Tensor] = []
        required_votes(votes, len(names) * (1 + flip))  # an impossible number is told at once

    @property
    def members(self) -> list[Member]:
        """The members in the order of the configuration."""
        return [member for member in self.networks if isinstance(member, Member)]

    def keep(self, names: Sequence[str]) -> None:
        """Go on with these members alone."""
        self.networks = nn.ModuleList(member for member in self.members if member.settings.name in names)
        self.fusion.keep(names)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, 29, H, W) of images (N, 1, H, W), float32."""
        total = torch.zeros((len(image), NUM_BONES, *image.shape[-2:]), device=image.device)
        self.votes_of_passes = []
        for member, weights in zip(self.members, self.fusion.weights, strict=True):
            for logits in self._passes(member, image):
                self._add(total, logits, weights / (1 + self.flip))
                del logits  # before the next pass needs the memory
        if self.combine is Combine.LOGITS:
            total.sigmoid_()
        elif self.combine is Combine.VOTES:
            # A draw is no majority, however the shares have been rounded.
            total.sub_(EPS)
        if self.carpal_stage is not None:
            self._look_again(total, image, self.carpal_stage)
        total.clamp_(EPS, 1 - EPS).logit_()
        return total.sub_(torch.logit(self.thresholds).to(total)[:, None, None])

    @property
    def thresholds(self) -> Tensor:
        """Probability or share of the votes (29,) above which a pixel belongs to a bone."""
        if self.votes is None:
            return self.fusion.thresholds
        passes = len(self.members) * (1 + self.flip)
        # Half a vote below the number, so that rounding cannot matter.
        return (torch.tensor(list(required_votes(self.votes, passes).values())) - 0.5) / passes

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return calibrated probabilities (N, 29, H, W) of the logits that `forward` gave."""
        scale, offset = self.fusion.calibration.to(logits).T[:, :, None, None]
        own = logits + torch.logit(self.thresholds).to(logits)[:, None, None]
        return own.mul_(scale).add_(offset).sigmoid_()

    def _passes(self, member: Member, image: Tensor) -> Iterator[Tensor]:
        """Yield the logits of a member, for the image and on request for its mirror image, at the member's size."""
        yield member(image, self.image_size)
        if self.flip:
            yield member(image.flip(-1), self.image_size).flip(-1)

    def _add(self, total: Tensor, logits: Tensor, weights: Tensor) -> None:
        """Add one pass to the running sum, bone by bone: all bones at the canvas' size would take as much again."""
        size = total.shape[-2:]
        stride = math.ceil(max(size) / _VOTES_SIZE)
        votes = torch.zeros_like(total[:, 0, ::stride, ::stride], dtype=torch.int32)
        for bone, weight in enumerate(weights.tolist()):
            alone = resized_to(logits[:, bone : bone + 1].float(), size)[:, 0]
            decided = alone > 0
            votes |= decided[:, ::stride, ::stride].int() << bone
            if self.combine is Combine.PROBABILITIES:
                alone = alone.sigmoid()
            elif self.combine is Combine.VOTES:
                alone = decided.float()
            total[:, bone].add_(alone, alpha=weight)
        self.votes_of_passes.append(votes)

    def _look_again(self, probabilities: Tensor, image: Tensor, stage: CarpalStage) -> None:
        """Let members look at the carpals enlarged, and blend their mean probabilities in."""
        chosen = [member for member in self.members if member.settings.name in stage.members]
        thresholds = self.thresholds.to(probabilities)[:, None, None]
        for number, of_image in enumerate(probabilities):
            crop = carpal_crop(of_image > thresholds, stage.margin)
            if crop is None or not chosen:
                continue
            part = crop.cut(image[number : number + 1])
            second = torch.zeros((NUM_BONES, crop.side, crop.side), device=image.device)
            for member in chosen:
                for logits in self._second_passes(member, part, stage.magnification):
                    second += resized_to(logits.float(), second.shape[-2:])[0].sigmoid_()
            second /= len(chosen) * (1 + self.flip)
            for bone in stage.channels:
                crop.blend(of_image[bone], second[bone], stage.strength)

    def _second_passes(self, member: Member, part: Tensor, magnification: float) -> Iterator[Tensor]:
        """Yield the logits of a member for a part of the image, and on request for its mirror image."""
        yield member.magnified(part, self.image_size, magnification)
        if self.flip:
            yield member.magnified(part.flip(-1), self.image_size, magnification).flip(-1)


def load_ensemble(
    network: EnsembleNetwork, weights: str | None = None, missing_members: str = "refuse"
) -> EnsembleNetwork:
    """Load the weights of the members and of the ensemble itself, and return it.

    Args:
        network: the ensemble; its members keep their devices.
        weights: file that `save_fusion` wrote; without it all members count alike and thresholds are 0.5.
        missing_members: "refuse", or "leave_out" to go on with a warning that names the members whose weights are
            not there.

    Raises:
        HandsegInputError: weights are missing, or do not fit.
    """
    if missing_members not in ("refuse", "leave_out"):
        raise HandsegInputError("missing_members", f"{missing_members!r} is unknown", "choose refuse or leave_out")
    if weights is None:
        logger.info("no weights of the ensemble itself: all members count alike")
    else:
        load_fusion(network.fusion, weights)
    if network.votes is not None and not torch.allclose(network.fusion.weights, network.fusion.weights[:1]):
        remedy = "leave votes out, which takes the thresholds as shares, or use weights that are all alike"
        raise HandsegInputError("votes", "cannot be counted where members weigh differently", remedy)
    _leave_out_missing(network, missing_members)
    required_votes(network.votes, len(network.members) * (1 + network.flip))  # of those that are left
    for member in network.members:
        member.load()
    return network


def _leave_out_missing(network: EnsembleNetwork, policy: str) -> None:
    """Refuse to go on without the weights of a member, or name those that are left out in a warning."""
    missing = [member.settings for member in network.members if not member.settings.weights_file.exists()]
    if not missing:
        return
    count = len(network.members)
    listing = ", ".join(f"{member.name} ({member.weights_file})" for member in missing)
    problem = f"lacks the weights of {len(missing)} of its {count} members: {listing}"
    if policy == "refuse" or len(missing) == count:
        remedy = "train them, name other files in members, or set missing_members to leave_out in the configuration"
        raise HandsegInputError("ensemble", problem, remedy)
    logger.warning("the ensemble %s; they are left out", problem)
    network.keep([member.settings.name for member in network.members if member.settings not in missing])
    stage = network.carpal_stage
    if stage is not None and not set(stage.members) & set(network.fusion.names):
        logger.warning("no member of the second pass over the carpals is left: there is none")
