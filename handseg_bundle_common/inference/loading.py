"""A radiograph on its way from its file to the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose
from numpy.typing import NDArray

from handseg_bundle_common.errors import input_error
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.transforms import PATH_KEY, SIZE_KEY, LoadRadiographd, ScaleRadiographd

Preprocessing = Callable[[dict[str, Any]], dict[str, Any]]

_stretch = ScaleRadiographd("image")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A radiograph, read and ready for the network.

    Attributes:
        path: its file.
        image: what the network gets, (1, h, w) at the working size.
        size: native size (H, W) in px.
        picture: the radiograph (1, H, W) with its contrast stretched to 0..1.
    """

    path: Path
    image: torch.Tensor
    size: tuple[int, int]
    picture: NDArray[np.float32]


def load_radiograph(path: str | PathLike[str], preprocessing: Preprocessing) -> Loaded:
    """Read a radiograph once, for the network and for what is told and drawn of it.

    Args:
        path: the file.
        preprocessing: what turns {"image": path} into an image at the working size and its `native_size`.

    Raises:
        HandsegInputError: the file cannot be read.
    """
    radiograph = read_radiograph(path)
    picture = _stretch({"image": radiograph})["image"]
    item = {"image": str(path), "image_name": Path(path).name}
    rest = _after_stretching(preprocessing)
    try:
        if rest is None:
            item = preprocessing(item)
        else:
            size = torch.tensor(radiograph.shape[-2:])
            item = rest({**item, "image": picture, PATH_KEY: str(path), SIZE_KEY: size})
    except RuntimeError as error:  # in which MONAI wraps whatever a transform raises
        found = input_error(error)
        if found is None:
            raise
        raise found from None
    height, width = (int(side) for side in item[SIZE_KEY])
    return Loaded(Path(path), torch.as_tensor(item["image"]), (height, width), picture)


def _after_stretching(preprocessing: Preprocessing) -> Compose | None:
    """Return what follows reading and stretching in the pipeline that every bundle shares; None for any other."""
    if not isinstance(preprocessing, Compose):
        return None
    transforms = preprocessing.transforms
    if [type(transform) for transform in transforms[:2]] != [LoadRadiographd, ScaleRadiographd]:
        return None
    has_own_keys = any(tuple(transform.keys) != ("image",) for transform in transforms[:2])
    return None if has_own_keys else Compose(transforms[2:])
