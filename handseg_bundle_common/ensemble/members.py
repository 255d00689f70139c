"""Members of an ensemble: networks of other bundles, each with its own size, windows and weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  the name that PyTorch's own documentation uses

from handseg_bundle_common.anatomy import BONE_NAMES, NUM_BONES
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.files import read_json
from handseg_bundle_common.weights import METADATA, adopt_settings, find_bundle, load_weights
from handseg_bundle_common.windows import PLACEMENTS

logger = logging.getLogger(__name__)

_COMPARE = "compare it with bundles/ensemble/configs/inference.json"


class Role(StrEnum):
    """What a member is in the ensemble for."""

    GENERAL = "general"
    SMALL_BONES = "small bones"


@dataclass(frozen=True)
class MemberSettings:
    """How a configuration names a member.

    Attributes:
        name: unique in the ensemble.
        bundle: folder or name of its bundle.
        weights: file, relative to the bundle's folder or else to the working directory.
        role: what it is there for.
        windows: values for `image_size`, `window_size`, `overlap`, `sw_batch_size`, `flip` and `placement` in place of
            those that the weights remember.
    """

    name: str
    bundle: str
    weights: str
    role: Role = Role.GENERAL
    windows: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, description: object) -> MemberSettings:
        """Check what stands in a configuration.

        Raises:
            HandsegInputError: a key is missing or unknown, or a value cannot be used.
        """
        known = [field.name for field in fields(cls)]
        texts = [description.get(key) for key in known[:3]] if isinstance(description, Mapping) else [None]
        if not isinstance(description, Mapping) or not all(isinstance(text, str) and text for text in texts):
            raise HandsegInputError("members", f"{description!r} lacks name, bundle or weights", _COMPARE)
        unknown = set(description) - set(known)
        if unknown:
            remedy = f"use {', '.join(known)}"
            raise HandsegInputError("members", f"{description['name']} has the unknown key {min(unknown)!r}", remedy)
        if description.get("role", Role.GENERAL) not in list(Role):
            problem = f"{description['name']} has the unknown role {description['role']!r}"
            raise HandsegInputError("members", problem, f"choose {' or '.join(Role)}")
        member = cls(**{**description, "role": Role(description.get("role", Role.GENERAL))})
        _check_windows(member)
        return member

    @classmethod
    def parse_all(cls, descriptions: object) -> list[MemberSettings]:
        """Check a list of members, each of which has a name of its own.

        Raises:
            HandsegInputError: there are none, two have one name, or one of them cannot be used.
        """
        members = [cls.parse(member) for member in descriptions] if isinstance(descriptions, (list, tuple)) else []
        if not members or len({member.name for member in members}) < len(members):
            raise HandsegInputError("members", "are none, or two have one name", "write a list that names each once")
        return members

    @property
    def weights_file(self) -> Path:
        """Absolute path of the weights, whether they are there or not."""
        in_bundle = Path(find_bundle(self.bundle), Path(self.weights).expanduser())
        elsewhere = Path(self.weights).expanduser().absolute()
        return elsewhere if elsewhere.exists() and not in_bundle.exists() else in_bundle


class Member(nn.Module):
    """A network that sees the ensemble's image at its own size and through its own windows.

    Args:
        settings: how the configuration names it.
        network: takes images (N, 1, h, w), returns logits (N, 29, h, w).
        inferer: called with images and the network.
        image_size: longer side in px at which the network works.
    """

    def __init__(
        self,
        settings: MemberSettings,
        network: nn.Module,
        inferer: Callable[[Tensor, nn.Module], Tensor],
        image_size: int,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.network = network
        self.inferer = inferer
        self.image_size = image_size

    @classmethod
    def build(cls, settings: MemberSettings) -> Member:
        """Build the network of a member's bundle with the settings of its weights, if they are there.

        The weights themselves are not loaded: `load` does that. This runs code that the bundle's configuration names.

        Raises:
            HandsegInputError: the bundle or the settings of its weights cannot be used, or its classes are others.
        """
        root = find_bundle(settings.bundle)
        path = Path(root, "configs", "inference.json")
        config = read_json(path, _COMPARE)
        if not isinstance(config, dict) or not {"network_def", "inferer", "image_size"} <= set(config):
            raise HandsegInputError(path, "does not define network_def, inferer and image_size", _COMPARE)
        if "members" in config:
            raise HandsegInputError(settings.name, "is an ensemble itself", "name its members instead")
        _check_classes(Path(root) / METADATA)
        windows = settings.windows or {}
        parser = ConfigParser({**config, "bundle_root": root, "device": torch.device("cpu"), **windows})
        if settings.weights_file.exists():
            # Explicit values win even if they are null, which takes the whole radiograph.
            adopt_settings(parser, settings.weights_file, dict.fromkeys(windows, True))
        parts = {name: parser.get_parsed_content(name) for name in ("network_def", "inferer", "image_size")}
        return cls(settings, parts["network_def"], parts["inferer"], parts["image_size"])

    def load(self) -> None:
        """Load the weights.

        Raises:
            HandsegInputError: they are missing or do not fit.
        """
        load_weights(self.network, self.settings.weights_file)

    def forward(self, image: Tensor, canvas_size: int) -> Tensor:
        """Return logits (N, 29, h, w) at the member's size.

        Args:
            image: images (N, 1, H, W) at the ensemble's size.
            canvas_size: longer side in px of a radiograph at the ensemble's size.

        Raises:
            HandsegInputError: the network answers with another number of channels.
        """
        return self._checked(self.inferer(resized(image, self.image_size / canvas_size), self.network))

    def magnified(self, crop: Tensor, canvas_size: int, magnification: float) -> Tensor:
        """Return logits (N, 29, h, w) of a part of the image that the network sees enlarged, in one piece.

        Args:
            crop: (N, 1, H, W), cut from images at the ensemble's size.
            canvas_size: as in `forward`.
            magnification: enlargement in comparison with `forward`.

        Raises:
            HandsegInputError: as in `forward`.
        """
        return self._checked(self.network(resized(crop, magnification * self.image_size / canvas_size)))

    def _checked(self, logits: Tensor) -> Tensor:
        channels = logits.shape[1]
        if channels != NUM_BONES:
            problem = f"answers with {channels} channel{'s' * (channels != 1)} instead of {NUM_BONES}, one a bone"
            raise HandsegInputError(self.settings.name, problem, "leave it out, or use a bundle of handseg")
        return logits


def resized(image: Tensor, scale: float) -> Tensor:
    """Enlarge or shrink images (N, C, H, W) bilinearly, without aliasing."""
    size = [max(1, round(side * scale)) for side in image.shape[-2:]]
    return resized_to(image, size)


def resized_to(image: Tensor, size: Sequence[int]) -> Tensor:
    """Bring images (N, C, H, W) to a size (h, w) bilinearly, without aliasing."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    shrinks = image.shape[-2] > size[0]
    return F.interpolate(image, tuple(size), mode="bilinear", antialias=shrinks)


def is_count(value: object) -> bool:
    """Tell whether a value of a configuration is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_windows(member: MemberSettings) -> None:
    if not isinstance(member.windows, (Mapping, type(None))):
        raise HandsegInputError("members", f"the windows of {member.name} are no object", _COMPARE)
    for name, value in (member.windows or {}).items():
        if name not in _WINDOWS:
            problem = f"the windows of {member.name} have the unknown key {name!r}"
            raise HandsegInputError("members", problem, f"use {', '.join(_WINDOWS)}")
        if not _WINDOWS[name](value):
            problem = f"the windows of {member.name} have {name} {value!r}, which is not possible"
            raise HandsegInputError("members", problem, _COMPARE)


def _check_classes(path: Path) -> None:
    metadata = read_json(path, _COMPARE)
    try:
        classes = list(metadata["network_data_format"]["outputs"]["pred"]["channel_def"].values())
    except (TypeError, KeyError, AttributeError) as error:
        raise HandsegInputError(path, "does not name the classes of the network", _COMPARE) from error
    if classes != list(BONE_NAMES):
        raise HandsegInputError(path, "names other classes, or the same in another order", "use a bundle of handseg")


# Ids of a bundle that say how large a radiograph and which parts of it its network sees, and what they may be.
_WINDOWS: dict[str, Callable[[Any], bool]] = {
    "image_size": is_count,
    "window_size": lambda value: value is None or is_count(value),
    "overlap": lambda value: isinstance(value, (int, float)) and 0 <= value < 1,
    "sw_batch_size": is_count,
    "flip": lambda value: isinstance(value, bool),
    "placement": lambda value: value in tuple(PLACEMENTS),
}
WINDOW_IDS = tuple(_WINDOWS)
