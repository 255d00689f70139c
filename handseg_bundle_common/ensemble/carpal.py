"""A second look at the carpals: the crop that shows them, and how its answer is blended into the first one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

from handseg_bundle_common.anatomy import BONE_NAMES, CHANNEL, Group, bones_of
from handseg_bundle_common.errors import HandsegInputError

CARPALS: tuple[str, ...] = tuple(bone.name for bone in bones_of(Group.CARPALS))
# Fewer carpals than this in the first pass tell too little about where the others are.
_LEAST_CARPALS = 3
_SPECKS = 0.01
# Of the image's longer side; the carpals of a whole hand fill a quarter of it.
_LARGEST_EXTENT = 0.75


@dataclass(frozen=True)
class CarpalStage:
    """Settings of the second pass over the carpals.

    Attributes:
        members: names of the members that look again.
        bones: the bones that the second pass may change; all others stay as they are.
        magnification: enlargement of the crop in comparison with what a member sees in the first pass.
        margin: what is seen beyond the carpals on every side, as a share of their extent; the second pass fades out
            over it.
        strength: weight of the second pass in the middle of the crop, 0 to 1.
    """

    members: tuple[str, ...]
    bones: tuple[str, ...] = field(default=CARPALS)
    magnification: float = 1.5
    margin: float = 0.35
    strength: float = 0.5

    @classmethod
    def parse(cls, description: Mapping[str, object], members: tuple[str, ...]) -> CarpalStage:
        """Check what stands in a configuration.

        Args:
            description: the attributes by name, of which `members` must be there.
            members: names of all members of the ensemble.

        Raises:
            HandsegInputError: a key or name is unknown, or a number is out of range.
        """
        unknown = set(description) - {f.name for f in fields(cls)}
        if unknown or "members" not in description:
            problem = f"has the unknown key {min(unknown)!r}" if unknown else "does not name its members"
            raise HandsegInputError("carpal_stage", problem, f"use {', '.join(f.name for f in fields(cls))}")
        lists = {name: _names(name, description[name]) for name in ("members", "bones") if name in description}
        stage = cls(**{**description, **lists})  # type: ignore[arg-type]
        for names, known in ((stage.members, members), (stage.bones, BONE_NAMES)):
            strange = [name for name in names if name not in known]
            if strange or not names:
                problem = f"names {strange[0]!r}, which is not there" if strange else "has an empty list of names"
                raise HandsegInputError("carpal_stage", problem, f"choose among {', '.join(known)}")
        numbers = (stage.magnification, stage.margin, stage.strength)
        if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
            raise HandsegInputError("carpal_stage", f"has {numbers}, not all of which are numbers", "write digits")
        if stage.magnification <= 0 or stage.margin <= 0 or not 0 <= stage.strength <= 1:
            remedy = "choose magnification and margin above 0, strength from 0 to 1"
            raise HandsegInputError("carpal_stage", "has a number that is out of range", remedy)
        return stage

    @property
    def channels(self) -> list[int]:
        """Channels of the bones that the second pass may change."""
        return [CHANNEL[name] for name in self.bones]


@dataclass(frozen=True)
class Crop:
    """A square of the image, which may reach beyond its border.

    Attributes:
        top: first row.
        left: first column.
        side: rows and columns.
        ramp: px from the crop's border to where the second pass has its full weight.
    """

    top: int
    left: int
    side: int
    ramp: float

    def cut(self, image: Tensor) -> Tensor:
        """Return that part of images (N, C, H, W), black beyond their borders."""
        height, width = image.shape[-2:]
        rows, columns = self._inside(self.top, height), self._inside(self.left, width)
        part = image[..., rows, columns]
        before = columns.start - self.left, rows.start - self.top
        after = self.left + self.side - columns.stop, self.top + self.side - rows.stop
        return F.pad(part, [before[0], after[0], before[1], after[1]])

    def blend(self, first: Tensor, second: Tensor, strength: float) -> None:
        """Mix the second pass into the first one, in place.

        The weight is `strength` over the carpals and falls to 0 at the crop's border, by a raised cosine.

        Args:
            first: probabilities (H, W) of the whole image.
            second: probabilities (side, side) of the crop.
            strength: weight of the second pass in the middle.
        """
        height, width = first.shape
        rows, columns = self._inside(self.top, height), self._inside(self.left, width)
        own = (
            slice(rows.start - self.top, rows.stop - self.top),
            slice(columns.start - self.left, columns.stop - self.left),
        )
        weight = strength * self.weight().to(first)
        first[rows, columns].lerp_(second.to(first)[own], weight[own])

    def weight(self) -> Tensor:
        """Return the weight of the second pass (side, side), 0 to 1."""
        place = torch.arange(self.side) + 0.5
        depth = torch.minimum(place, self.side - place) / self.ramp
        along = (1 - torch.cos(math.pi * depth.clamp(max=1))) / 2
        return along[:, None] * along

    def _inside(self, start: int, length: int) -> slice:
        return slice(min(max(start, 0), length), min(max(start + self.side, 0), length))


def carpal_crop(masks: Tensor, margin: float) -> Crop | None:
    """Return the square around the carpals that a first pass has found.

    The outermost 1 % of their pixels on every side do not count, so that a speck far away moves nothing.

    Args:
        masks: (29, H, W), bool.
        margin: what is added on every side, as a share of the carpals' larger extent.

    Returns:
        The square, or None where too few carpals have been found, or where they fill more of the image than those of
        any hand that is seen whole or in part.
    """
    carpals = masks[[CHANNEL[name] for name in CARPALS]]
    if int(carpals.flatten(1).any(dim=1).sum()) < _LEAST_CARPALS:
        return None
    places = np.argwhere(carpals.any(dim=0).cpu().numpy())
    (top, left), (bottom, right) = np.quantile(places, (_SPECKS, 1 - _SPECKS), axis=0, method="nearest").tolist()
    extent = max(bottom - top, right - left) + 1
    if extent > _LARGEST_EXTENT * max(masks.shape[-2:]):
        return None
    ramp = margin * extent
    side = math.ceil(extent + 2 * ramp)
    return Crop(top=(top + bottom + 1 - side) // 2, left=(left + right + 1 - side) // 2, side=side, ramp=ramp)


def _names(name: str, value: object) -> tuple[str, ...]:
    """Return a list of names as a tuple."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) for entry in value):
        raise HandsegInputError("carpal_stage", f"has {value!r} for {name}", "write a list of names")
    if len(set(value)) < len(value):
        raise HandsegInputError("carpal_stage", f"names one of its {name} twice", "name each once")
    return tuple(value)
